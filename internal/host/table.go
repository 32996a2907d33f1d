package host

import (
	"slices"
	"strings"
)

// Table finds for a name the value of the most specific pattern: the exact one, else the longest wildcard, else "*".
// The zero value is empty and ready to use. Lookups do not allocate and may run at the same time as one another, not
// as Set. Patterns and names must be normal.
//
// It is Envoy's choice of a virtual host, at a cost that does not grow with the number of patterns:
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-virtualhost.
type Table[V any] struct {
	exact   map[string]V
	labels  map[string]V // "*.foo.com" under ".foo.com"
	partial map[string]V // "*-x.foo.com" under "-x.foo.com"
	lengths []int        // of the keys of partial, longest first
	all     *V           // "*"
}

// Set gives the pattern a value, in place of the one that it had.
func (t *Table[V]) Set(pattern string, v V) {
	switch {
	case pattern == "*":
		t.all = &v
	case strings.HasPrefix(pattern, "*."):
		put(&t.labels, pattern[1:], v)
	case IsWildcard(pattern):
		put(&t.partial, pattern[1:], v)
		at, found := slices.BinarySearchFunc(t.lengths, len(pattern)-1, func(a, b int) int { return b - a })
		if !found {
			t.lengths = slices.Insert(t.lengths, at, len(pattern)-1)
		}
	default:
		put(&t.exact, pattern, v)
	}
}

func put[V any](m *map[string]V, key string, v V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = v
}

// Get is the value of the pattern itself.
func (t *Table[V]) Get(pattern string) (v V, ok bool) {
	switch {
	case pattern == "*":
		if t.all != nil {
			return *t.all, true
		}
	case strings.HasPrefix(pattern, "*."):
		v, ok = t.labels[pattern[1:]]
	case IsWildcard(pattern):
		v, ok = t.partial[pattern[1:]]
	default:
		v, ok = t.exact[pattern]
	}
	return v, ok
}

// Lookup is the value of the most specific pattern that names the name, as [Match] understands it. A name that is a
// wildcard itself finds its own pattern, or a wider one.
func (t *Table[V]) Lookup(name string) (v V, ok bool) {
	if v, ok = t.exact[name]; ok || name == "" {
		return v, ok
	}
	// The longest wildcard is the leftmost dot that begins a known suffix: one look per label.
	found := 0 // length of the suffix found so far
	if len(t.labels) > 0 {
		for i := 1; i < len(name); i++ {
			if name[i] != '.' {
				continue
			}
			if v, ok = t.labels[name[i:]]; ok {
				found = len(name) - i
				break
			}
		}
	}
	for _, n := range t.lengths {
		if n <= found {
			break
		}
		if n < len(name) {
			if w, ok := t.partial[name[len(name)-n:]]; ok {
				return w, true
			}
		}
	}
	if found == 0 && t.all != nil {
		return *t.all, true
	}
	return v, found > 0
}

// Len is the number of patterns.
func (t *Table[V]) Len() int {
	n := len(t.exact) + len(t.labels) + len(t.partial)
	if t.all != nil {
		n++
	}
	return n
}
