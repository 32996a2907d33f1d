package compile

import "testing"

const (
	aCluster = "outbound|80||a.ns1.svc.cluster.local"
	cCluster = "outbound|80||c.ns2.svc.cluster.local"
)

func TestNames(t *testing.T) {
	rule := vs("ns1/v", `{hosts: [a], http: [`+to("x", "a")+`]}`)
	short := vs("ns1/v", `{hosts: [nobody], http: [`+to("x", "a")+`]}`)
	want := "ns1/v[0] x -> " + aCluster
	plain := "default -> " + aCluster
	runMesh(t, []meshCase{
		{"own namespace", ns1, []string{rule}, []request{
			{host: "a", want: want}, {host: "a.ns1", want: want}, {host: "a.ns1.svc", want: want},
			{host: "a.ns1.svc.cluster.local", want: want}, {host: "a.ns1.svc.cluster.local.", want: want},
			{host: "a.ns2", want: "none"}, {host: "c", want: "none"}, {host: "c.ns2", want: "default -> " + cCluster},
		}},
		{"other namespace", Workload{Namespace: "ns2"}, []string{rule}, []request{
			{host: "a", want: "none"}, {host: "a.ns1", want: want}, {host: "a.ns1.svc.cluster.local", want: want},
		}},
		{"addresses", ns1, []string{
			object("ServiceEntry", "ns1/e", `{hosts: [e.com], addresses: [10.1.2.3, 10.9.0.0/16], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, endpoints: [{address: 10.0.0.1}]}`),
			vs("ns1/v", `{hosts: [e.com], http: [`+to("x", "a")+`]}`),
		}, []request{{host: "10.1.2.3", want: want}, {host: "10.9.7.7", want: want}, {host: "10.8.0.0", want: "none"}, {host: "e.com", want: want}}},
		{"names with a dot are not completed", ns1, []string{vs("ns1/v", `{hosts: [a.ns1], http: [`+to("x", "a")+`]}`)}, []request{
			{host: "a", want: plain}, {host: "a.ns1.svc.cluster.local", want: plain},
		}},
		{"host that nobody declares", ns1, []string{short}, []request{
			{host: "nobody.ns1.svc.cluster.local", want: want}, {host: "nobody", want: want}, {host: "nobody.ns1", port: 81, want: want},
			{host: "nobody.ns2", want: "none"},
		}},
		{"service without rules", ns1, nil, []request{
			{host: "b", port: 8080, want: "default -> outbound|8080||b.ns1.svc.cluster.local"},
			{host: "b", port: 8081, want: "none"}, {host: "example.com", want: "none"},
			{host: "t", port: 3306, want: "default -> outbound|3306||t.ns1.svc.cluster.local opaque"},
			{host: "h.ns2", want: "none"}, {host: "h.ns2.svc.cluster.local", want: "none"},
		}},
	})
}

