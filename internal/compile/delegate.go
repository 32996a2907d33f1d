package compile

import (
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// source is one route of a VirtualService or Ingress on its way to a router, with where it comes from.
type source struct {
	spec            *networking.HTTPRoute
	object          *rule.Object
	index           int
	delegate        *rule.Object
	delegateIndex   int
	path            string
	namespace       string // completes the hosts of destinations
	mirrorNamespace string
	catchAll        bool // every request matches; set by filter
}

// expand lists the routes of a VirtualService, those of its delegates in place of the routes that name them.
// A delegate that is not there, or that is not exported to the root's namespace, costs only its route.
//
// See https://istio.io/latest/docs/reference/config/networking/virtual-service/#Delegate.
func (c *compiler) expand(v *virtualService) []source {
	out := make([]source, 0, len(v.spec.Http))
	for i, r := range v.spec.Http {
		if r == nil {
			continue
		}
		s := source{spec: r, object: v.object, index: i, namespace: v.object.Namespace, mirrorNamespace: v.object.Namespace}
		if r.Delegate == nil {
			out = append(out, s)
			continue
		}
		path := finding.Index("http", i) + ".delegate"
		namespace := r.Delegate.Namespace
		if namespace == "" {
			namespace = v.object.Namespace
		}
		ref := namespace + "/" + r.Delegate.Name
		d := c.delegates[ref]
		switch {
		case d == nil && c.hosted[ref]:
			c.warn(v.object, path, codeUnresolved, "VirtualService %s has hosts: a delegate has none; the route is left out", ref)
			continue
		case d == nil:
			c.warn(v.object, path, codeUnresolved, "no VirtualService %s: the route is left out", ref)
			continue
		case !exported(d.spec.ExportTo, namespace, v.object.Namespace):
			c.warn(v.object, path, codeUnresolved, "VirtualService %s is not exported to namespace %s: the route is left out", ref, v.object.Namespace)
			continue
		}
		for j, leaf := range d.spec.Http {
			if leaf == nil {
				continue
			}
			at := finding.Index("http", j)
			if leaf.Delegate != nil {
				c.errorf(d.object, at+".delegate", finding.CodeRefused, "a delegate (of %s) delegates again; one level is allowed", v.object.Ref())
				continue
			}
			merged, ok := mergeRoute(r, leaf)
			if !ok {
				c.warn(d.object, at+".match", finding.CodeSuspicious, "no match lies within those of http[%d] of VirtualService %s: the route is left out there", i, v.object.Ref())
				continue
			}
			s := s
			s.spec, s.delegate, s.delegateIndex, s.namespace = merged, d.object, j, namespace
			if leaf.Mirror != nil || leaf.Mirrors != nil {
				s.mirrorNamespace = namespace
			}
			out = append(out, s)
		}
	}
	return out
}

// mergeRoute is the delegate's route with what the root's adds to it, or false where the delegate's matches do
// not lie within the root's.
func mergeRoute(root, leaf *networking.HTTPRoute) (*networking.HTTPRoute, bool) {
	match, ok := mergeMatches(root.Match, leaf.Match)
	if !ok {
		return nil, false
	}
	out := shallow(leaf)
	out.Match = match
	out.Name = joinName(root.Name, leaf.Name)
	if leaf.Redirect == nil && leaf.DirectResponse == nil {
		if len(leaf.Route) == 0 {
			out.DirectResponse = root.DirectResponse
		}
		out.Rewrite = cmpNil(leaf.Rewrite, root.Rewrite)
		out.Fault = cmpNil(leaf.Fault, root.Fault)
	}
	out.Timeout = cmpNil(leaf.Timeout, root.Timeout)
	out.Retries = cmpNil(leaf.Retries, root.Retries)
	out.CorsPolicy = cmpNil(leaf.CorsPolicy, root.CorsPolicy)
	out.Headers = cmpNil(leaf.Headers, root.Headers)
	if leaf.Mirror == nil && leaf.Mirrors == nil {
		out.Mirror, out.Mirrors = root.Mirror, root.Mirrors
	}
	if leaf.MirrorPercentage == nil && leaf.MirrorPercent == nil {
		out.MirrorPercentage, out.MirrorPercent = root.MirrorPercentage, root.MirrorPercent
	}
	return out, true
}

func cmpNil[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

func joinName(root, leaf string) string {
	if root == "" || leaf == "" {
		return root + leaf
	}
	return root + "-" + leaf
}

// mergeMatches pairs each match of the delegate with each of the root that it lies within; it must find one.
func mergeMatches(root, leaf []*networking.HTTPMatchRequest) ([]*networking.HTTPMatchRequest, bool) {
	if len(root) == 0 {
		return leaf, true
	}
	if len(leaf) == 0 {
		return root, true
	}
	var out []*networking.HTTPMatchRequest
	for _, l := range leaf {
		found := false
		for _, r := range root {
			if within(l, r) {
				out = append(out, mergeMatch(r, l))
				found = true
			}
		}
		if !found {
			return nil, false
		}
	}
	return out, true
}

func mergeMatch(root, leaf *networking.HTTPMatchRequest) *networking.HTTPMatchRequest {
	out := shallow(leaf)
	out.Name = joinName(root.GetName(), leaf.GetName())
	out.Uri = cmpNil(leaf.GetUri(), root.GetUri())
	out.Scheme = cmpNil(leaf.GetScheme(), root.GetScheme())
	out.Method = cmpNil(leaf.GetMethod(), root.GetMethod())
	out.Authority = cmpNil(leaf.GetAuthority(), root.GetAuthority())
	out.Headers = union(root.GetHeaders(), leaf.GetHeaders())
	out.WithoutHeaders = union(root.GetWithoutHeaders(), leaf.GetWithoutHeaders())
	out.QueryParams = union(root.GetQueryParams(), leaf.GetQueryParams())
	out.SourceLabels = union(root.GetSourceLabels(), leaf.GetSourceLabels())
	if out.Port == 0 {
		out.Port = root.GetPort()
	}
	if out.SourceNamespace == "" {
		out.SourceNamespace = root.GetSourceNamespace()
	}
	if len(out.Gateways) == 0 {
		out.Gateways = root.GetGateways()
	}
	if out.StatPrefix == "" {
		out.StatPrefix = root.GetStatPrefix()
	}
	return out
}

func union[V any](root, leaf map[string]V) map[string]V {
	if len(root) == 0 {
		return leaf
	}
	out := maps.Clone(root)
	maps.Copy(out, leaf)
	return out
}

// within tells whether every request that the delegate's match takes can be one that the root's takes.
func within(leaf, root *networking.HTTPMatchRequest) bool {
	pairs := [][2]*networking.StringMatch{
		{leaf.GetUri(), root.GetUri()}, {leaf.GetScheme(), root.GetScheme()},
		{leaf.GetMethod(), root.GetMethod()}, {leaf.GetAuthority(), root.GetAuthority()},
	}
	for k, m := range leaf.GetHeaders() {
		pairs = append(pairs, [2]*networking.StringMatch{m, root.GetHeaders()[k]})
	}
	for k, m := range leaf.GetWithoutHeaders() {
		pairs = append(pairs, [2]*networking.StringMatch{m, root.GetWithoutHeaders()[k]})
	}
	for k, m := range leaf.GetQueryParams() {
		pairs = append(pairs, [2]*networking.StringMatch{m, root.GetQueryParams()[k]})
	}
	for _, p := range pairs {
		if !textWithin(p[0], p[1]) {
			return false
		}
	}
	if leaf.GetIgnoreUriCase() != root.GetIgnoreUriCase() {
		return false
	}
	if l, r := leaf.GetPort(), root.GetPort(); l != 0 && r != 0 && l != r {
		return false
	}
	if ns := root.GetSourceNamespace(); ns != "" && leaf.GetSourceNamespace() != ns {
		return false
	}
	for k, v := range leaf.GetSourceLabels() {
		if r, ok := root.GetSourceLabels()[k]; ok && r != v {
			return false
		}
	}
	if len(leaf.GetGateways()) > 0 && len(root.GetGateways()) > 0 {
		for _, g := range leaf.GetGateways() {
			if !slices.Contains(root.GetGateways(), g) {
				return false
			}
		}
	}
	return true
}

// textWithin compares two conditions on one text. Where one is absent, there is nothing to contradict.
// A regex lies within nothing, and nothing within a regex.
func textWithin(leaf, root *networking.StringMatch) bool {
	if leaf == nil || root == nil {
		return true
	}
	if leaf.GetRegex() != "" || root.GetRegex() != "" {
		return false
	}
	if exact := root.GetExact(); exact != "" {
		return leaf.GetPrefix() == "" && leaf.GetExact() == exact
	}
	prefix := root.GetPrefix()
	if prefix == "" {
		return false
	}
	if p := leaf.GetPrefix(); p != "" {
		return strings.HasPrefix(p, prefix)
	}
	return leaf.GetExact() != "" && strings.HasPrefix(leaf.GetExact(), prefix)
}
