package rule

import (
	"fmt"
	"time"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// Set is a whole rule set: every object once, in order. It is immutable.
type Set struct {
	objects []*Object
}

// NewSet puts the objects in order. Of two objects of one kind, namespace and name the later one stays, as
// with kubectl apply: it takes the place of the earlier one, and a warning at that one says so. The objects
// belong to the set from then on; one that is part of another set already is copied.
func NewSet(objects []*Object) (*Set, []finding.Finding) {
	type key struct{ kind, namespace, name string }
	var findings []finding.Finding
	set := &Set{objects: make([]*Object, 0, len(objects))}
	places := make(map[key]int, len(objects))
	for _, o := range objects {
		k := key{groupOf(o.APIVersion) + "/" + o.Kind, o.Namespace, o.Name}
		i, again := places[k]
		if !again {
			places[k] = len(set.objects)
			set.objects = append(set.objects, o)
			continue
		}
		if earlier := set.objects[i]; earlier != o {
			findings = append(findings, replaced(earlier, o))
			set.objects[i] = o
		}
	}
	var latest time.Time
	for i, o := range set.objects {
		made := o.CreationTimestamp
		if made.IsZero() {
			made = latest
		} else if made.After(latest) {
			latest = made
		}
		if o.order == i+1 && o.made.Equal(made) {
			continue // of another set perhaps, which others read
		}
		if o.order != 0 {
			c := *o
			o = &c
			set.objects[i] = o
		}
		o.order, o.made = i+1, made
	}
	return set, findings
}

// replaced says, at the earlier object, which later one took its place.
func replaced(earlier, later *Object) finding.Finding {
	by := "a later object of the same name"
	if p := later.Position.String(); p != "" {
		by = p
	}
	return finding.Finding{
		Position: earlier.Position, Kind: earlier.Kind, Namespace: earlier.Namespace, Name: earlier.Name,
		Path: "metadata.name", Severity: finding.Warning, Code: finding.CodeReplaced,
		Message: fmt.Sprintf("not used: %s stands again in %s and replaces this one", earlier, by),
	}
}

// Objects are all objects in order. The slice must not be changed.
func (s *Set) Objects() []*Object { return s.objects }

// Len is the number of objects.
func (s *Set) Len() int { return len(s.objects) }

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
