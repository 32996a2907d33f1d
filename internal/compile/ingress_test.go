package compile

import (
	"testing"
)

func ingress(apiVersion, ref, spec string) string {
	return "---\napiVersion: " + apiVersion + "\nkind: Ingress\nmetadata: {name: " + ref + ", namespace: ns1}\nspec: " + spec + "\n"
}

func TestIngress(t *testing.T) {
	v1 := func(path, kind, service, port string) string {
		return "{path: '" + path + "', pathType: " + kind + ", backend: {service: {name: " + service + ", port: {" + port + "}}}}"
	}
	out, findings := compileDocs(t, ns1, services,
		ingress("networking.k8s.io/v1", "i", `{
			defaultBackend: {service: {name: b, port: {number: 8080}}},
			tls: [{hosts: [a.com], secretName: s}],
			rules: [{host: A.com, http: {paths: [
				`+v1("/", "Prefix", "a", "number: 80")+`,
				`+v1("/x", "Prefix", "b", "name: http")+`,
				`+v1("/x", "Exact", "t", "number: 80")+`,
				`+v1("/old/*", "ImplementationSpecific", "t", "number: 80")+`,
				`+v1("/lost", "Exact", "b", "name: nothing")+`]}},
				{host: b.com, http: {paths: [`+v1("/only", "Exact", "a", "number: 80")+`]}}]}`),
		ingress("extensions/v1beta1", "old", `{rules: [{host: old.com, http: {paths: [{path: /, backend: {serviceName: a, servicePort: http}}, {path: /api, backend: {serviceName: nobody, servicePort: 80}}]}},
			{http: {paths: [{backend: {serviceName: b, servicePort: 80}}]}}]}`),
		gateway("ns1/taken", server("http", 80, "g.com")), ingress("networking.k8s.io/v1", "taken", "{}"),
	)
	tCluster, bCluster := "outbound|80||t.ns1.svc.cluster.local", "outbound|80||b.ns1.svc.cluster.local"
	for _, c := range []struct {
		gateway string
		request
	}{
		{"ns1/i", request{host: "a.com", path: "/x", want: "ns1/i[2]  -> " + tCluster}},
		{"ns1/i", request{host: "a.com", path: "/x/y", want: "ns1/i[1]  -> " + bCluster}},
		{"ns1/i", request{host: "a.com", path: "/xy", want: "ns1/i[0]  -> " + aCluster}},
		{"ns1/i", request{host: "a.com", path: "/old/x", want: "ns1/i[3]  -> " + tCluster}},
		{"ns1/i", request{host: "a.com", path: "/lost", want: "ns1/i[0]  -> " + aCluster}},
		{"ns1/i", request{host: "a.com", port: 9999, path: "/", want: "ns1/i[0]  -> " + aCluster}},
		{"ns1/i", request{host: "b.com", path: "/only", want: "ns1/i[0]  -> " + aCluster}},
		{"ns1/i", request{host: "b.com", path: "/other", want: "ns1/i[1]  -> outbound|8080||b.ns1.svc.cluster.local"}},
		{"ns1/i", request{host: "any.org", want: "ns1/i[0]  -> outbound|8080||b.ns1.svc.cluster.local"}},
		{"ns1/old", request{host: "old.com", want: "ns1/old[0]  -> " + aCluster}},
		{"ns1/old", request{host: "old.com", path: "/x", want: "404"}},
		{"ns1/old", request{host: "old.com", path: "/api", want: "ns1/old[1]  -> outbound|80||nobody.ns1.svc.cluster.local"}},
		{"ns1/old", request{host: "any.org", path: "/x", want: "ns1/old[0]  -> " + bCluster}},
	} {
		if got := out.through(c.gateway, false, c.request); got != c.want {
			t.Errorf("%s %s:%d%s\n got %s\nwant %s", c.gateway, c.host, c.port, c.path, got, c.want)
		}
	}
	if got, want := out.through("ns1/i", true, request{host: "a.com", port: 443, path: "/x"}), "ns1/i[2]  -> "+tCluster; got != want {
		t.Errorf("over TLS: got %s, want %s", got, want)
	}
	if out.Gateways["ns1/taken"].Object.Kind != "Gateway" {
		t.Error("an Ingress took the place of a Gateway")
	}
	want := `warning IST0101 ns1/i spec.rules[0].http.paths[4].backend: service b.ns1.svc.cluster.local has no port named "nothing": the path is left out
warning MESH0009 ns1/i spec.tls: secrets are not read: the certificate comes from whoever listens
warning MESH0009 ns1/taken metadata.name: a Gateway has the same name: the Ingress is left out
warning MESH0018 ns1/old spec.rules[0].http.paths[0].path: "/" without a pathType matches this very path only, as in Istio; pathType Prefix matches all
`
	if got := messages(findings); sortLines(got) != sortLines(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	_, vh := out.Gateways["ns1/i"].Lookup(80, false, "a.com")
	hit := vh.Router.Match(request{path: "/x/y"}.view(80))
	if at := vh.Routes[hit.Index()].Position(); at.Line == 0 {
		t.Errorf("position %v", at)
	}
}
