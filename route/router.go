package route

import (
	"strconv"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/validate"
)

// Router finds the route of a request. It does not change and is safe for concurrent use.
type Router struct {
	// Rand draws the numbers in [0,1) that split traffic in Transport and Handler. Nil means math/rand/v2. It is
	// set before first use and must be safe for concurrent use.
	Rand func() float64

	routes []Route // one for each match entry, in order
	starts []int32 // where each HTTPRoute's entries begin
	index  *node
}

// New validates and compiles routes; their order counts. It fails with all faults, each with its path:
// "route: [1].match[0].uri.regex: …". The specs must not be changed afterwards.
//
// Of a match, gateways, sourceLabels and sourceNamespace are not looked at: they are about the caller, who is
// the same for all requests, so whoever knows the caller leaves out what cannot match before. A delegate must
// have been resolved. Faults and mirrors are compiled by those who act on them.
func New(routes ...*networking.HTTPRoute) (*Router, error) {
	var fs finding.Faults
	for i, spec := range routes {
		path := place(i)
		switch {
		case spec == nil:
			fs.Errorf(path, "null, want a route")
		case spec.Delegate != nil:
			fs.Errorf(path+".delegate", "%q is not resolved", spec.Delegate.Name)
		default:
			validate.HTTPRoute(&fs, path, spec)
		}
	}
	if err := fs.Err("route"); err != nil {
		return nil, err
	}
	return Compile(routes...)
}

// Compile is [New] for routes that were validated before, each where it is written: it checks nothing but what it
// cannot compile. A route that was put together of a VirtualService and its delegate may have what no single one may
// have, such as two sources of the authority; it does what Envoy makes of it. No route may be nil.
func Compile(routes ...*networking.HTTPRoute) (*Router, error) {
	var fs finding.Faults
	n := 0
	for _, spec := range routes {
		n += max(1, len(spec.Match))
	}
	r := &Router{routes: make([]Route, 0, n), starts: make([]int32, 0, len(routes))}
	c := compiler{expect: n}
	for i, spec := range routes {
		r.starts = append(r.starts, int32(len(r.routes)))
		var err error
		if r.routes, err = c.compile(r.routes, i, spec); err != nil {
			f := asFieldError(err)
			fs.Errorf(finding.Join(place(i), f.path), "%v", f.err)
		}
	}
	if err := fs.Err("route"); err != nil {
		return nil, err
	}
	r.index = newIndex(r.routes)
	return r, nil
}

// Match is the first route that the request meets, nil if there is none. It does not allocate, but for a header
// that has several values and is asked for.
func (r *Router) Match(q *Request) *Route {
	x := search{routes: r.routes, q: q}
	if hit := r.index.find(&x, int32(len(r.routes))); int(hit) < len(r.routes) {
		return &r.routes[hit]
	}
	return nil
}

// Len is the number of routes given to [New].
func (r *Router) Len() int { return len(r.starts) }

// Route is the route at a place among those given to [New], as its first match entry meets it.
func (r *Router) Route(i int) *Route { return &r.routes[r.starts[i]] }

// entries are the match entries of a route.
func (r *Router) entries(i int) []Route {
	end := len(r.routes)
	if i+1 < len(r.starts) {
		end = int(r.starts[i+1])
	}
	return r.routes[r.starts[i]:end]
}

// meets tells whether the request fulfils all of the entry's conditions. Regexes come last. With onPath it is
// known that the path has the bytes that the uri asks for.
func (r *Route) meets(q *Request, onPath bool) bool {
	conds := r.conds
	if t := &conds[0].text; onPath && t.op != regex && !t.line {
		conds = conds[1:]
	}
	for i := range conds {
		if c := &conds[i]; c.text.op != regex && !c.met(q) {
			return false
		}
	}
	if r.slow {
		for i := range conds {
			if c := &conds[i]; c.text.op == regex && !c.met(q) {
				return false
			}
		}
	}
	return true
}

// place is the path of a route among those given to New.
func place(i int) string { return "[" + strconv.Itoa(i) + "]" }
