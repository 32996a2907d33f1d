package analyze

import "slices"

// scope is who sees an object, from its exportTo. Nil is everybody.
type scope []string

func newScope(exportTo []string, namespace string) scope {
	if len(exportTo) == 0 || slices.Contains(exportTo, "*") {
		return nil
	}
	out := make(scope, 0, len(exportTo))
	for _, e := range exportTo {
		if e == "." {
			e = namespace
		}
		if e != "~" {
			out = append(out, e)
		}
	}
	return out
}

// sees tells whether clients in the namespace see the object.
func (s scope) sees(namespace string) bool { return s == nil || slices.Contains(s, namespace) }

// rivals tells whether two objects are equally near to some client: both public, or both exported to it by name.
func (s scope) rivals(t scope) bool {
	if s == nil || t == nil {
		return s == nil && t == nil
	}
	return slices.ContainsFunc(s, func(ns string) bool { return slices.Contains(t, ns) })
}
