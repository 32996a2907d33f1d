package compile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	networking "istio.io/api/networking/v1"
)

func TestDelegate(t *testing.T) {
	root := vs("ns1/root", `{hosts: [a], http: [
		{name: r, match: [{uri: {prefix: /p}, headers: {h: {exact: "1"}}}], delegate: {name: d, namespace: ns2}, timeout: 3s},
		{match: [{uri: {prefix: /gone}}], delegate: {name: nobody}},
		{match: [{uri: {prefix: /hosted}}], delegate: {name: hosted}},
		{match: [{uri: {prefix: /hidden}}], delegate: {name: hidden, namespace: ns2}},
		`+to("last", "a")+`]}`)
	leaf := vs("ns2/d", `{http: [
		`+to("one", "c", "match: [{uri: {prefix: /p/one}}]")+`,
		`+to("out", "c", "match: [{uri: {prefix: /q}}]")+`,
		{match: [{uri: {exact: /p/x}, headers: {k: {exact: "2"}}}], route: [{destination: {host: d}}], timeout: 1s},
		`+to("all", "c")+`]}`)
	out, findings := compileDocs(t, ns1, services, root, leaf,
		vs("ns1/hosted", `{hosts: [b], http: [`+to("x", "b")+`]}`),
		vs("ns2/hidden", `{exportTo: ["."], http: [`+to("x", "c")+`]}`))
	h := map[string]string{"h": "1"}
	hk := map[string]string{"h": "1", "k": "2"}
	last := "ns1/root[4] last -> " + aCluster
	for _, q := range []request{
		{host: "a", path: "/p/one", headers: h, want: "ns1/root[0] r-one -> " + cCluster},
		{host: "a", path: "/p/one", want: last},
		{host: "a", path: "/q", headers: h, want: last},
		{host: "a", path: "/p/x", headers: hk, want: "ns1/root[0] r -> outbound|9000||d.ns2.svc.cluster.local"},
		{host: "a", path: "/p/y", headers: h, want: "ns1/root[0] r-all -> " + cCluster},
		{host: "a", path: "/gone", want: last}, {host: "a", path: "/hosted", want: last}, {host: "a", path: "/hidden", want: last},
	} {
		if got := out.ask(q); got != q.want {
			t.Errorf("%s %v\n got %s\nwant %s", q.path, q.headers, got, q.want)
		}
	}
	want := `warning MESH0018 ns2/d spec.http[1].match: no match lies within those of http[0] of VirtualService ns1/root: the route is left out there
warning IST0101 ns1/root spec.http[1].delegate: no VirtualService ns1/nobody: the route is left out
warning IST0101 ns1/root spec.http[2].delegate: VirtualService ns1/hosted has hosts: a delegate has none; the route is left out
warning IST0101 ns1/root spec.http[3].delegate: VirtualService ns2/hidden is not exported to namespace ns1: the route is left out
`
	if got := messages(findings); sortLines(got) != sortLines(want) {
		t.Errorf("findings:\n%s\nwant:\n%s", got, want)
	}
	vh := out.Mesh.Lookup("a", 80)
	hit := vh.Router.Match(request{host: "a", path: "/p/x", headers: hk}.view(80))
	r := vh.Routes[hit.Index()]
	if r.Delegate.Ref() != "ns2/d" || r.DelegateIndex != 2 {
		t.Errorf("delegate %v[%d], want ns2/d[2]", r.Delegate, r.DelegateIndex)
	}
	if at := r.Position(); at.File != "rules.yaml" || at.Line == 0 {
		t.Errorf("position %v", at)
	}
	if got := hit.Timeout().Seconds(); got != 1 {
		t.Errorf("timeout %v, want the delegate's", got)
	}
}

func sortLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i := range lines {
		for j := i + 1; j < len(lines); j++ {
			if lines[j] < lines[i] {
				lines[i], lines[j] = lines[j], lines[i]
			}
		}
	}
	return strings.Join(lines, "\n")
}

// TestDelegateTwoAuthorities: admission refuses two sources of the authority in one route, and cannot see those that come
// together of two objects. The rewrite wins, as in Istio.
func TestDelegateTwoAuthorities(t *testing.T) {
	out, findings := compileDocs(t, ns1, services,
		vs("ns1/root", `{hosts: [a], http: [{delegate: {name: d}, rewrite: {authority: root.com}}]}`),
		vs("ns1/d", `{http: [{headers: {request: {set: {host: leaf.com, x: "1"}}}, route: [{destination: {host: a}}]}]}`))
	if len(findings) > 0 {
		t.Fatalf("got %s, want no findings", messages(findings))
	}
	q := request{host: "a"}
	r := out.Mesh.Lookup("a", 80).Router.Match(q.view(80))
	if r == nil || r.Authority(0) != "root.com" {
		t.Fatalf("got %v, want a route to root.com", r)
	}
	if got, _ := r.HeaderOps(0); got.Set["X"] != "1" {
		t.Errorf("got %v, want X set", got)
	}
}

