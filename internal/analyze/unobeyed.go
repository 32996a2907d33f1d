package analyze

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/coverage"
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/internal/rule"
	"github.com/go-inmesh/inmesh/route"
)

// ownAnnotations begin so.
const ownAnnotations = "inmesh/"

// notObeyed says of every object what it asks for and does not get: what the account of Istio's fields says, and what
// depends on more than one field.
func (a *analysis) notObeyed() {
	account := coverage.NewChecker()
	for _, o := range a.set.Objects() {
		if spec, ok := o.Spec.(proto.Message); ok {
			for _, f := range account.NotObeyed(spec) {
				a.say(o, f.Severity, f.Path, f.Code, "%s", f.Message)
			}
		}
		for _, k := range slices.Sorted(maps.Keys(o.Annotations)) {
			if strings.HasPrefix(k, ownAnnotations) {
				a.annotation(o, k)
			}
		}
		switch spec := o.Spec.(type) {
		case *networking.VirtualService:
			for i, r := range spec.Http {
				a.routeNotObeyed(o, finding.Index("http", i), r)
			}
		case *networking.Gateway:
			for i, s := range spec.Servers {
				if why, field := leftOut(s); why != "" {
					a.warn(o, finding.Index("servers", i)+"."+field, finding.CodeNotObeyed, "not obeyed by this version: %s", why)
				}
			}
		}
	}
}

// annotation warns of one of ours that means nothing as it stands.
func (a *analysis) annotation(o *rule.Object, name string) {
	path, value := finding.Key("/metadata.annotations", name), o.Annotations[name]
	switch known := rule.AnnotationValues(o.Kind, name); {
	case len(known) == 0:
		a.warn(o, path, finding.CodeNotObeyed, "not obeyed by this version: no such annotation of a %s is known", o.Kind)
	case !slices.Contains(known, value):
		a.warn(o, path, finding.CodeNotObeyed, "not obeyed: %q is not %s", value, strings.Join(known, " or "))
	}
}

// routeNotObeyed finds what the compiler of routes refuses.
func (a *analysis) routeNotObeyed(o *rule.Object, path string, r *networking.HTTPRoute) {
	if r.GetDelegate() == nil && compiles(r) {
		for _, f := range route.Refused(r) {
			a.say(o, f.Severity, finding.Join(path, f.Path), f.Code, "%s", f.Message)
		}
	}
}

// compiles tells whether the route has anything that a compiler may refuse though Istio's admission does not.
func compiles(r *networking.HTTPRoute) bool {
	if r.GetRedirect() != nil || r.GetRewrite().GetUriRegexRewrite() != nil || formats(r.GetHeaders()) {
		return true
	}
	return slices.ContainsFunc(r.GetRoute(), func(d *networking.HTTPRouteDestination) bool { return formats(d.GetHeaders()) })
}

// formats tells whether any header has a formatter.
func formats(h *networking.Headers) bool {
	for _, ops := range []*networking.Headers_HeaderOperations{h.GetRequest(), h.GetResponse()} {
		for _, values := range []map[string]string{ops.GetSet(), ops.GetAdd()} {
			for _, v := range values {
				if strings.Contains(v, "%") {
					return true
				}
			}
		}
	}
	return false
}

// leftOut is why a server of a Gateway is not there, and the field that says so; empty for those that speak HTTP to us.
func leftOut(s *networking.Server) (why, field string) {
	switch protocol := strings.ToUpper(s.GetPort().GetProtocol()); protocol {
	case "HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTP_PROXY":
	case "HTTPS":
		if m := s.GetTls().GetMode(); m == networking.ServerTLSSettings_PASSTHROUGH || m == networking.ServerTLSSettings_AUTO_PASSTHROUGH {
			return "with " + m.String() + " the server is left out", "tls.mode"
		}
	default:
		return "servers of " + cmp.Or(protocol, "no protocol") + " are left out, only those of HTTP and HTTPS are there", "port.protocol"
	}
	return "", ""
}

// clientTLS looks at what a rule's TLS leaves open.
func (a *analysis) clientTLS(d *destinationRule, services []*registry.Service) {
	named := len(services) > 0 && !slices.ContainsFunc(services, func(s *registry.Service) bool { return !a.known(s) })
	look := func(path string, t *networking.ClientTLSSettings) {
		if t.GetMode() == networking.ClientTLSSettings_ISTIO_MUTUAL && len(t.SubjectAltNames) == 0 && !named {
			a.warn(d.Object, path+".tls.mode", finding.CodeSuspicious,
				"nothing says who the servers are: neither subjectAltNames nor service accounts of the endpoints; any workload of the trust domain may answer")
		}
	}
	policy := func(path string, p *networking.TrafficPolicy) {
		look(path, p.GetTls())
		for i, s := range p.GetPortLevelSettings() {
			look(finding.Index(path+".portLevelSettings", i), s.GetTls())
		}
	}
	policy("trafficPolicy", d.Spec.TrafficPolicy)
	for i, s := range d.Spec.Subsets {
		policy(finding.Index("subsets", i)+".trafficPolicy", s.GetTrafficPolicy())
	}
}

// known tells whether the rules say which identities answer for the service: by name, or by service accounts.
func (a *analysis) known(s *registry.Service) bool {
	if len(s.SubjectAltNames) > 0 {
		return true
	}
	for _, p := range s.Ports {
		for _, e := range a.registry.Endpoints(s, p.Number) {
			if e.ServiceAccount != "" {
				return true
			}
		}
	}
	return false
}
