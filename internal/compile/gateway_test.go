package compile

import (
	"fmt"
	"testing"

	"github.com/go-inmesh/inmesh/internal/finding"
)

func gateway(ref, servers string) string {
	return object("Gateway", ref, "{selector: {istio: ingressgateway}, servers: ["+servers+"]}")
}

func server(name string, port int, hosts string, more ...string) string {
	s := fmt.Sprintf("{port: {number: %d, name: %s, protocol: HTTP}, hosts: [%s]", port, name, hosts)
	for _, m := range more {
		s += ", " + m
	}
	return s + "}"
}

func (o *Output) through(gateway string, tls bool, q request) string {
	if q.port == 0 {
		q.port = 80
	}
	s, vh := o.Gateways[gateway].Lookup(q.port, tls, q.host)
	switch {
	case s == nil:
		return "none"
	case s.HTTPSRedirect:
		return "https"
	case vh == nil:
		return "404"
	}
	return describe(vh, q, s.Port)
}

func TestGateway(t *testing.T) {
	edge := Workload{Name: "edge", Namespace: "istio-system", Labels: map[string]string{"istio": "ingressgateway"}}
	bound := func(ref, hosts, http string) string {
		return vs(ref, "{hosts: ["+hosts+"], gateways: [ns1/g], http: ["+http+"]}")
	}
	for _, c := range []struct {
		name     string
		docs     []string
		requests []request
	}{
		{"by name", []string{gateway("ns1/g", server("http", 80, "a.com")),
			vs("ns1/v", `{hosts: [a.com], gateways: [g], http: [`+to("x", "a")+`]}`),
			vs("ns2/w", `{hosts: [a.com], gateways: [g], http: [`+to("no", "c")+`]}`),
		}, []request{{host: "a.com", want: "ns1/v[0] x -> " + aCluster}, {host: "b.com", want: "none"}, {host: "a.com", port: 7777, want: "ns1/v[0] x -> " + aCluster}}},
		{"by an early form of the name", []string{gateway("ns1/g", server("http", 80, "'*'")),
			vs("ns2/v", `{hosts: [a.com], gateways: [g.ns1.svc.cluster.local], http: [`+to("x", "c")+`]}`),
		}, []request{{host: "a.com", want: "ns2/v[0] x -> " + cCluster}}},
		{"server without rules", []string{gateway("ns1/g", server("http", 80, "a.com"))}, []request{{host: "a.com", want: "404"}}},
		{"namespaces of hosts", []string{gateway("ns1/g", server("http", 80, "ns2/a.com, ./b.com, '*/c.com'")),
			bound("ns1/v", "a.com, b.com, c.com", to("one", "a")), bound("ns2/w", "a.com, b.com, c.com", to("two", "c")),
		}, []request{
			{host: "a.com", want: "ns2/w[0] two -> " + cCluster}, {host: "b.com", want: "ns1/v[0] one -> " + aCluster}, {host: "c.com", want: "ns1/v[0] one -> " + aCluster},
		}},
		{"several rules on one host", []string{gateway("ns1/g", server("http", 80, "'*'")),
			bound("ns1/v2", "a.com", `{name: 'y', match: [{uri: {prefix: /y}}, {uri: {prefix: /}}, {uri: {prefix: /never}}], route: [{destination: {host: b, port: {number: 80}}}]}, `+to("dead", "a", "match: [{uri: {prefix: /dead}}]")),
			bound("ns1/v1", "a.com", to("x", "a", "match: [{uri: {prefix: /x}}]")+", "+to("all", "a")),
			bound("ns1/v3", "a.com", to("z", "c.ns2.svc.cluster.local", "match: [{uri: {exact: /z}}]")),
		}, []request{
			{host: "a.com", path: "/x", want: "ns1/v1[0] x -> " + aCluster},
			{host: "a.com", path: "/y", want: "ns1/v2[0] y -> outbound|80||b.ns1.svc.cluster.local"},
			{host: "a.com", path: "/z", want: "ns1/v3[0] z -> " + cCluster},
			{host: "a.com", path: "/dead", want: "ns1/v2[0] y -> outbound|80||b.ns1.svc.cluster.local"},
			{host: "a.com", path: "/other", want: "ns1/v2[0] y -> outbound|80||b.ns1.svc.cluster.local"},
		}},
		{"common hosts", []string{gateway("ns1/g", server("http", 80, "'*.foo.com', x.bar.com")),
			bound("ns1/v", "a.foo.com, '*.bar.com', foo.com", to("x", "a")),
		}, []request{
			{host: "a.foo.com", want: "ns1/v[0] x -> " + aCluster}, {host: "b.foo.com", want: "404"},
			{host: "x.bar.com", want: "ns1/v[0] x -> " + aCluster}, {host: "y.bar.com", want: "none"}, {host: "foo.com", want: "none"},
		}},
		{"most specific host", []string{gateway("ns1/g", server("http", 80, "'*.foo.com'")),
			bound("ns1/v", "'*.foo.com'", to("wild", "a")), bound("ns1/w", "a.foo.com", to("exact", "b", "match: [{uri: {prefix: /x}}]")),
		}, []request{
			{host: "a.foo.com", path: "/x", want: "ns1/w[0] exact -> outbound|80||b.ns1.svc.cluster.local"},
			{host: "a.foo.com", path: "/y", want: "404"}, {host: "b.foo.com", want: "ns1/v[0] wild -> " + aCluster},
		}},
		{"a server's host does not hide a rule's wildcard", []string{gateway("ns1/g", server("http", 80, "ns1/a.foo.com, 'ns2/*.foo.com'")),
			bound("ns2/w", "'*.foo.com'", to("wild", "c")),
		}, []request{{host: "a.foo.com", want: "ns2/w[0] wild -> " + cCluster}}},
		{"redirect to https", []string{gateway("ns1/g", server("http", 80, "a.com, b.com", "tls: {httpsRedirect: true}")+", "+server("other", 80, "c.com")),
			bound("ns1/v", "'*'", to("x", "a")),
		}, []request{{host: "a.com", want: "https"}, {host: "c.com", want: "ns1/v[0] x -> " + aCluster}, {host: "d.com", want: "none"}}},
		{"redirecting server whose host is taken", []string{gateway("ns1/g", server("one", 80, "a.com", "tls: {httpsRedirect: true}")+", "+server("two", 80, "b.com")+", "+server("three", 80, "a.com, '*'", "tls: {httpsRedirect: true}")),
			bound("ns1/v", "b.com", to("x", "a")),
		}, []request{{host: "a.com", want: "https"}, {host: "b.com", want: "ns1/v[0] x -> " + aCluster}, {host: "c.com", want: "none"}}},
		{"ports", []string{gateway("ns1/g", server("one", 80, "a.com")+", "+server("two", 8080, "a.com")),
			bound("ns1/v", "a.com", to("p80", "a", "match: [{port: 80}]")+", "+to("p8080", "b", "match: [{port: 8080}]")+", "+to("rest", "c.ns2.svc.cluster.local")),
		}, []request{
			{host: "a.com", want: "ns1/v[0] p80 -> " + aCluster}, {host: "a.com", port: 8080, want: "ns1/v[1] p8080 -> outbound|8080||b.ns1.svc.cluster.local"},
		}},
		{"destination without port", []string{gateway("ns1/g", server("http", 8080, "a.com")),
			bound("ns1/v", "a.com", to("single", "d.ns2.svc.cluster.local", "match: [{uri: {prefix: /s}}]")+", "+to("multi", "b", "match: [{uri: {prefix: /m}}]")+", "+to("dns", "nowhere.com")),
		}, []request{
			{host: "a.com", port: 8080, path: "/s", want: "ns1/v[0] single -> outbound|9000||d.ns2.svc.cluster.local"},
			{host: "a.com", port: 8080, path: "/m", want: "ns1/v[1] multi -> outbound|8080||b.ns1.svc.cluster.local"},
			{host: "a.com", port: 8080, want: "ns1/v[2] dns -> outbound|8080||nowhere.com"},
		}},
		{"match on the gateway", []string{gateway("ns1/g", server("http", 80, "a.com")),
			vs("ns1/v", `{hosts: [a.com], gateways: [g, g2], http: [`+to("other", "b", "match: [{gateways: [g2]}]")+", "+to("this", "a", "match: [{gateways: [g], sourceLabels: {app: other}}]")+`]}`),
		}, []request{{host: "a.com", want: "ns1/v[1] this -> " + aCluster}}},
		{"exportTo is about the gateway's namespace", []string{gateway("ns1/g", server("http", 80, "'*'")),
			vs("ns1/v", `{hosts: [a.com], gateways: [g], exportTo: ["."], http: [`+to("x", "a")+`]}`),
			vs("ns1/w", `{hosts: [b.com], gateways: [g], exportTo: [istio-system], http: [`+to("x", "a")+`]}`),
		}, []request{{host: "a.com", want: "404"}, {host: "b.com", want: "ns1/w[0] x -> " + aCluster}}},
		{"rule of which nothing is left", []string{gateway("ns1/g", server("http", 80, "'*'")),
			bound("ns1/v", "a.com", to("no", "b", "match: [{sourceLabels: {app: other}}]")), bound("ns1/w", "'*.com'", to("wild", "a")),
		}, []request{{host: "a.com", want: "ns1/w[0] wild -> " + aCluster}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, findings := compileDocs(t, edge, append([]string{services}, c.docs...)...)
			if finding.HasErrors(findings) {
				t.Fatalf("findings:\n%s", messages(findings))
			}
			for _, q := range c.requests {
				if got := out.through("ns1/g", false, q); got != q.want {
					t.Errorf("%s:%d%s\n got %s\nwant %s", q.host, q.port, q.path, got, q.want)
				}
			}
		})
	}
}