func TestDelegateChain(t *testing.T) {
	// Each of the two names the other; neither has hosts.
	out, findings := compileDocs(t, ns1, services,
		vs("ns1/root", `{hosts: [a], http: [{delegate: {name: d}}, `+to("x", "a")+`]}`),
		vs("ns1/d", `{http: [{delegate: {name: e}}, `+to("y", "b", "match: [{uri: {prefix: /y}}]")+`]}`),
		vs("ns1/e", `{http: [{delegate: {name: d}}]}`))
	want := "error MESH0010 ns1/d spec.http[0].delegate: a delegate (of ns1/root) delegates again; one level is allowed\n"
	if got := messages(findings); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got, want := out.ask(request{host: "a"}), "ns1/root[1] x -> "+aCluster; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func text(kind, s string) *networking.StringMatch {
	switch kind {
	case "exact":
		return &networking.StringMatch{MatchType: &networking.StringMatch_Exact{Exact: s}}
	case "prefix":
		return &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: s}}
	case "regex":
		return &networking.StringMatch{MatchType: &networking.StringMatch_Regex{Regex: s}}
	}
	return nil
}

func TestTextWithin(t *testing.T) {
	for _, c := range []struct {
		name       string
		leaf, root *networking.StringMatch
		want       bool
	}{
		{"no root", text("exact", "/a"), nil, true},
		{"no leaf", nil, text("regex", "a"), true},
		{"same exact", text("exact", "/a"), text("exact", "/a"), true},
		{"other exact", text("exact", "/b"), text("exact", "/a"), false},
		{"prefix in exact", text("prefix", "/a"), text("exact", "/a"), false},
		{"exact in prefix", text("exact", "/a/b"), text("prefix", "/a"), true},
		{"exact outside prefix", text("exact", "/b"), text("prefix", "/a"), false},
		{"prefix in prefix", text("prefix", "/a/b"), text("prefix", "/a"), true},
		{"wider prefix", text("prefix", "/a"), text("prefix", "/a/b"), false},
		{"regex in prefix", text("regex", "/a.*"), text("prefix", "/a"), false},
		{"exact in regex", text("exact", "/a"), text("regex", "/a"), false},
		{"same regex", text("regex", "/a"), text("regex", "/a"), false},
		{"presence in presence", &networking.StringMatch{}, &networking.StringMatch{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := textWithin(c.leaf, c.root); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestMergeRoute(t *testing.T) {
	root := &networking.HTTPRoute{
		Name: "r", Match: []*networking.HTTPMatchRequest{
			{Name: "m", Uri: text("prefix", "/a"), Method: text("exact", "GET"), SourceLabels: map[string]string{"x": "1"}},
			{Uri: text("prefix", "/b"), Port: 80},
		},
		Rewrite:    &networking.HTTPRewrite{Uri: "/root"},
		CorsPolicy: &networking.CorsPolicy{},
		Headers:    &networking.Headers{},
	}
	leaf := &networking.HTTPRoute{
		Match: []*networking.HTTPMatchRequest{
			{Name: "n", Uri: text("exact", "/a/1"), Headers: map[string]*networking.StringMatch{"k": text("exact", "v")}},
			{Method: text("exact", "PUT")},
		},
		Rewrite: &networking.HTTPRewrite{Uri: "/leaf"},
	}
	got, ok := mergeRoute(root, leaf)
	want := &networking.HTTPRoute{
		Name: "r", Match: []*networking.HTTPMatchRequest{
			{Name: "m-n", Uri: text("exact", "/a/1"), Method: text("exact", "GET"), SourceLabels: map[string]string{"x": "1"},
				Headers: map[string]*networking.StringMatch{"k": text("exact", "v")}},
			{Uri: text("prefix", "/b"), Method: text("exact", "PUT"), Port: 80},
		},
		Rewrite:    leaf.Rewrite,
		CorsPolicy: root.CorsPolicy,
		Headers:    root.Headers,
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || !ok {
		t.Errorf("%v, -want +got:\n%s", ok, diff)
	}
	for _, c := range []struct {
		name       string
		root, leaf *networking.HTTPMatchRequest
	}{
		{"port", &networking.HTTPMatchRequest{Port: 80}, &networking.HTTPMatchRequest{Port: 81}},
		{"case", &networking.HTTPMatchRequest{IgnoreUriCase: true}, &networking.HTTPMatchRequest{Method: text("exact", "GET")}},
		{"namespace", &networking.HTTPMatchRequest{SourceNamespace: "x"}, &networking.HTTPMatchRequest{Method: text("exact", "GET")}},
		{"labels", &networking.HTTPMatchRequest{SourceLabels: map[string]string{"a": "1"}}, &networking.HTTPMatchRequest{SourceLabels: map[string]string{"a": "2"}}},
		{"gateways", &networking.HTTPMatchRequest{Gateways: []string{"a"}}, &networking.HTTPMatchRequest{Gateways: []string{"b"}}},
		{"query", &networking.HTTPMatchRequest{QueryParams: map[string]*networking.StringMatch{"q": text("exact", "1")}}, &networking.HTTPMatchRequest{QueryParams: map[string]*networking.StringMatch{"q": text("exact", "2")}}},
	} {
		if _, ok := mergeRoute(&networking.HTTPRoute{Match: []*networking.HTTPMatchRequest{c.root}}, &networking.HTTPRoute{Match: []*networking.HTTPMatchRequest{c.leaf}}); ok {
			t.Errorf("%s: merged, want a conflict", c.name)
		}
	}
}