func TestOwner(t *testing.T) {
	runMesh(t, []meshCase{
		{"private, exported, public", ns1, []string{
			vs("ns2/v1", `{hosts: [a.ns1.svc.cluster.local], http: [`+to("public", "a")+`]}`),
			vs("ns2/v2", `{hosts: [a.ns1.svc.cluster.local, b.ns1.svc.cluster.local], exportTo: [ns1], http: [`+to("exported", "a.ns1.svc.cluster.local")+`]}`),
			vs("ns1/v3", `{hosts: [a], exportTo: ["."], http: [`+to("private", "a")+`]}`),
			vs("ns2/v4", `{hosts: [a.ns1.svc.cluster.local, t.ns1.svc.cluster.local], exportTo: ["."], http: [`+to("hidden", "c")+`]}`),
		}, []request{
			{host: "a", want: "ns1/v3[0] private -> " + aCluster},
			{host: "b", want: "ns2/v2[0] exported -> " + aCluster},
			{host: "t", want: "default -> outbound|80||t.ns1.svc.cluster.local"},
		}},
		{"the later rule loses only the host that is taken", ns1, []string{
			vs("ns1/v1", `{hosts: [a], http: [`+to("first", "a")+`]}`),
			vs("ns1/v2", `{hosts: [a, b], http: [`+to("second", "a")+`]}`),
		}, []request{{host: "a", want: "ns1/v1[0] first -> " + aCluster}, {host: "b", want: "ns1/v2[0] second -> " + aCluster}}},
		{"exact before wildcard", ns1, []string{
			vs("ns1/w", `{hosts: ["*.ns1.svc.cluster.local"], http: [`+to("wild", "c.ns2.svc.cluster.local")+`]}`),
			vs("ns1/e", `{hosts: [a], http: [`+to("exact", "a")+`]}`),
		}, []request{
			{host: "a", want: "ns1/e[0] exact -> " + aCluster}, {host: "b", want: "ns1/w[0] wild -> " + cCluster},
			{host: "c.ns2", want: "default -> " + cCluster}, {host: "undeclared.ns1.svc.cluster.local", port: 99, want: "ns1/w[0] wild -> " + cCluster},
		}},
		{"longest wildcard", ns1, []string{
			vs("ns1/w", `{hosts: ["*.svc.cluster.local"], http: [`+to("short", "a")+`]}`),
			vs("ns1/e", `{hosts: ["*.ns1.svc.cluster.local"], http: [`+to("long", "a")+`]}`),
		}, []request{
			{host: "a", want: "ns1/e[0] long -> " + aCluster}, {host: "c.ns2", want: "ns1/w[0] short -> " + aCluster},
			{host: "h.ns2.svc.cluster.local", want: "none"}, // not exported to us
		}},
		{"a rule that is filtered out still keeps wildcards away", ns1, []string{
			vs("ns1/w", `{hosts: ["*.ns1.svc.cluster.local"], http: [`+to("wild", "a")+`]}`),
			vs("ns1/e", `{hosts: [b], http: [`+to("exact", "b", "match: [{sourceLabels: {app: other}}]")+`]}`),
		}, []request{{host: "b", want: "default -> outbound|80||b.ns1.svc.cluster.local"}}},
		{"a rule that is filtered out gives way to the next", ns1, []string{
			vs("ns1/e", `{hosts: [a], http: [`+to("one", "a", "match: [{sourceLabels: {app: other}}]")+`]}`),
			vs("ns1/f", `{hosts: [a], http: [`+to("two", "a")+`]}`),
		}, []request{{host: "a", want: "ns1/f[0] two -> " + aCluster}}},
		{"wildcard service", ns1, []string{
			object("ServiceEntry", "ns1/se", `{hosts: ["*.wild.com"], ports: [{number: 80, name: http, protocol: HTTP}], resolution: NONE}`),
			vs("ns1/v", `{hosts: [a.wild.com], http: [`+to("x", "a.wild.com")+`]}`),
		}, []request{
			{host: "a.wild.com", want: "ns1/v[0] x -> outbound|80||a.wild.com"},
			{host: "b.wild.com", want: "default -> outbound|80||*.wild.com"}, {host: "wild.com", want: "none"},
		}},
		{"not bound to the mesh", ns1, []string{vs("ns1/v", `{hosts: [a], gateways: [g], http: [`+to("x", "b")+`]}`)},
			[]request{{host: "a", want: "default -> " + aCluster}}},
		{"TCP port", ns1, []string{vs("ns1/v", `{hosts: [t], http: [`+to("x", "a")+`]}`)}, []request{
			{host: "t", want: "ns1/v[0] x -> " + aCluster},
			{host: "t", port: 3306, want: "default -> outbound|3306||t.ns1.svc.cluster.local opaque"},
		}},
	})
}

