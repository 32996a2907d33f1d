package rule

import (
	"github.com/go-inmesh/inmesh/internal/finding"
)

// Set is a whole rule set: every object once, in order. It is immutable.
type Set struct {
	objects []*Object
}

// NewSet puts the objects in order. Of two objects of one kind, namespace and name the later one stays, as
// with kubectl apply, and a finding says so.
func NewSet(objects []*Object) (*Set, []finding.Finding) {
	panic("owner: H1")
}

// Objects are all objects in order. The slice must not be changed.
func (s *Set) Objects() []*Object { return s.objects }

// Typed is an object with its spec's type known.
type Typed[T any] struct {
	*Object
	Spec T
}

// All gives the set's objects whose spec is of type T, in order.
func All[T any](s *Set) []Typed[T] {
	var out []Typed[T]
	for _, o := range s.objects {
		if spec, ok := o.Spec.(T); ok {
			out = append(out, Typed[T]{o, spec})
		}
	}
	return out
}
