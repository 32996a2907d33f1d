package host

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func table(patterns ...string) *Table[string] {
	var t Table[string]
	for _, p := range patterns {
		t.Set(p, p)
	}
	return &t
}

func TestTable(t *testing.T) {
	tab := table("a.foo.com", "*.foo.com", "*.com", "*-x.foo.com", "*-long-x.foo.com", "*x.org", "*")
	for _, tt := range []struct{ name, want string }{
		{"a.foo.com", "a.foo.com"},
		{"b.foo.com", "*.foo.com"},
		{"c.b.foo.com", "*.foo.com"},
		{"foo.com", "*.com"},
		{"b-x.foo.com", "*-x.foo.com"},
		{"b-long-x.foo.com", "*-long-x.foo.com"},
		{"-x.foo.com", "*.foo.com"},
		{"x.org", "*"},
		{"ax.org", "*x.org"},
		{"localhost", "*"},
		{"*.foo.com", "*.foo.com"},
		{"*.b.foo.com", "*.foo.com"},
		{"*.net", "*"},
		{"*", "*"},
		{"", ""},
	} {
		got, ok := tab.Lookup(tt.name)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("Lookup(%q) = %q, %v, want %q", tt.name, got, ok, tt.want)
		}
	}
	if got := tab.Len(); got != 7 {
		t.Errorf("Len() = %d, want 7", got)
	}
	for _, p := range []string{"a.foo.com", "*.com", "*x.org", "*"} {
		if got, ok := tab.Get(p); got != p || !ok {
			t.Errorf("Get(%q) = %q, %v", p, got, ok)
		}
	}
	if _, ok := tab.Get("b.foo.com"); ok {
		t.Error("Get finds the pattern itself only")
	}
	tab.Set("*.com", "again")
	if got, _ := tab.Lookup("bar.com"); got != "again" {
		t.Errorf("after a second Set: %q", got)
	}
}

func TestTableZero(t *testing.T) {
	var tab Table[int]
	if _, ok := tab.Lookup("a"); ok || tab.Len() != 0 {
		t.Error("the zero table is empty")
	}
	if _, ok := tab.Get("*"); ok {
		t.Error("the zero table has no value for *")
	}
}

// The table and Match with Compare say the same.
func FuzzTable(f *testing.F) {
	f.Add("a.com *.com *", "a.com")
	f.Add("*-x.com *.com *x.com", "a-x.com")
	f.Add("*.b.c *c *.c", "a.b.c")
	f.Add("*.b.c *.c", "*.a.b.c")
	f.Fuzz(func(t *testing.T, patterns, name string) {
		list := strings.Fields(patterns)
		slices.SortFunc(list, Compare)
		want := ""
		for _, p := range list {
			if Match(p, name) {
				want = p
				break
			}
		}
		got, ok := table(list...).Lookup(name)
		if got != want || ok != (want != "") {
			t.Fatalf("Lookup(%q) among %q = %q, %v, want %q", name, list, got, ok, want)
		}
	})
}

func TestTableAllocs(t *testing.T) {
	tab := table("*.com", "*-x.foo.com", "*")
	for _, name := range []string{"a.b.c.foo.com", "b-x.foo.com", "localhost"} {
		if n := testing.AllocsPerRun(100, func() { tab.Lookup(name) }); n != 0 {
			t.Errorf("Lookup(%q): %v allocations", name, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = Split("a.foo.com:8080"); _, _ = Normal("a.foo.com"), IsIP("a.foo.com") }); n != 0 {
		t.Errorf("Split, Normal, IsIP: %v allocations", n)
	}
}

func BenchmarkTable(b *testing.B) {
	for _, n := range []int{10, 100_000} {
		var tab Table[int]
		for i := range n {
			tab.Set(fmt.Sprintf("svc-%d.default.svc.cluster.local", i), i)
			tab.Set(fmt.Sprintf("*.zone-%d.example.com", i), i)
		}
		b.Run(fmt.Sprint("exact/", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tab.Lookup("svc-7.default.svc.cluster.local")
			}
		})
		b.Run(fmt.Sprint("wildcard/", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tab.Lookup("a.b.zone-7.example.com")
			}
		})
	}
}
