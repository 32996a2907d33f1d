package random

import (
	"fmt"
	"maps"
	"slices"

	"github.com/go-inmesh/inmesh/conformance/world"
)

// Mutator changes documents, the same way for the same seed.
type Mutator struct{ *gen }

// NewMutator is the mutator of the nth document of a seed.
func NewMutator(seed uint64, n int) *Mutator { return &Mutator{newGen(seed, n)} }

// place is one field or item of a tree.
type place struct {
	value any
	key   string // of a map
	put   func(any)
	drop  func()
	name  func(string) // gives the field another name
}

// Mutate is a copy of the document with one thing of its spec changed, and what that was.
func (g *Mutator) Mutate(o world.Object) (world.Object, string) {
	o = world.Clone(o)
	var all []place
	walk(o["spec"], func(v any) { o["spec"] = v }, "", &all)
	if len(all) == 0 {
		return nil, ""
	}
	p := all[g.IntN(len(all))]
	switch g.IntN(7) {
	case 0:
		p.drop()
		return o, "dropped " + p.key
	case 1:
		if p.name == nil {
			return nil, ""
		}
		to := one(g.gen, p.key+"x", "x"+p.key, p.key[:max(0, len(p.key)-1)])
		p.name(to)
		return o, "renamed " + p.key + " to " + to
	}
	v := g.another(p.value)
	p.put(v)
	return o, fmt.Sprintf("%s: %v instead of %v", p.key, v, p.value)
}

// another value: of the same type and out of range, or of another type.
func (g *Mutator) another(v any) any {
	if g.chance(0.15) {
		return one[any](g.gen, nil, "", "x", 1, true, []any{}, m{}, 1.5, []any{"x"}, m{"x": "y"}, []any{nil})
	}
	switch v := v.(type) {
	case string:
		return one[any](g.gen, "", "*", "a b", "foo..bar", "UPPER", "-x", "1ms", "0s", "1us", "1.5s", "-1s", "(", "a*b", "*.com", "*", ".", "~", "/", "a/b", "%", "%x", "\x01",
			v+v, v+".", "."+v, v+" ", " "+v, v+"/", v+"*", "*"+v, "999999999999999999999h", "ROUND_ROBIN", "HTTP", "1.2.3.4", "1.2.3.4/33", "::1", "unix:///x", "a,b",
			"é", v+"\n", "x.y.z", "istio-system", "mesh", "65536", "503", "5xx")
	case int64, int, float64:
		return one[any](g.gen, -1, 0, 1, 2, 50, 99, 100, 101, 199, 200, 301, 399, 600, 601, 65535, 65536, 1<<31-1, 1<<31, 1<<32, 0.5, 0.00001, 1e20, "1", "x", -0.5)
	case bool:
		return one[any](g.gen, !v, "true", 1)
	case []any:
		if len(v) == 0 {
			return []any{"x"}
		}
		return one(g.gen, append(slices.Clone(v), v[0]), append(slices.Clone(v), nil), append([]any{m{}}, v...), slices.Clone(v[:len(v)-1]), []any{})
	case map[string]any:
		c := maps.Clone(v)
		c[one(g.gen, "x", "port", "name", "", "host", "exact")] = one[any](g.gen, "x", 1, m{})
		return one[any](g.gen, c, m{})
	}
	return "x"
}

func walk(v any, put func(any), key string, out *[]place) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			*out = append(*out, place{v[k], k, func(x any) { v[k] = x }, func() { delete(v, k) }, func(n string) { v[n] = v[k]; delete(v, k) }})
			walk(v[k], func(x any) { v[k] = x }, k, out)
		}
	case []any:
		for i := range v {
			*out = append(*out, place{v[i], key, func(x any) { v[i] = x }, func() { put(slices.Delete(slices.Clone(v), i, i+1)) }, nil})
			walk(v[i], func(x any) { v[i] = x }, key, out)
		}
	}
}
