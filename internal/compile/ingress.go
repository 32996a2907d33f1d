package compile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/kube"
	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// compileIngresses makes a gateway of each Ingress, as Istio does: port 80, longest path first.
//
// See https://istio.io/latest/docs/tasks/traffic-management/ingress/kubernetes-ingress/.
func (c *compiler) compileIngresses() {
	for _, t := range rule.All[*kube.Ingress](c.in.Set) {
		if _, taken := c.out.Gateways[t.Ref()]; taken {
			c.warn(t.Object, "/metadata.name", finding.CodeNotObeyed, "a Gateway has the same name: the Ingress is left out")
			continue
		}
		g := &Gateway{Name: t.Ref(), Object: t.Object}
		c.out.Gateways[g.Name] = g
		c.ingressServer(g, t.Spec, 80, false)
		if len(t.Spec.TLS) > 0 {
			c.warn(t.Object, "tls", finding.CodeNotObeyed, "secrets are not read: the certificate comes from whoever listens")
			c.ingressServer(g, t.Spec, 443, true)
		}
	}
}

func (c *compiler) ingressServer(g *Gateway, spec *kube.Ingress, port int, tls bool) {
	s := &Server{Port: port, TLS: tls}
	g.Servers = append(g.Servers, s)
	group := g.group(s)
	byHost := map[string][]source{}
	for i, r := range spec.Rules {
		h := host.Normal(cmp.Or(r.Host, "*"))
		if _, ok := byHost[h]; !ok {
			s.Hosts = append(s.Hosts, h)
		}
		byHost[h] = append(byHost[h], c.ingressRoutes(g.Object, i, r, !tls)...)
	}
	if spec.Default != nil {
		if _, ok := byHost["*"]; !ok {
			s.Hosts = append(s.Hosts, "*")
		}
	}
	for _, h := range s.Hosts {
		group.take(h, s)
		routes := byHost[h]
		slices.SortStableFunc(routes, func(a, b source) int { return pathOrder(a.spec, b.spec) })
		if spec.Default != nil {
			if r := c.ingressBackend(g.Object, "defaultBackend", *spec.Default, !tls); r != nil {
				routes = append(routes, source{spec: r, object: g.Object, index: len(routes), path: "spec.defaultBackend", namespace: g.Object.Namespace})
			}
		}
		if len(routes) == 0 {
			continue
		}
		p := &program{routes: routes}
		c.finish(p)
		group.add(h, s, nil)
		entry, _ := group.hosts.Get(h)
		entry.host = &VirtualHost{Name: domainName(h, port), Object: g.Object, Router: p.router, Routes: p.linked, Port: port}
	}
}

// ingressRoutes makes a route of each path; report says whether findings are wanted.
func (c *compiler) ingressRoutes(o *rule.Object, i int, r kube.IngressRule, report bool) []source {
	var out []source
	for j, p := range r.Paths {
		path := fmt.Sprintf("rules[%d].http.paths[%d]", i, j)
		spec := c.ingressBackend(o, path+".backend", p.Backend, report)
		if spec == nil {
			continue
		}
		spec.Match = ingressMatch(p)
		if report && p.Type != "Exact" && p.Type != "Prefix" && p.Path == "/" {
			c.warn(o, path+".path", finding.CodeSuspicious, `"/" without a pathType matches this very path only, as in Istio; pathType Prefix matches all`)
		}
		out = append(out, source{spec: spec, object: o, index: j, path: "spec." + path, namespace: o.Namespace})
	}
	return out
}

// ingressMatch is the condition on the path. A prefix counts in whole segments, so it takes two.
func ingressMatch(p kube.IngressPath) []*networking.HTTPMatchRequest {
	exact := func(s string) *networking.HTTPMatchRequest {
		return &networking.HTTPMatchRequest{Uri: &networking.StringMatch{MatchType: &networking.StringMatch_Exact{Exact: s}}}
	}
	prefix := func(s string) []*networking.HTTPMatchRequest {
		s = strings.TrimSuffix(s, "/")
		below := &networking.HTTPMatchRequest{Uri: &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: s + "/"}}}
		if s == "" {
			return []*networking.HTTPMatchRequest{below}
		}
		return []*networking.HTTPMatchRequest{exact(s), below}
	}
	switch p.Type {
	case "Exact":
		return []*networking.HTTPMatchRequest{exact(p.Path)}
	case "Prefix":
		return prefix(p.Path)
	}
	if p.Path == "" || p.Path == "*" || p.Path == "/*" || p.Path == ".*" {
		return nil
	}
	for _, wild := range []string{".*", "/*"} {
		if head, ok := strings.CutSuffix(p.Path, wild); ok {
			return prefix(head)
		}
	}
	return []*networking.HTTPMatchRequest{exact(p.Path)}
}

// pathOrder puts the longest path first, of two as long the exact one, and what has none at the end.
func pathOrder(a, b *networking.HTTPRoute) int {
	length := func(r *networking.HTTPRoute) (n int, exact bool) {
		switch len(r.Match) {
		case 0:
			return -1, false
		case 2: // a prefix in whole segments
			return len(r.Match[0].Uri.GetExact()), false
		}
		if u, ok := r.Match[0].Uri.MatchType.(*networking.StringMatch_Exact); ok {
			return len(u.Exact), true
		}
		return len(r.Match[0].Uri.GetPrefix()), false
	}
	an, ae := length(a)
	bn, be := length(b)
	switch {
	case an != bn:
		return bn - an
	case ae == be:
		return 0
	case ae:
		return -1
	}
	return 1
}

// ingressBackend is a route to the backend, nil where its port has a name that its service does not know.
func (c *compiler) ingressBackend(o *rule.Object, path string, b kube.IngressBackend, report bool) *networking.HTTPRoute {
	hostname := host.Resolve(b.Service, o.Namespace, c.domain)
	port := b.Port
	if port == 0 {
		if s := c.service(hostname); s != nil {
			if i := slices.IndexFunc(s.Ports, func(p registry.Port) bool { return p.Name == b.PortName }); i >= 0 {
				port = s.Ports[i].Number
			}
		}
		if port == 0 {
			if report {
				c.warn(o, path, codeUnresolved, "service %s has no port named %q: the path is left out", hostname, b.PortName)
			}
			return nil
		}
	}
	return &networking.HTTPRoute{Route: []*networking.HTTPRouteDestination{{
		Destination: &networking.Destination{Host: hostname, Port: &networking.PortSelector{Number: uint32(port)}},
	}}}
}
