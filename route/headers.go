package route

import (
	"net/http"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"
)

// Ops is what happens to a message's headers, for people and tools: first Remove, then Set, then Add. Values
// are as the rule has them, with their formatters. Changes of the host are not among them: see [Route.Authority].
type Ops struct {
	Set    map[string]string `json:"set,omitempty"`
	Add    map[string]string `json:"add,omitempty"`
	Remove []string          `json:"remove,omitempty"`
}

// headerOps is one level's compiled operations. A nil pointer does nothing.
type headerOps struct {
	remove   []string // canonical
	set, add []headerValue
}

type headerValue struct {
	name  string // canonical
	value template
}

// apply runs the operations on h: all values are made first, after the removals, then set, then added.
func (o *headerOps) apply(h http.Header, env *HeaderEnv, response bool) {
	if o == nil {
		return
	}
	for _, name := range o.remove {
		delete(h, name)
	}
	var buf [8]string
	values := buf[:0]
	for _, list := range [2][]headerValue{o.set, o.add} {
		for i := range list {
			values = append(values, list[i].value.format(h, env, response))
		}
	}
	for i := range o.set {
		if values[i] != "" {
			h[o.set[i].name] = []string{values[i]}
		}
	}
	for i := range o.add {
		if v := values[len(o.set)+i]; v != "" {
			h[o.add[i].name] = append(slices.Clip(h[o.add[i].name]), v)
		}
	}
}

// compileOps compiles one level's operations. The host is left out: it is the authority's business.
func compileOps(path string, o *networking.Headers_HeaderOperations) (*headerOps, error) {
	if o == nil || len(o.Set)+len(o.Add)+len(o.Remove) == 0 {
		return nil, nil
	}
	out := new(headerOps)
	for _, name := range o.Remove {
		if !isInternal(name) {
			out.remove = append(out.remove, http.CanonicalHeaderKey(name))
		}
	}
	for _, list := range []struct {
		field string
		from  map[string]string
		to    *[]headerValue
	}{{"set", o.Set, &out.set}, {"add", o.Add, &out.add}} {
		for _, name := range sorted(list.from) {
			if isInternal(name) {
				continue
			}
			t, err := parseTemplate(list.from[name])
			if err != nil {
				return nil, fieldError(path+"."+list.field+"["+name+"]", err)
			}
			*list.to = append(*list.to, headerValue{http.CanonicalHeaderKey(name), t})
		}
	}
	return out, nil
}

// joinOps makes one list of two, as Istio does where a route has one destination: the removals of both, then
// what the route sets and the destination sets, then what they add.
func joinOps(route, dest *headerOps) *headerOps {
	switch {
	case route == nil:
		return dest
	case dest == nil:
		return route
	}
	return &headerOps{
		remove: slices.Concat(route.remove, dest.remove),
		set:    slices.Concat(route.set, dest.set),
		add:    slices.Concat(route.add, dest.add),
	}
}

// isInternal tells the names that header operations cannot touch.
func isInternal(name string) bool {
	return strings.HasPrefix(name, ":") || strings.EqualFold(name, "host")
}

// authorityOf is the authority that header operations ask for: "set" goes before "add".
func authorityOf(h *networking.Headers) string {
	for _, m := range []map[string]string{h.GetRequest().GetSet(), h.GetRequest().GetAdd()} {
		for _, name := range sorted(m) {
			if (strings.EqualFold(name, ":authority") || strings.EqualFold(name, "host")) && m[name] != "" {
				return m[name]
			}
		}
	}
	return ""
}

// mergeOps is what the levels come to when they run one after the other.
func mergeOps(levels ...*headerOps) Ops {
	var out Ops
	for _, o := range levels {
		if o == nil {
			continue
		}
		for _, name := range o.remove {
			delete(out.Set, name)
			delete(out.Add, name)
			if !slices.Contains(out.Remove, name) {
				out.Remove = append(out.Remove, name)
			}
		}
		for _, v := range o.set {
			if v.value.src != "" { // which is never applied
				put(&out.Set, v)
				delete(out.Add, v.name)
			}
		}
		for _, v := range o.add {
			if v.value.src != "" {
				if have := out.Add[v.name]; have != "" {
					v.value.src = have + "," + v.value.src
				}
				put(&out.Add, v)
			}
		}
	}
	slices.Sort(out.Remove)
	if len(out.Set) == 0 {
		out.Set = nil
	}
	if len(out.Add) == 0 {
		out.Add = nil
	}
	return out
}

func put(m *map[string]string, v headerValue) {
	if *m == nil {
		*m = make(map[string]string)
	}
	(*m)[v.name] = v.value.src
}
