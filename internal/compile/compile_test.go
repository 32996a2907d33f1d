package compile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-inmesh/inmesh/internal/finding"
)

func TestDuplicateHost(t *testing.T) {
	_, findings := compileDocs(t, ns1, services,
		vs("ns1/v1", `{hosts: [a, b], http: [`+to("x", "a")+`]}`),
		vs("ns1/v2", `{hosts: [foo.com, a], http: [`+to("x", "a")+`]}`),
		vs("ns1/v3", `{hosts: [b], http: [`+to("x", "a", "match: [{sourceLabels: {app: other}}]")+`]}`),
		vs("ns1/v4", `{hosts: ["*.z.com"], http: [`+to("x", "a", "match: [{port: 81}]")+`]}`),
		vs("ns1/v5", `{hosts: ["*.z.com"], http: [`+to("x", "a")+`]}`),
		vs("ns1/v6", `{hosts: ["*.z.com"], http: [`+to("x", "a", "match: [{port: 81}]")+`]}`),
	)
	want := `warning IST0109 ns1/v2 spec.hosts[1]: a.ns1.svc.cluster.local is already answered by VirtualService ns1/v1, which comes first: this rule does not act on it
warning IST0109 ns1/v6 spec.hosts[0]: *.z.com is already answered by VirtualService ns1/v4, which comes first: this rule does not act on it
`
	if got := messages(findings); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if at := findings[0].Position; at.Line == 0 || at.File != "rules.yaml" {
		t.Errorf("position %v", at)
	}
}

