package compile

import (
	"fmt"
	"testing"

	"github.com/go-inmesh/inmesh/internal/host"
)

// FuzzTable compares the table with a look at every pattern.
func FuzzTable(f *testing.F) {
	f.Add("a.foo.com", uint8(1))
	f.Add("x.a.foo.com", uint8(2))
	f.Add("b-x.foo.com", uint8(0))
	f.Add("", uint8(3))
	f.Add(".", uint8(3))
	f.Add("..foo.com", uint8(3))
	patterns := []string{"*", "*.com", "*.foo.com", "*-x.foo.com", "*x.foo.com", "a.foo.com", "foo.com", "*.a.foo.com", "*.org"}
	t := &Table{exact: map[string]*entry{}, suffix: map[string]*entry{}}
	for i, p := range patterns {
		for port := range 4 {
			if (i+port)%3 != 0 || p == "*" {
				e := t.entry(p)
				e.ports = append(e.ports, &VirtualHost{Name: fmt.Sprint(p, ":", port), Port: port})
			}
		}
	}
	f.Fuzz(func(tt *testing.T, name string, port8 uint8) {
		port := int(port8 % 4)
		want, best := "none", ""
		for i, p := range patterns {
			if (i+port)%3 == 0 && p != "*" || !host.Match(p, name) || host.IsWildcard(name) {
				continue
			}
			if best == "" || host.Compare(p, best) < 0 {
				best, want = p, fmt.Sprint(p, ":", port)
			}
		}
		got := "none"
		if vh := t.Lookup(name, port); vh != nil {
			got = vh.Name
		}
		if name == "" || host.IsWildcard(name) {
			return
		}
		if got != want {
			tt.Errorf("%q: got %s, want %s", name, got, want)
		}
	})
}
