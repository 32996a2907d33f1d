package validate

import (
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// HTTPRoute judges one route of a VirtualService that is not a delegate.
func HTTPRoute(fs *finding.Faults, path string, r *networking.HTTPRoute) {
	if r != nil {
		httpRoute(fs, path, r, false)
	}
}

func httpRoute(fs *finding.Faults, path string, r *networking.HTTPRoute, delegate bool) {
	actions(fs, path, r, delegate)
	for i, m := range r.Match {
		if m != nil {
			httpMatch(fs, finding.Index(finding.Join(path, "match"), i), m)
		}
	}
	Headers(fs, finding.Join(path, "headers"), r.Headers)
	CORS(fs, finding.Join(path, "corsPolicy"), r.CorsPolicy)
	HTTPFault(fs, finding.Join(path, "fault"), r.Fault)
	mirrors(fs, path, r)
	Redirect(fs, finding.Join(path, "redirect"), r.Redirect)
	redirectPrefix(fs, path, r)
	DirectResponse(fs, finding.Join(path, "directResponse"), r.DirectResponse)
	Retry(fs, finding.Join(path, "retries"), r.Retries)
	Rewrite(fs, finding.Join(path, "rewrite"), r.Rewrite)
	authorities(fs, path, r)
	destinations(fs, path, r.Route)
	Duration(fs, finding.Join(path, "timeout"), r.Timeout)
}

// actions wants one thing to do with a request, and nothing that would have no part in it.
func actions(fs *finding.Faults, path string, r *networking.HTTPRoute, delegate bool) {
	if r.Delegate != nil {
		if delegate {
			fs.Errorf(finding.Join(path, "delegate"), "a delegate delegates again, want one level")
		} else {
			if r.Redirect != nil {
				fs.Errorf(finding.Join(path, "redirect"), "redirect and delegate are set together")
			}
			if r.Route != nil {
				fs.Errorf(finding.Join(path, "route"), "route and delegate are set together")
			}
			return
		}
	}
	local := ""
	switch {
	case r.Redirect != nil:
		local = "redirect"
		if r.DirectResponse != nil {
			fs.Errorf(finding.Join(path, "directResponse"), "redirect and directResponse are set together")
		}
	case r.DirectResponse != nil:
		local = "directResponse"
	case len(r.Route) == 0:
		fs.Errorf(path, "no action, want route, redirect, directResponse or delegate")
	}
	if local != "" {
		for _, other := range []struct {
			name string
			set  bool
		}{{"route", len(r.Route) > 0}, {"fault", r.Fault != nil}, {"rewrite", r.Rewrite != nil}} {
			if other.set {
				fs.Errorf(finding.Join(path, other.name), "%s and %s are set together", local, other.name)
			}
		}
	}
	if r.Mirror != nil && len(r.Mirrors) > 0 {
		fs.Errorf(finding.Join(path, "mirrors"), "mirror and mirrors are set together")
	}
}

// authorities wants at most one place that sets the request's authority.
func authorities(fs *finding.Faults, path string, r *networking.HTTPRoute) {
	set := r.Rewrite.GetAuthority()
	request := finding.Join(path, "headers.request")
	for _, op := range []struct {
		name   string
		values map[string]string
	}{{"set", r.Headers.GetRequest().GetSet()}, {"add", r.Headers.GetRequest().GetAdd()}} {
		for _, name := range sorted(op.values) {
			if !strings.EqualFold(name, "host") && !strings.EqualFold(name, ":authority") {
				continue
			}
			if set != "" {
				fs.Errorf(finding.Key(finding.Join(request, op.name), name), "sets the authority again, after %q", set)
				return
			}
			set = op.values[name]
		}
	}
}

// destinations judges the weighted destinations of a route.
func destinations(fs *finding.Faults, path string, list []*networking.HTTPRouteDestination) {
	path = finding.Join(path, "route")
	weights := make([]int32, 0, len(list))
	for i, d := range list {
		at := finding.Index(path, i)
		if d == nil {
			fs.Errorf(at, "null, want a destination")
			continue
		}
		weighted(fs, at, d.Destination, d.Weight)
		Headers(fs, finding.Join(at, "headers"), d.Headers)
		weights = append(weights, d.Weight)
	}
	weightSum(fs, path, len(list), weights)
}
