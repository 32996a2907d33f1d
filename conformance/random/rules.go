package random

import (
	"fmt"

	"github.com/go-inmesh/inmesh/conformance/world"
)

func (g *gen) exportTo(spec m) {
	if g.chance(0.2) {
		spec["exportTo"] = one(g, []any{"."}, []any{"*"}, []any{"other"}, []any{"default"}, []any{".", "istio-system"})
	}
}

// virtualService makes a VirtualService, with its delegates.
func (g *gen) virtualService(i int) []world.Object {
	namespace := one(g, namespaces...)
	spec := m{}
	gateway := ""
	switch g.IntN(6) {
	case 0, 1:
		gateway = one(g, "default/one", "other/two")
		spec["gateways"] = one(g, []any{gateway}, []any{gateway, "mesh"}, []any{"default/one", "other/two"})
		spec["hosts"] = dedupe(some(g, gatewayHosts...), g.IntN(4) == 0, "*.example.com")
	case 2:
		spec["gateways"] = []any{"mesh"}
		fallthrough
	default:
		h := one(g, hosts...)
		if g.chance(0.5) {
			h = one(g, "reviews", fqdn("reviews", "default"))
		}
		list := []any{h}
		if g.chance(0.2) {
			list = append(list, one(g, hosts...))
		}
		if g.chance(0.12) {
			list = []any{one(g, "*.default.svc.cluster.local", "*.example.com", "*.wild.example.org", "*.local", "*.svc.cluster.local", "*.com")}
		}
		if g.chance(0.03) {
			list = []any{one(g, "10.1.0.1", "1.2.3.4")}
		}
		spec["hosts"] = list
	}
	g.exportTo(spec)
	var rules []any
	n := 1 + g.IntN(4)
	for j := range n {
		rules = append(rules, g.rule(j, false, gateway))
	}
	if g.chance(0.7) {
		rules = append(rules, g.rule(n, true, gateway))
	}
	var out []world.Object
	if g.chance(0.12) {
		name, ns := fmt.Sprint("leaf", i), one(g, "default", "other")
		at := g.IntN(len(rules))
		root := rules[at].(m)
		for _, k := range []string{"route", "redirect", "directResponse"} {
			delete(root, k)
		}
		if root["match"] == nil || g.chance(0.6) {
			root["match"] = []any{m{"uri": m{"prefix": one(g, "/a", "/", "/b")}}}
		}
		root["delegate"] = m{"name": name, "namespace": ns}
		var leaves []any
		for j := range 1 + g.IntN(3) {
			leaves = append(leaves, g.rule(j, g.chance(0.2), ""))
		}
		leaf := m{"http": leaves}
		g.exportTo(leaf)
		out = append(out, g.object(networking, "VirtualService", ns, name, leaf))
	}
	spec["http"] = rules
	return append(out, g.object(networking, "VirtualService", namespace, fmt.Sprint("vs", i), spec))
}

func dedupe(list []any, add bool, wildcard string) []any {
	if !add {
		return list
	}
	return []any{wildcard}
}

// gateways makes one gateway in each of two namespaces, for different workloads.
func (g *gen) gateways() []world.Object {
	var out []world.Object
	for _, x := range [][2]string{{"default", "one"}, {"other", "two"}} {
		var servers []any
		for i := range 1 + g.IntN(3) {
			port := one(g, 80, 80, 8080, 443)
			if i == 0 {
				port = 80
			}
			s := m{"port": m{"number": port, "name": fmt.Sprint("p", i), "protocol": one(g, "HTTP", "HTTP", "HTTP2")}, "hosts": g.serverHosts()}
			switch {
			case port == 443:
				s["port"].(m)["protocol"] = "HTTPS"
				s["tls"] = m{"mode": "SIMPLE", "credentialName": fmt.Sprint("cert", i)}
			case g.chance(0.12):
				s["tls"] = m{"httpsRedirect": true}
			}
			servers = append(servers, s)
		}
		out = append(out, g.object(networking, "Gateway", x[0], x[1], m{"selector": m{"istio": x[1]}, "servers": servers}))
	}
	return out
}

func (g *gen) serverHosts() []any {
	switch g.IntN(5) {
	case 0, 4:
		return []any{"*"}
	case 1:
		return []any{one(g, "*.example.com", "default/*.example.com", "./*", "*/*.example.org", "other/*")}
	}
	return some(g, gatewayHosts...)
}

func (g *gen) sidecar() world.Object {
	spec := m{}
	egress := func() m {
		return m{"hosts": some(g, "./*", "*/*", "other/*", "default/"+fqdn("reviews", "default"), "*/api.example.com", "~/*", "default/*.example.com", "other/"+fqdn("details", "other"))}
	}
	if g.chance(0.8) {
		var list []any
		if g.chance(0.2) {
			e := egress()
			e["port"] = m{"number": one(g, 9080, 80), "protocol": "HTTP", "name": "http"}
			list = append(list, e)
		}
		spec["egress"] = append(list, egress())
	}
	if g.chance(0.4) || len(spec) == 0 {
		spec["outboundTrafficPolicy"] = one(g, m{"mode": "REGISTRY_ONLY"}, m{"mode": "ALLOW_ANY"}, m{})
	}
	if g.chance(0.3) {
		spec["workloadSelector"] = m{"labels": m{"app": one(g, "web", "job")}}
	}
	return g.object(networking, "Sidecar", one(g, namespaces...), "side", spec)
}
