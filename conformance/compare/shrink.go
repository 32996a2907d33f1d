package compare

import (
	"slices"

	"github.com/go-inmesh/inmesh/conformance/istio"
	"github.com/go-inmesh/inmesh/conformance/world"
)

// Shrink reduces a difference to the smallest rules and request that still differ in the same field. It takes whatever
// it can away, one thing after the other, as long as Istio's admission takes what is left; budget is how many cases it
// may try.
func Shrink(d *Difference, budget int) *Difference {
	s := &shrinker{best: d, budget: budget}
	for before := -1; before != s.taken && s.budget > 0; {
		before = s.taken
		s.objects()
		s.request()
		s.fields()
	}
	return s.best
}

type shrinker struct {
	best   *Difference
	budget int
	taken  int
}

// try tells whether the case still differs, and keeps it then.
func (s *shrinker) try(c *world.Case) bool {
	if s.budget <= 0 {
		return false
	}
	s.budget--
	found, err := Case(c, len(s.best.Field) > 4 && s.best.Field[:5] == "sent ", NewTally())
	if err != nil || len(found) == 0 || found[0].Field != s.best.Field || found[0].Want.Outcome != s.best.Want.Outcome {
		return false
	}
	s.best = found[0]
	s.taken++
	return true
}

func (s *shrinker) copy() *world.Case {
	c := *s.best.Case
	c.Objects = slices.Clone(c.Objects)
	c.Calls = []world.Call{{Client: c.Calls[0].Client, Requests: slices.Clone(c.Calls[0].Requests)}}
	return &c
}

// objects leaves out whole documents, halves first.
func (s *shrinker) objects() {
	for n := max(1, len(s.best.Case.Objects)/2); n >= 1; n /= 2 {
		for i := 0; i < len(s.best.Case.Objects); {
			c := s.copy()
			c.Objects = slices.Delete(c.Objects, i, min(i+n, len(c.Objects)))
			if !s.try(c) {
				i += n
			}
		}
	}
}

// request leaves out headers and the query.
func (s *shrinker) request() {
	for k := range s.best.Case.Calls[0].Requests[0].Headers {
		c := s.copy()
		r := &c.Calls[0].Requests[0]
		h := map[string]string{}
		for name, v := range r.Headers {
			if name != k {
				h[name] = v
			}
		}
		r.Headers = h
		s.try(c)
	}
	for _, change := range []func(*world.Case){
		func(c *world.Case) { c.RegistryOnly = false },
		func(c *world.Case) { c.Calls[0].Requests[0].Path = "/" },
		func(c *world.Case) { c.Calls[0].Requests[0].Method = "GET" },
		func(c *world.Case) { c.Calls[0].Client.Labels = nil },
	} {
		c := s.copy()
		change(c)
		if jsonOf(c) != jsonOf(s.best.Case) {
			s.try(c)
		}
	}
}

// fields leaves out fields and items of lists.
func (s *shrinker) fields() {
	for i := 0; i < len(s.best.Case.Objects); i++ {
		tried := map[string]bool{}
		for again := true; again && s.budget > 0; {
			again = false
			object := s.best.Case.Objects[i]
			for _, path := range paths(object["spec"], "", 0) {
				if tried[path] {
					continue
				}
				tried[path] = true
				o := world.Clone(object)
				cut(o["spec"], path, func(v any) { o["spec"] = v })
				if world.IsIstio(o) {
					if v := istio.Validate(o); !v.Valid() {
						continue
					}
				}
				c := s.copy()
				c.Objects[i] = o
				if s.try(c) {
					tried, again = map[string]bool{}, true
					break
				}
			}
		}
	}
}
