package route

import (
	"errors"
	"fmt"

	networking "istio.io/api/networking/v1"
)

// pathError is what is wrong with a field of an HTTPRoute.
type pathError struct {
	path string
	err  error
}

func (e *pathError) Error() string { return e.path + ": " + e.err.Error() }
func (e *pathError) Unwrap() error { return e.err }

func fieldError(path string, err error) error { return &pathError{path, err} }

func asFieldError(err error) *pathError {
	var p *pathError
	if errors.As(err, &p) {
		return p
	}
	return &pathError{err: err}
}

// compiler holds what the routes of one router share while they are compiled.
type compiler struct {
	regexes map[string]text // by their source
	slab    []cond          // what is left of the conditions that were made at once
	expect  int             // entries that are still to come
	retry   *RetryPolicy    // of routes that say nothing of retries
}

// room gives space for the conditions of an entry, next to those of the entry before.
func (c *compiler) room(n int) []cond {
	if cap(c.slab) < n {
		c.slab = make([]cond, 0, max(n, min(2*c.expect, 1024)))
	}
	return c.slab[:0:n]
}

// took says how many of the conditions are used.
func (c *compiler) took(n int) {
	c.slab = c.slab[n:cap(c.slab)][:0]
	c.expect--
}

// compile appends a route for each entry of an HTTPRoute's match.
func (c *compiler) compile(routes []Route, index int, spec *networking.HTTPRoute) ([]Route, error) {
	shared, err := c.rule(index, spec)
	if err != nil {
		return routes, err
	}
	matches := spec.Match
	if len(matches) == 0 {
		matches = []*networking.HTTPMatchRequest{nil}
	}
	for i, m := range matches {
		conds, err := c.conditions(m)
		if err != nil {
			return routes, fieldError(fmt.Sprintf("match[%d]", i), err)
		}
		r := Route{name: spec.Name, conds: conds, rule: shared}
		if m.GetName() != "" {
			r.name += "." + m.Name
		}
		for j := range conds {
			r.slow = r.slow || conds[j].text.op == regex
		}
		routes = append(routes, r)
	}
	return routes, nil
}

// rule compiles what a route does.
func (c *compiler) rule(index int, spec *networking.HTTPRoute) (*rule, error) {
	r := &rule{index: index, spec: spec, timeout: spec.GetTimeout().AsDuration()}
	var err error
	if r.cors, err = newCORS(spec.CorsPolicy, c); err != nil {
		return nil, fieldError("corsPolicy.allowOrigins", err)
	}
	if r.redirect, err = newRedirect(spec.Redirect); err != nil {
		return nil, err
	}
	if r.rewrite, err = newRewrite(spec.Rewrite); err != nil {
		return nil, err
	}
	if r.requests, err = compileOps("headers.request", spec.GetHeaders().GetRequest()); err != nil {
		return nil, err
	}
	if r.responds, err = compileOps("headers.response", spec.GetHeaders().GetResponse()); err != nil {
		return nil, err
	}
	switch {
	case spec.Redirect != nil:
		r.action = Redirect
	case spec.DirectResponse != nil:
		r.action, r.body = DirectResponse, directBody(spec.DirectResponse)
	default:
		err = c.dests(r, spec)
	}
	return r, err
}

// dests compiles the destinations of a route that forwards.
func (c *compiler) dests(r *rule, spec *networking.HTTPRoute) error {
	r.split = newSplit(spec.Route)
	var err error
	if r.retry, err = c.retries(spec.Retries); err != nil {
		return fieldError("retries", err)
	}
	authority := authorityOf(spec.Headers)
	if a := spec.GetRewrite().GetAuthority(); a != "" {
		authority = a
	}
	r.dests = make([]target, len(spec.Route))
	for i, d := range spec.Route {
		out := &r.dests[i]
		if out.authority = authority; authority == "" {
			out.authority = authorityOf(d.GetHeaders())
		}
		if d.Headers == nil {
			continue
		}
		path := fmt.Sprintf("route[%d].headers.", i)
		if out.request, err = compileOps(path+"request", d.GetHeaders().GetRequest()); err != nil {
			return err
		}
		if out.response, err = compileOps(path+"response", d.GetHeaders().GetResponse()); err != nil {
			return err
		}
	}
	if len(r.dests) == 1 {
		d := &r.dests[0]
		r.requests, d.request = joinOps(r.requests, d.request), nil
		r.responds, d.response = joinOps(r.responds, d.response), nil
	}
	return nil
}

// retries compiles a policy; the default one is made once.
func (c *compiler) retries(spec *networking.HTTPRetry) (*RetryPolicy, error) {
	if spec != nil {
		return NewRetry(spec)
	}
	var err error
	if c.retry == nil {
		c.retry, err = NewRetry(nil)
	}
	return c.retry, err
}