func TestNotHTTP(t *testing.T) {
	_, findings := compileDocs(t, ns1, services, vs("ns1/v", `{hosts: [a.com], tls: [{match: [{port: 443, sniHosts: [a.com]}], route: [{destination: {host: a}}]}], tcp: [{route: [{destination: {host: a}}]}]}`))
	want := `warning MESH0009 ns1/v spec.tcp[0]: routing of TCP connections is not supported: only http routes act
warning MESH0009 ns1/v spec.tls[0]: routing by SNI is not supported: only http routes act
`
	if got := messages(findings); sortLines(got) != sortLines(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestClusters(t *testing.T) {
	out, _ := compileDocs(t, ns1, services,
		object("DestinationRule", "ns1/a", `{host: a, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}, subsets: [{name: v1, labels: {version: v1}}]}`),
		vs("ns1/v", `{hosts: [a], http: [{route: [{destination: {host: a, subset: v1}, weight: 1}, {destination: {host: b}, weight: 1}, {destination: {host: nowhere.com}, weight: 1}, {destination: {host: a, subset: nope}, weight: 1}],
			mirror: {host: c.ns2.svc.cluster.local}, mirrorPercentage: {value: 5}}]}`))
	r := out.Mesh.Lookup("a", 80).Routes[0]
	if len(r.Mirrors) != 1 || r.Mirrors[0].Percent != 5 || r.Mirrors[0].At(80).Name != cCluster {
		t.Errorf("mirrors %+v", r.Mirrors)
	}
	v1 := r.Clusters[0].Fixed()
	if v1 == nil || v1 != out.Clusters["outbound|80|v1|a.ns1.svc.cluster.local"] || v1.Labels["version"] != "v1" ||
		v1.Policy.GetConnectionPool().GetTcp().GetMaxConnections() != 7 || v1.Service.Name != "a" || len(v1.Rules) != 1 {
		t.Errorf("subset v1: %+v", v1)
	}
	b := r.Clusters[1]
	if b.Fixed() != nil || b.At(8080) != out.Clusters["outbound|8080||b.ns1.svc.cluster.local"] || b.At(8080) == nil {
		t.Errorf("b at 8080: %+v", b.At(8080))
	}
	dns := r.Clusters[2]
	if c := dns.At(81); c.Service != nil || c.Missing != "" || c.Port != 81 || c != dns.At(81) || c == dns.At(82) {
		t.Errorf("nowhere.com: %+v", c)
	}
	if c := r.Clusters[3].At(80); c.Missing != "subset nope of a.ns1.svc.cluster.local is in no DestinationRule" {
		t.Errorf("unknown subset: %+v", c)
	}
	for name, c := range out.Clusters {
		if name != c.Name || c.Missing != "" {
			t.Errorf("%s lists %+v", name, c)
		}
	}
}

func TestMirrorShare(t *testing.T) {
	out, _ := compileDocs(t, ns1, services, vs("ns1/v", `{hosts: [a], http: [{route: [{destination: {host: a}}],
		mirrors: [{destination: {host: b}, percentage: {value: 0}}, {destination: {host: c.ns2.svc.cluster.local}}, {destination: {host: d.ns2.svc.cluster.local}, percentage: {value: 12.5}}]}]}`))
	got := ""
	for _, m := range out.Mesh.Lookup("a", 80).Routes[0].Mirrors {
		got += fmt.Sprint(m.At(80).Host, " ", m.Percent, "; ")
	}
	if want := "c.ns2.svc.cluster.local 100; d.ns2.svc.cluster.local 12.5; "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSharing(t *testing.T) {
	docs := []string{services, vs("ns1/v", `{hosts: [a, b, foo.com], http: [`+to("x", "a")+`]}`)}
	first, _ := compileDocs(t, ns1, docs...)
	a, b := first.Mesh.Lookup("a", 80), first.Mesh.Lookup("b", 8080)
	if a.Router != b.Router || a != first.Mesh.Lookup("a.ns1.svc", 80) {
		t.Error("one rule is compiled for each of its hosts")
	}
	in := input(t, ns1, docs...)
	in.Previous = first
	second, _ := Compile(in)
	if second.Mesh.Lookup("a", 80).Router != a.Router {
		t.Error("an unchanged rule is compiled again")
	}
	in = input(t, ns1, services, vs("ns1/v", `{hosts: [a], http: [`+to("x", "b")+`]}`))
	in.Previous = first
	third, _ := Compile(in)
	if third.Mesh.Lookup("a", 80).Router == a.Router {
		t.Error("a changed rule keeps its old routes")
	}
	in = input(t, Workload{Namespace: "ns1"}, docs...)
	in.Previous = first
	fourth, _ := Compile(in)
	if fourth.Mesh.Lookup("a", 80).Router == a.Router {
		t.Error("another workload's routes are taken over")
	}
}

func TestDeterministic(t *testing.T) {
	docs := []string{services, vs("ns1/v", `{hosts: [a, b, "*.foo.com"], gateways: [mesh, g], http: [`+to("x", "a")+`]}`), gateway("ns1/g", server("http", 80, "'*'"))}
	dump := func() string {
		out, findings := compileDocs(t, ns1, docs...)
		var b strings.Builder
		for _, vh := range out.Mesh.VirtualHosts() {
			fmt.Fprintln(&b, vh.Name, vh.Port, len(vh.Routes))
		}
		for _, vh := range out.Gateways["ns1/g"].VirtualHosts() {
			fmt.Fprintln(&b, vh.Name, vh.Port, len(vh.Routes))
		}
		return b.String() + messages(findings)
	}
	want := dump()
	for range 5 {
		if got := dump(); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	}
}

func TestLookupAllocs(t *testing.T) {
	out, _ := compileDocs(t, ns1, services, vs("ns1/v", `{hosts: [a, "*.foo.com"], http: [`+to("x", "b")+`]}`), gateway("ns1/g", server("http", 80, "'*'")))
	r := out.Mesh.Lookup("a", 80).Routes[0].Clusters[0]
	n := testing.AllocsPerRun(100, func() {
		out.Mesh.Lookup("a.ns1", 80)
		out.Mesh.Lookup("x.y.foo.com", 80)
		out.Mesh.Lookup("unknown.example.com", 80)
		out.Gateways["ns1/g"].Lookup(80, false, "a.com")
		r.At(8080)
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// large is n objects: a third services, a third VirtualServices, a third DestinationRules.
func large(n int) string {
	var b strings.Builder
	for i := range n / 3 {
		ref := fmt.Sprintf("ns%d/s%d", i%10, i)
		_, name, _ := strings.Cut(ref, "/")
		b.WriteString(service(ref, "{port: 80, name: http}, {port: 8080, name: http-alt}"))
		b.WriteString(vs(ref, `{hosts: [`+name+`], http: [`+to("x", name, "match: [{uri: {prefix: /a}}]")+", "+to("rest", name)+`]}`))
		b.WriteString(object("DestinationRule", ref, `{host: `+name+`, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}, subsets: [{name: v1, labels: {version: v1}}]}`))
	}
	return b.String()
}

func BenchmarkCompile(b *testing.B) {
	in := input(b, ns1, large(10000))
	b.ResetTimer()
	for b.Loop() {
		Compile(in)
	}
}

func BenchmarkRecompile(b *testing.B) {
	in := input(b, ns1, large(10000))
	in.Previous, _ = Compile(in)
	b.ResetTimer()
	for b.Loop() {
		in.Previous, _ = Compile(in)
	}
}

func BenchmarkLookup(b *testing.B) {
	out, _ := compileDocs(b, ns1, large(3000))
	b.ReportAllocs()
	for b.Loop() {
		out.Mesh.Lookup("s55.ns5", 80)
	}
}

func TestManyRoutes(t *testing.T) {
	var b strings.Builder
	const n = 5000
	for i := range n {
		fmt.Fprintf(&b, "{match: [{uri: {prefix: /p%d/}}], route: [{destination: {host: a}}]},\n", i)
	}
	out, findings := compileDocs(t, ns1, services, vs("ns1/v", "{hosts: [a], http: ["+b.String()+"]}"))
	if finding.HasErrors(findings) {
		t.Fatal(messages(findings))
	}
	if got, want := out.ask(request{host: "a", path: fmt.Sprintf("/p%d/x", n-1)}), fmt.Sprintf("ns1/v[%d]  -> %s", n-1, aCluster); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
