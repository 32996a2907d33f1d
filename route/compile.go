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

// compile makes a route of each entry of an HTTPRoute's match.
func compile(index int, spec *networking.HTTPRoute, c *texts) ([]*Route, error) {
	shared, err := newRule(index, spec, c)
	if err != nil {
		return nil, err
	}
	matches := spec.Match
	if len(matches) == 0 {
		matches = []*networking.HTTPMatchRequest{nil}
	}
	entries := make([]Route, len(matches))
	out := make([]*Route, len(matches))
	for i, m := range matches {
		conds, err := c.conditions(m)
		if err != nil {
			return nil, fieldError(fmt.Sprintf("match[%d]", i), err)
		}
		name := spec.Name
		if m.GetName() != "" {
			name += "." + m.Name
		}
		entries[i] = Route{name: name, conds: conds, rule: shared}
		for j := range conds {
			entries[i].slow = entries[i].slow || conds[j].text.op == regex
		}
		out[i] = &entries[i]
	}
	return out, nil
}

// newRule compiles what a route does.
func newRule(index int, spec *networking.HTTPRoute, c *texts) (*rule, error) {
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
		err = r.compileDests(spec)
	}
	return r, err
}

// compileDests compiles the destinations of a route that forwards.
func (r *rule) compileDests(spec *networking.HTTPRoute) error {
	r.split = newSplit(spec.Route)
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
		path := fmt.Sprintf("route[%d].headers.", i)
		var err error
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
