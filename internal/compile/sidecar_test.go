package compile

import (
	"testing"
)

func sidecar(ref, egress, more string) string {
	return object("Sidecar", ref, "{egress: ["+egress+"]"+more+"}")
}

func TestSidecar(t *testing.T) {
	plainA, plainB, plainC := "default -> "+aCluster, "default -> outbound|80||b.ns1.svc.cluster.local", "default -> "+cCluster
	onlyA := "{hosts: [./a.ns1.svc.cluster.local]}"
	runMesh(t, []meshCase{
		{"host and namespace", ns1, []string{sidecar("ns1/s", "{hosts: [./a.ns1.svc.cluster.local, ns2/*]}", "")}, []request{
			{host: "a", want: plainA}, {host: "b", want: "none"}, {host: "c.ns2", want: plainC},
		}},
		{"root namespace", ns1, []string{sidecar("istio-system/s", "{hosts: [./*]}", "")}, []request{{host: "a", want: plainA}, {host: "c.ns2", want: "none"}}},
		{"another namespace's", ns1, []string{sidecar("ns2/s", "{hosts: [./*]}", "")}, []request{{host: "a", want: plainA}}},
		{"selector first", ns1, []string{sidecar("ns1/s", onlyA, ""), sidecar("ns1/s2", "{hosts: [./b.ns1.svc.cluster.local]}", ", workloadSelector: {labels: {tier: web}}")},
			[]request{{host: "a", want: "none"}, {host: "b", want: plainB}}},
		{"selector of others", ns1, []string{sidecar("ns1/s", onlyA, ""), sidecar("ns1/s2", "{hosts: [./b.ns1.svc.cluster.local]}", ", workloadSelector: {labels: {tier: db}}")},
			[]request{{host: "a", want: plainA}, {host: "b", want: "none"}}},
		{"excluded", ns1, []string{sidecar("ns1/s", "{hosts: ['*/*', ~ns2/c.ns2.svc.cluster.local]}", "")}, []request{
			{host: "a", want: plainA}, {host: "c.ns2", want: "none"}, {host: "d.ns2", port: 9000, want: "default -> outbound|9000||d.ns2.svc.cluster.local"},
		}},
		{"nothing", ns1, []string{sidecar("ns1/s", "{hosts: [~/*]}", "")}, []request{{host: "a", want: "none"}, {host: "c.ns2", want: "none"}}},
		{"destinations need no import", ns1, []string{sidecar("ns1/s", onlyA, ""), vs("ns1/v", `{hosts: [a], http: [`+to("x", "c.ns2.svc.cluster.local")+`]}`)},
			[]request{{host: "a", want: "ns1/v[0] x -> " + cCluster}, {host: "c.ns2", want: "none"}}},
		{"a rule comes in with all its hosts", ns1, []string{sidecar("ns1/s", onlyA, ""), vs("ns1/v", `{hosts: [a, foo.com, b], http: [`+to("x", "a")+`]}`)},
			[]request{{host: "foo.com", want: "ns1/v[0] x -> " + aCluster}, {host: "b", want: "none"}}},
		{"rules of other namespaces stay out", ns1, []string{sidecar("ns1/s", "{hosts: [./*]}", ""), vs("ns2/v", `{hosts: [a.ns1.svc.cluster.local], http: [`+to("x", "b")+`]}`)},
			[]request{{host: "a", want: plainA}}},
		{"wildcard rule", ns1, []string{sidecar("ns1/s", onlyA, ""), vs("ns1/v", `{hosts: ["*.svc.cluster.local"], http: [`+to("x", "a")+`]}`)}, []request{
			{host: "a", want: "ns1/v[0] x -> " + aCluster}, {host: "b", want: "none"}, {host: "b.ns1.svc.cluster.local", want: "none"},
		}},
		{"port", ns1, []string{
			sidecar("ns1/s", "{port: {number: 80, protocol: HTTP, name: http}, hosts: [./a.ns1.svc.cluster.local]}, {hosts: [./*]}", ""),
			vs("ns1/v", `{hosts: [b], http: [`+to("x", "b")+`]}`),
		}, []request{
			{host: "a", want: plainA}, {host: "b", want: "none"},
			{host: "b", port: 8080, want: "ns1/v[0] x -> outbound|8080||b.ns1.svc.cluster.local"},
		}},
		{"port that sees less", ns1, []string{
			sidecar("ns1/s", "{port: {number: 8080, protocol: HTTP, name: http}, hosts: [ns2/*]}, {hosts: [./*]}", ""),
			vs("ns2/v", `{hosts: [b.ns1.svc.cluster.local, "*.svc.cluster.local"], http: [`+to("x", "c")+`]}`),
		}, []request{{host: "b", want: plainB}, {host: "b", port: 8080, want: "none"}}},
		{"a service of ours that is not exported to us", Workload{Namespace: "ns3"}, []string{
			object("ServiceEntry", "ns3/e", `{hosts: [e.com], exportTo: ["~"], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}`),
			vs("ns3/v", `{hosts: [f.com], http: [`+to("x", "e.com")+`]}`),
		}, []request{{host: "e.com", want: "none"}, {host: "f.com", want: "ns3/v[0] x -> outbound|80||e.com"}}},
		{"one name in two namespaces", ns1, []string{
			object("ServiceEntry", "ns2/e", `{hosts: [e.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}`),
			object("ServiceEntry", "ns3/e", `{hosts: [e.com], ports: [{number: 81, name: http, protocol: HTTP}], resolution: DNS}`),
			sidecar("ns1/s", "{hosts: [ns3/*]}", ""),
		}, []request{{host: "e.com", want: "none"}, {host: "e.com", port: 81, want: "default -> outbound|81||e.com"}}},
	})
}

func TestOutboundPolicy(t *testing.T) {
	for _, c := range []struct {
		name, policy string
		want         bool
	}{
		{"absent", "", true},
		{"present, no mode", ", outboundTrafficPolicy: {}", false},
		{"registry only", ", outboundTrafficPolicy: {mode: REGISTRY_ONLY}", false},
		{"allow any", ", outboundTrafficPolicy: {mode: ALLOW_ANY}", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, _ := compileDocs(t, ns1, services, sidecar("ns1/s", "{hosts: [./*]}", c.policy))
			if out.AllowAny != c.want || out.Sidecar == nil {
				t.Errorf("got %v of %v, want %v", out.AllowAny, out.Sidecar, c.want)
			}
		})
	}
}

func TestSidecarFindings(t *testing.T) {
	_, findings := compileDocs(t, ns1, services, object("Sidecar", "ns1/s", `{
		egress: [{port: {number: 9999, protocol: HTTP_PROXY, name: proxy}, hosts: ['*/*']}, {captureMode: NONE, bind: 1.2.3.4, port: {number: 81, protocol: HTTP, name: x}, hosts: [./*]}],
		ingress: [{port: {number: 80, protocol: HTTP, name: http}, defaultEndpoint: 127.0.0.1:8080}],
		inboundConnectionPool: {http: {http1MaxPendingRequests: 1}}}`))
	want := `warning MESH0009 ns1/s spec.egress[0].port.protocol: a proxy port is not opened: the listener is left out
warning MESH0009 ns1/s spec.egress[1].bind: no listener is opened: the hosts count for every address
warning MESH0009 ns1/s spec.egress[1].captureMode: traffic is not captured: the mesh is in the process
warning MESH0009 ns1/s spec.inboundConnectionPool: limits of the server side are not acted on
warning MESH0009 ns1/s spec.ingress[0]: ingress listeners are not acted on: the server is the application's own
`
	if got := messages(findings); sortLines(got) != sortLines(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
