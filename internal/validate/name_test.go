package validate

import (
	"strings"
	"testing"

	"github.com/go-inmesh/inmesh/internal/finding"
)

func TestHostProblem(t *testing.T) {
	for _, tc := range []struct {
		name       string
		host, fqdn bool
	}{
		{"a", true, true},
		{"A.b", true, true},
		{"a.b.", true, true},
		{"a.", true, true},
		{"123", true, false},
		{"a.123", false, false},
		{"1.2.3.4", false, false},
		{"a..b", false, false},
		{"", false, false},
		{".", false, false},
		{"-a.b", false, false},
		{"a-.b", false, false},
		{"a_b", false, false},
		{"*", true, false},
		{"*.a", true, false},
		{"*a.b", true, false},
		{"*-a.b", true, false},
		{"*--a.b", false, false},
		{"a*.b", false, false},
		{"a.*.b", false, false},
		{"**.b", false, false},
		{strings.Repeat("a", 63), true, true},
		{strings.Repeat("a", 64), false, false},
		{strings.Repeat("a.", 127) + "a", true, true},
		{strings.Repeat("a.", 127) + "aa", false, false},
	} {
		if got := hostProblem(tc.name); (got == "") != tc.host {
			t.Errorf("%q as a host: got %q, want fine %v", tc.name, got, tc.host)
		}
		if got := fqdnProblem(tc.name); (got == "") != tc.fqdn {
			t.Errorf("%q as a domain name: got %q, want fine %v", tc.name, got, tc.fqdn)
		}
	}
}

func TestOverlappingHosts(t *testing.T) {
	for _, tc := range []struct {
		name  string
		hosts []string
		want  int
	}{
		{"apart", []string{"a", "b", "*.c"}, 0},
		{"twice", []string{"a", "b", "a"}, 1},
		{"thrice", []string{"a", "a", "a"}, 2},
		{"wildcard and name", []string{"*.com", "a.com"}, 1},
		{"name and wildcard", []string{"a.com", "*.com"}, 1},
		{"the domain itself", []string{"*.com", "com"}, 0},
		{"two wildcards", []string{"*.a.com", "*.com"}, 1},
		{"same wildcard", []string{"*.com", "*.com"}, 1},
		{"all", []string{"*", "a"}, 1},
		{"not whole labels", []string{"*om", "a.com"}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var fs finding.Faults
			overlappingHosts(&fs, tc.hosts)
			if len(fs) != tc.want {
				t.Errorf("got %d faults, want %d: %v", len(fs), tc.want, fs)
			}
		})
	}
}

func TestLocalities(t *testing.T) {
	for _, tc := range []struct {
		name string
		list []string
		fine bool
	}{
		{"apart", []string{"a", "b/c", "d/e/f"}, true},
		{"same", []string{"a/b", "a/b"}, false},
		{"zones of a region", []string{"a/b", "a/c"}, true},
		{"zone in region", []string{"a", "a/b"}, false},
		{"region over zone", []string{"a/b", "a"}, false},
		{"zone in wildcard", []string{"a/*", "a/b"}, false},
		{"wildcard over zone", []string{"a/b", "a/*"}, true},
		{"all first", []string{"*", "a"}, false},
		{"all last", []string{"a", "*"}, true},
		{"like a prefix", []string{"a", "ab"}, true},
		{"subzones", []string{"a/b/c", "a/b/d"}, true},
		{"subzone in zone", []string{"a/b", "a/b/d"}, false},
		{"empty", []string{""}, false},
		{"empty zone", []string{"a//b"}, false},
		{"wildcard in the middle", []string{"a/*/b"}, false},
		{"two wildcards", []string{"*/*"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var fs finding.Faults
			var ls localities
			for _, l := range tc.list {
				ls.add(&fs, "at", l)
			}
			if (len(fs) == 0) != tc.fine {
				t.Errorf("got %v, want fine %v", fs, tc.fine)
			}
		})
	}
}