func TestGatewayTLS(t *testing.T) {
	tls := func(name, hosts, mode string) string {
		return "{port: {number: 443, name: " + name + ", protocol: HTTPS}, hosts: [" + hosts + "], tls: {mode: " + mode + ", credentialName: c}}"
	}
	out, findings := compileDocs(t, ns1, services,
		gateway("ns1/g", tls("one", "'*.foo.com'", "SIMPLE")+", "+tls("two", "a.foo.com", "SIMPLE")+
			", {port: {number: 444, name: pass, protocol: TLS}, hosts: ['*'], tls: {mode: PASSTHROUGH}}, {port: {number: 445, name: hpass, protocol: HTTPS}, hosts: ['*'], tls: {mode: PASSTHROUGH}}"),
		vs("ns1/v", `{hosts: [a.foo.com, b.foo.com], gateways: [g], http: [`+to("x", "a")+`]}`))
	for _, c := range []struct {
		host, server string
		port         int
		tls          bool
		want         string
	}{
		{"a.foo.com", "two", 443, true, "ns1/v[0] x -> " + aCluster},
		{"b.foo.com", "one", 443, true, "ns1/v[0] x -> " + aCluster},
		{"b.foo.com", "one", 8443, true, "ns1/v[0] x -> " + aCluster},
		{"c.foo.com", "one", 443, true, "404"},
		{"a.foo.com", "", 443, false, "none"},
	} {
		if got := out.through("ns1/g", c.tls, request{host: c.host, port: c.port}); got != c.want {
			t.Errorf("%s: got %s, want %s", c.host, got, c.want)
		}
		if s, _ := out.Gateways["ns1/g"].Lookup(c.port, c.tls, c.host); s != nil && s.Spec.Port.Name != c.server {
			t.Errorf("%s: server %s, want %s", c.host, s.Spec.Port.Name, c.server)
		}
	}
	want := "warning MESH0009 ns1/g spec.servers[2].port.protocol: TLS is not supported, only HTTP is: the server is left out\n" +
		"warning MESH0009 ns1/g spec.servers[3].tls.mode: PASSTHROUGH is not supported: the server is left out\n"
	if got := messages(findings); sortLines(got) != sortLines(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if s, vh := (*Gateway)(nil).Lookup(80, false, "a"); s != nil || vh != nil {
		t.Error("a nil gateway has hosts")
	}
}
