package analyze_test

import "testing"

func TestGateways(t *testing.T) {
	bound := func(spec string) string {
		return vs + "metadata: {name: shop}\nspec:\n" + spec + "  http: [{directResponse: {status: 200}}]\n"
	}
	table(t, []struct {
		name, text string
		want       []string
	}{
		{"fine", front + bound("  hosts: [shop.example.com]\n  gateways: [front]\n"), nil},
		{"under a wildcard", front + bound("  hosts: [a.books.com]\n  gateways: [default/front]\n"), nil},
		{"all hosts", front + bound("  hosts: [\"*\"]\n  gateways: [front]\n"), nil},
		{"an unknown gateway", front + bound("  hosts: [shop.example.com]\n  gateways: [front, other/front]\n"), []string{"9 error IST0101 gateways[1]"}},
		{"the name of a service", front + bound("  hosts: [shop.example.com]\n  gateways: [front.default.svc.cluster.local]\n"), nil},
		{"no common host", front + bound("  hosts: [a.com]\n  gateways: [front]\n"), []string{"9 warning IST0132 gateways[0]"}},
		{"one host in vain", front + bound("  hosts: [shop.example.com, a.com]\n  gateways: [front]\n"), []string{"8 warning IST0132 hosts[1]"}},
		{"one host for the mesh", front + bound("  hosts: [shop.example.com, a.com]\n  gateways: [front, mesh]\n"), nil},
		{"a namespace that the server does not take", `{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: front}, spec: {servers: [
  {port: {number: 80, name: http, protocol: HTTP}, hosts: [other/shop.example.com]}]}}
---
` + bound("  hosts: [shop.example.com]\n  gateways: [front]\n"), []string{"9 warning IST0132 gateways[0]"}},
		{"nothing bound", front, []string{"1 info MESH0018 spec"}},
		{"a redirect needs no rule", `{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: front}, spec: {servers: [
  {port: {number: 80, name: http, protocol: HTTP}, hosts: [a.com], tls: {httpsRedirect: true}}]}}
`, nil},
		{"a match on a gateway that is not there", front + vs + `metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  gateways: [front, mesh]
  http:
  - match: [{gateways: [frnt]}]
    directResponse: {status: 200}
`, []string{"11 error IST0101 http[0].match[0].gateways[0]"}},
		{"a match on a gateway that the rule is not bound to", front + vs + `metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  gateways: [front]
  http:
  - match: [{gateways: [front]}, {gateways: [mesh]}]
    directResponse: {status: 200}
`, []string{"11 warning MESH0018 http[0].match[1].gateways[0]"}},
	})
}

func TestGatewayConflicts(t *testing.T) {
	rule := func(name, routes string) string {
		return vs + "metadata: {name: " + name + "}\nspec:\n  hosts: [shop.example.com]\n  gateways: [front]\n  http:\n" + routes + "---\n"
	}
	table(t, []struct {
		name, text string
		want       []string
	}{
		{"joined", front + rule("a", "  - {match: [{uri: {prefix: /a}}], directResponse: {status: 200}}\n") + rule("b", "  - {directResponse: {status: 200}}\n"), nil},
		{"two that take everything", front + rule("a", "  - {directResponse: {status: 200}}\n") + rule("b", "  - {match: [{uri: {prefix: /a}}], directResponse: {status: 200}}\n  - {directResponse: {status: 200}}\n"),
			[]string{"21 warning IST0130 http[1]"}},
		{"the same match", front + rule("a", "  - {match: [{uri: {prefix: /a}, name: one}], directResponse: {status: 200}}\n") + rule("b", "  - {match: [{uri: {prefix: /b}}, {uri: {prefix: /a}}], directResponse: {status: 200}}\n"),
			[]string{"20 warning IST0131 http[0].match[1]"}},
	})
}

func TestSidecars(t *testing.T) {
	sidecar := func(name, namespace, spec string) string {
		return "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec: {egress: [{hosts: ['./*']}]" + spec + "}\n---\n"
	}
	web := ", workloadSelector: {labels: {app: web}}"
	table(t, []struct {
		name, text string
		want       []string
	}{
		{"one each", sidecar("a", "a", "") + sidecar("b", "b", "") + sidecar("c", "a", web), nil},
		{"two for the namespace", sidecar("a", "a", "") + sidecar("b", "a", ""), []string{"9 error IST0111 spec"}},
		{"the same selector", sidecar("a", "a", web) + sidecar("b", "a", web), []string{"9 error IST0110 workloadSelector"}},
		{"the same pod", sidecar("a", "a", web) + sidecar("b", "a", ", workloadSelector: {labels: {tier: front}}") +
			"{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: a, labels: {app: web, tier: front}}, spec: {}}", []string{"9 error IST0110 workloadSelector"}},
		{"other pods", sidecar("a", "a", web) + sidecar("b", "a", ", workloadSelector: {labels: {tier: front}}") +
			"{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: b, labels: {app: web, tier: front}}, spec: {}}", nil},
		{"what is not obeyed", sidecar("a", "a", ", inboundConnectionPool: {tcp: {maxConnections: 1}}"), []string{"4 warning MESH0009 inboundConnectionPool"}},
	})
}

func TestIngresses(t *testing.T) {
	ingress := func(spec string) string {
		return reviews + "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: edge}\nspec:\n" + spec
	}
	table(t, []struct {
		name, text string
		want       []string
	}{
		{"fine", ingress("  rules:\n  - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: reviews, port: {name: http}}}}]}\n"), nil},
		{"an undeclared service", ingress("  defaultBackend: {service: {name: ratings, port: {number: 80}}}\n"), []string{"7 warning MESH0017 defaultBackend"}},
		{"a port that the service lacks", ingress("  defaultBackend: {service: {name: reviews, port: {number: 80}}}\n"), []string{"7 error IST0101 defaultBackend"}},
		{"a port name that the service lacks", ingress("  rules:\n  - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: reviews, port: {name: grpc}}}}]}\n"),
			[]string{"8 warning IST0101 rules[0].http.paths[0].backend"}},
		{"a secret", ingress("  tls: [{secretName: s}]\n  defaultBackend: {service: {name: reviews, port: {number: 9080}}}\n"), []string{"7 warning MESH0009 tls"}},
	})
}