func TestStaticMatch(t *testing.T) {
	runMesh(t, []meshCase{
		{"source", ns1, []string{vs("ns1/v", `{hosts: [a], http: [
			`+to("other", "b", "match: [{sourceLabels: {app: other}}]")+`,
			`+to("labels", "a", "match: [{sourceLabels: {tier: web}, uri: {prefix: /l}}]")+`,
			`+to("namespace", "a", "match: [{sourceNamespace: ns1, uri: {prefix: /n}}, {sourceNamespace: other}]")+`,
			`+to("gateways", "a", "match: [{gateways: [mesh], sourceLabels: {app: other}, uri: {prefix: /g}}]")+`,
			`+to("elsewhere", "a", "match: [{gateways: [g]}]")+`]}`)}, []request{
			{host: "a", path: "/l", want: "ns1/v[1] labels -> " + aCluster}, {host: "a", path: "/n", want: "ns1/v[2] namespace -> " + aCluster},
			{host: "a", path: "/g", want: "ns1/v[3] gateways -> " + aCluster}, {host: "a", path: "/x", want: "404"},
		}},
		{"port", ns1, []string{
			vs("ns1/v", `{hosts: [b], http: [`+to("x", "b", "match: [{port: 8080}]")+`]}`),
			vs("ns1/w", `{hosts: [t], http: [`+to("x", "a", "match: [{port: 81}]")+`]}`),
			vs("ns1/z", `{hosts: [t], http: [`+to("rest", "a")+`]}`),
		}, []request{
			{host: "b", port: 8080, want: "ns1/v[0] x -> outbound|8080||b.ns1.svc.cluster.local"},
			{host: "b", want: "default -> outbound|80||b.ns1.svc.cluster.local"}, {host: "b", port: 9, want: "none"},
			{host: "t", want: "ns1/z[0] rest -> " + aCluster},
			{host: "t", port: 81, want: "ns1/w[0] x -> " + aCluster}, {host: "t", port: 82, want: "ns1/z[0] rest -> " + aCluster},
		}},
		{"none matches", ns1, []string{vs("ns1/v", `{hosts: [a], http: [`+to("x", "a", "match: [{uri: {prefix: /x}}]")+`]}`)},
			[]request{{host: "a", path: "/y", want: "404"}}},
		{"behind a route that always matches", ns1, []string{vs("ns1/v", `{hosts: [a], http: [`+to("one", "a")+", "+to("two", "b")+`]}`)},
			[]request{{host: "a", want: "ns1/v[0] one -> " + aCluster}}},
	})
}

func TestDestination(t *testing.T) {
	dr := object("DestinationRule", "ns1/a", `{host: a, subsets: [{name: v1, labels: {version: v1}}]}`)
	runMesh(t, []meshCase{
		{"port", ns1, []string{
			vs("ns1/v", `{hosts: [a], http: [`+to("single", "d.ns2.svc.cluster.local", "match: [{uri: {prefix: /s}}]")+", "+to("multi", "b")+`]}`),
			vs("ns1/w", `{hosts: [d.ns2.svc.cluster.local], http: [`+to("multi", "b")+`]}`),
			vs("ns1/z", `{hosts: [b], http: [`+to("multi", "b")+`]}`),
		}, []request{
			{host: "a", path: "/s", want: "ns1/v[0] single -> outbound|9000||d.ns2.svc.cluster.local"},
			{host: "a", want: "ns1/v[1] multi -> outbound|80||b.ns1.svc.cluster.local"},
			{host: "b", port: 8080, want: "ns1/z[0] multi -> outbound|8080||b.ns1.svc.cluster.local"},
			{host: "d.ns2", port: 9000, want: "ns1/w[0] multi -> outbound|9000||b.ns1.svc.cluster.local missing"},
		}},
		{"ExternalName of another service", ns1, []string{
			"---\napiVersion: v1\nkind: Service\nmetadata: {name: alias, namespace: ns1}\nspec: {type: ExternalName, externalName: c.ns2.svc.cluster.local, ports: [{port: 80, name: http}]}\n",
			vs("ns1/v", `{hosts: [a], http: [`+to("x", "alias")+`]}`),
		}, []request{
			{host: "a", want: "ns1/v[0] x -> " + cCluster}, {host: "alias", want: "default -> " + cCluster},
		}},
		{"subset", ns1, []string{dr, vs("ns1/v", `{hosts: [a], http: [
			{name: one, match: [{uri: {prefix: /1}}], route: [{destination: {host: a, subset: v1}}]},
			{name: two, route: [{destination: {host: a, subset: v9}}]}]}`)}, []request{
			{host: "a", path: "/1", want: "ns1/v[0] one -> outbound|80|v1|a.ns1.svc.cluster.local"},
			{host: "a", want: "ns1/v[1] two -> outbound|80|v9|a.ns1.svc.cluster.local missing"},
		}},
		{"unknown", ns1, []string{vs("ns1/v", `{hosts: [a], http: [
			{name: dns, match: [{uri: {prefix: /d}}], route: [{destination: {host: nowhere.com}}]},
			{name: port, match: [{uri: {prefix: /p}}], route: [{destination: {host: a, port: {number: 99}}}]},
			{name: hidden, route: [{destination: {host: h.ns2.svc.cluster.local}}]}]}`)}, []request{
			{host: "a", path: "/d", want: "ns1/v[0] dns -> outbound|80||nowhere.com"},
			{host: "a", path: "/p", want: "ns1/v[1] port -> outbound|99||a.ns1.svc.cluster.local missing"},
			{host: "a", want: "ns1/v[2] hidden -> outbound|80||h.ns2.svc.cluster.local missing"},
		}},
	})
}
