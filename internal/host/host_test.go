package host

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
)

func ExampleResolve() {
	fmt.Println(Resolve("reviews", "prod", ""))
	fmt.Println(Resolve("reviews.prod", "default", ""))
	fmt.Println(Resolve("*.Foo.com", "default", ""))
	// Output:
	// reviews.prod.svc.cluster.local
	// reviews.prod
	// *.foo.com
}

func TestResolve(t *testing.T) {
	for _, tt := range []struct{ name, in, namespace, domain, want string }{
		{"short name", "a", "ns", "", "a.ns.svc.cluster.local"},
		{"other domain", "a", "ns", "Corp.Example", "a.ns.svc.corp.example"},
		{"any dot stays", "a.ns1", "ns", "", "a.ns1"},
		{"absolute name loses its dot only", "a.", "ns", "", "a"},
		{"full name", "a.ns.svc.cluster.local.", "other", "", "a.ns.svc.cluster.local"},
		{"upper case", "A", "NS", "", "a.ns.svc.cluster.local"},
		{"star", "*", "ns", "", "*"},
		{"wildcard", "*.com", "ns", "", "*.com"},
		{"wildcard without a dot", "*-x", "ns", "", "*-x.ns.svc.cluster.local"},
		{"IPv4", "1.2.3.4", "ns", "", "1.2.3.4"},
		{"IPv6", "::1", "ns", "", "::1"},
		{"no namespace", "a", "", "", "a"},
		{"empty", "", "ns", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Resolve(tt.in, tt.namespace, tt.domain); got != tt.want {
				t.Errorf("Resolve(%q, %q, %q) = %q, want %q", tt.in, tt.namespace, tt.domain, got, tt.want)
			}
		})
	}
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		in, name string
		port     int
	}{
		{"a.com", "a.com", 0},
		{"a.com:80", "a.com", 80},
		{"A.com:65535", "A.com", 65535},
		{"a.com:65536", "a.com", 0},
		{"a.com:http", "a.com", 0},
		{"a.com:", "a.com", 0},
		{":80", "", 80},
		{"", "", 0},
		{"[::1]", "::1", 0},
		{"[::1]:8080", "::1", 8080},
		{"[::1]x", "::1", 0},
		{"[::1", "[::1", 0},
		{"::1", "::1", 0},
		{"1.2.3.4:5", "1.2.3.4", 5},
	} {
		if name, port := Split(tt.in); name != tt.name || port != tt.port {
			t.Errorf("Split(%q) = %q, %d, want %q, %d", tt.in, name, port, tt.name, tt.port)
		}
	}
}

func TestIsIP(t *testing.T) {
	for in, want := range map[string]bool{
		"1.2.3.4": true, "::1": true, "[::1]": true, "fe80::1%eth0": true, "::ffff:1.2.3.4": true,
		"": false, "a": false, "1.2.3": false, "1.2.3.4.5": false, "1password.com4": false, "[": false, "a:b": false, "*": false,
	} {
		if got := IsIP(in); got != want {
			t.Errorf("IsIP(%q) = %v, want %v", in, got, want)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"foo.com", "foo.com", true},
		{"foo.com", "bar.com", false},
		{"*.foo.com", "a.foo.com", true},
		{"*.foo.com", "a.b.foo.com", true},
		{"*.foo.com", "foo.com", false},
		{"*.foo.com", ".foo.com", false},
		{"*.foo.com", "*.foo.com", true},
		{"*.com", "*.foo.com", true},
		{"*.foo.com", "*.com", false},
		{"foo.com", "*.com", false},
		{"*", "foo.com", true},
		{"*", "*.com", true},
		{"*", "", false},
		{"*-x.foo.com", "a-x.foo.com", true},
		{"*-x.foo.com", "-x.foo.com", false},
		{"*.com", "*-x.com", true},
		{"*-x.com", "*.com", false},
		{"*x.com", "*-x.com", true},
	} {
		if got := Match(tt.pattern, tt.name); got != tt.want {
			t.Errorf("Match(%q, %q) = %v, want %v", tt.pattern, tt.name, got, tt.want)
		}
	}
	if !Overlap("a.com", "*.com") || !Overlap("*.com", "a.com") || Overlap("*.a.com", "*.b.com") {
		t.Error("Overlap: wildcards on either side overlap, different suffixes do not")
	}
}

func TestCompare(t *testing.T) {
	order := []string{"long.foo.com", "a.foo.com", "b.foo.com", "*.long.com", "*.a.com", "*.b.com", "*.com", "*"}
	for i, a := range order {
		for j, b := range order {
			got, want := Compare(a, b), i-j
			if (got < 0) != (want < 0) || (got > 0) != (want > 0) {
				t.Errorf("Compare(%q, %q) = %d, want the sign of %d", a, b, got, want)
			}
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"a.com:80", "[::1]:80", "::1", "", "[", "a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, port := Split(s)
		if port < 0 || port > 65535 {
			t.Fatalf("Split(%q): port %d", s, port)
		}
		if len(name) > len(s) {
			t.Fatalf("Split(%q): name %q", s, name)
		}
		if h, p, err := net.SplitHostPort(s); err == nil && port > 0 {
			if n, err := strconv.Atoi(p); h != name || err == nil && n != port {
				t.Fatalf("Split(%q) = %q, %d, net.SplitHostPort says %q, %q", s, name, port, h, p)
			}
		}
	})
}

func FuzzResolve(f *testing.F) {
	f.Add("a", "ns")
	f.Add("*", "ns")
	f.Add("A.b.", "")
	f.Fuzz(func(t *testing.T, name, namespace string) {
		got := Resolve(name, namespace, "")
		if strings.ToLower(got) != got {
			t.Fatalf("Resolve(%q, %q) = %q: not lower case", name, namespace, got)
		}
		if strings.Contains(name, ".") && got != Normal(name) {
			t.Fatalf("Resolve(%q, %q) = %q: a name with a dot must stay", name, namespace, got)
		}
	})
}

func TestNames(t *testing.T) {
	for _, tt := range []struct{ hostname, namespace, want string }{
		{"a.ns1.svc.cluster.local", "ns1", "a a.ns1 a.ns1.svc a.ns1.svc.cluster.local a.ns1.svc.cluster.local."},
		{"a.ns1.svc.cluster.local", "ns2", "a.ns1 a.ns1.svc a.ns1.svc.cluster.local a.ns1.svc.cluster.local."},
		{"a.com", "ns1", "a.com a.com."},
		{"ns1.svc.cluster.local", "ns1", "ns1.svc.cluster.local ns1.svc.cluster.local."},
		{"svc.cluster.local", "ns1", "svc.cluster.local svc.cluster.local."},
		{"1.2.3.4", "ns1", "1.2.3.4"},
	} {
		if got := strings.Join(Names(nil, tt.hostname, tt.namespace, ""), " "); got != tt.want {
			t.Errorf("Names(%q, %q) = %q, want %q", tt.hostname, tt.namespace, got, tt.want)
		}
	}
}
