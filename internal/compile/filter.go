package compile

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	networking "istio.io/api/networking/v1"
)

// client is what is known of all requests before one comes: who sends them, and through which gateway.
type client struct {
	gateway   string // "mesh", or "namespace/name"
	port      int    // of the gateway's server; 0 in the mesh, where it is left to the router
	namespace string
	labels    map[string]string
}

// filter drops what can never match for this client, and what stands behind a route that always matches. Routes
// that stay whole are the rule's own; others are copies.
func (cl *client) filter(in []source, ruleNamespace string) []source {
	out := in[:0:0]
	for _, s := range in {
		if len(s.spec.Match) == 0 {
			s.catchAll = true
			return append(out, s)
		}
		var kept []*networking.HTTPMatchRequest
		changed := false
		for _, m := range s.spec.Match {
			if !cl.fits(m, ruleNamespace) {
				changed = true
				continue
			}
			if n := cl.strip(m); n != m {
				m, changed = n, true
			}
			kept = append(kept, m)
			if catchAll(m) {
				s.catchAll = true
				break
			}
		}
		if len(kept) == 0 {
			continue
		}
		if changed || len(kept) != len(s.spec.Match) {
			s.spec = shallow(s.spec)
			s.spec.Match = kept
		}
		out = append(out, s)
		if s.catchAll {
			break
		}
	}
	return out
}

// fits tells whether the client can meet the match. Where it names gateways, the source is not looked at.
func (cl *client) fits(m *networking.HTTPMatchRequest, ruleNamespace string) bool {
	if m == nil {
		return true
	}
	if cl.port != 0 && m.Port != 0 && int(m.Port) != cl.port {
		return false
	}
	if len(m.Gateways) > 0 {
		return slices.ContainsFunc(m.Gateways, func(g string) bool { return gatewayRef(g, ruleNamespace) == cl.gateway })
	}
	return subset(m.SourceLabels, cl.labels) && (m.SourceNamespace == "" || m.SourceNamespace == cl.namespace)
}

// strip takes away the conditions that fits has answered.
func (cl *client) strip(m *networking.HTTPMatchRequest) *networking.HTTPMatchRequest {
	port := cl.port != 0 && m.GetPort() != 0
	if m == nil || !port && len(m.Gateways) == 0 && len(m.SourceLabels) == 0 && m.SourceNamespace == "" {
		return m
	}
	m = shallow(m)
	m.Gateways, m.SourceLabels, m.SourceNamespace = nil, nil, ""
	if port {
		m.Port = 0
	}
	return m
}

// catchAll tells whether every request on every port meets the match.
func catchAll(m *networking.HTTPMatchRequest) bool {
	if m == nil {
		return true
	}
	if m.Port != 0 || m.Method != nil || m.Scheme != nil || m.Authority != nil ||
		len(m.Headers)+len(m.WithoutHeaders)+len(m.QueryParams) > 0 {
		return false
	}
	switch u := m.Uri.GetMatchType().(type) {
	case nil:
		return true
	case *networking.StringMatch_Prefix:
		return u.Prefix == "/"
	case *networking.StringMatch_Regex:
		return u.Regex == ".*"
	}
	return false
}

// ports are those on which some of the routes can match; nil means all.
func ports(routes []source) []int {
	var out []int
	for _, s := range routes {
		if len(s.spec.Match) == 0 {
			return nil
		}
		for _, m := range s.spec.Match {
			if m.GetPort() == 0 {
				return nil
			}
			out = append(out, int(m.Port))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// gatewayRef completes a gateway's name: "mesh", or "namespace/name".
func gatewayRef(name, namespace string) string {
	if name == mesh {
		return name
	}
	if ns, rest, ok := strings.Cut(name, "/"); ok {
		if ns == "." {
			ns = namespace
		}
		return ns + "/" + rest
	}
	// An early form is the name of a service: name.namespace.svc.cluster.local.
	if short, rest, ok := strings.Cut(name, "."); ok {
		ns, _, _ := strings.Cut(rest, ".")
		return ns + "/" + short
	}
	return namespace + "/" + name
}

// subset tells whether the labels have all that are wanted.
func subset(want, labels map[string]string) bool {
	for k, v := range want {
		if have, ok := labels[k]; !ok || have != v {
			return false
		}
	}
	return true
}

// shallow copies a message without what it points to.
func shallow[T proto.Message](m T) T {
	out := m.ProtoReflect().New()
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		out.Set(f, v)
		return true
	})
	return out.Interface().(T)
}
