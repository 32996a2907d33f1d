package analyze_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/analyze"
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
)

func TestNotObeyed(t *testing.T) {
	route := func(lines string) string {
		return reviews + vs + "metadata: {name: a}\nspec:\n  hosts: [reviews]\n  http:\n  - route: [{destination: {host: reviews}}]\n" + lines
	}
	table(t, []struct {
		name, text string
		want       []string
	}{
		{"a plain route", route("    timeout: 1s\n"), nil},
		{"copies", route("    mirror: {host: reviews}\n    mirrorPercentage: {value: 10}\n"), nil},
		{"an operator that is known", route("    headers: {request: {set: {a: '%REQ(b)%'}}}\n"), nil},
		{"an operator that is not", route("    headers:\n      request:\n        set: {a: '%GEOIP%'}\n"), []string{"12 error MESH0010 http[0].headers.request.set[a]"}},
		{"a redirect that is none", vs + "metadata: {name: a}\nspec:\n  hosts: [a.com]\n  http:\n  - redirect: {uri: /b, redirectCode: 304}\n",
			[]string{"7 error MESH0010 http[0].redirect.redirectCode"}},
		{"a claim", front + vs + `metadata: {name: a}
spec:
  hosts: [shop.example.com]
  gateways: [front]
  http:
  - match: [{headers: {"@request.auth.claims.sub": {exact: me}}}]
    directResponse: {status: 200}
`, nil},
		{"routes of other protocols", vs + `metadata: {name: a}
spec:
  hosts: [a.com]
  tls:
  - match: [{sniHosts: [a.com]}]
    route: [{destination: {host: a.com}}]
  tcp:
  - route: [{destination: {host: a.com}}]
`, []string{"7 warning MESH0009 tls[0]", "10 warning MESH0009 tcp[0]"}},
		{"security", `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a}
spec: {action: DENY, rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: a}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: b}
spec: {targetRefs: [{kind: Service, name: s}], action: DENY, rules: [{when: [{key: "experimental.envoy.filters.x[y]", values: [z]}]}]}
`, []string{"9 warning MESH0009 spec", "14 warning MESH0009 targetRefs[0]", "14 warning MESH0009 rules[0].when[0].key"}},
		{"an annotation", vs + "metadata: {name: a, annotations: {inmesh/fault-scope: attempt}}\nspec: {hosts: [a.com], http: [{directResponse: {status: 200}}]}\n", nil},
		{"an annotation with a value of its own", vs + "metadata: {name: a, annotations: {inmesh/fault-scope: often}}\nspec: {hosts: [a.com], http: [{directResponse: {status: 200}}]}\n",
			[]string{"3 warning MESH0009 metadata.annotations[inmesh/fault-scope]"}},
		{"an annotation that nobody knows", vs + "metadata: {name: a, annotations: {inmesh/fault: attempt}}\nspec: {hosts: [a.com], http: [{directResponse: {status: 200}}]}\n",
			[]string{"3 warning MESH0009 metadata.annotations[inmesh/fault]"}},
	})
}

// TestSamples looks at rules that are known to be good: Istio's own. Their warnings were read one by one.
func TestSamples(t *testing.T) {
	dirs, _ := filepath.Glob(filepath.Join(os.Getenv("HOME"), "go/pkg/mod/istio.io/istio@*/samples"))
	if len(dirs) == 0 {
		t.Skip("no sources of Istio on this machine")
	}
	tests := []struct {
		name  string
		files []string
		want  []string
	}{
		{"bookinfo", []string{"bookinfo/platform/kube/bookinfo.yaml", "bookinfo/networking/bookinfo-gateway.yaml",
			"bookinfo/networking/destination-rule-all.yaml", "bookinfo/networking/virtual-service-all-v1.yaml"}, nil},
		{"bookinfo, split", []string{"bookinfo/platform/kube/bookinfo.yaml", "bookinfo/networking/destination-rule-all.yaml",
			"bookinfo/networking/virtual-service-reviews-test-v2.yaml", "bookinfo/networking/virtual-service-ratings-test-delay.yaml"}, nil},
		{"httpbin", []string{"httpbin/httpbin.yaml", "httpbin/httpbin-gateway.yaml"}, nil},
		{"helloworld", []string{"helloworld/helloworld.yaml", "helloworld/helloworld-gateway.yaml"}, nil},
		{"websockets", []string{"websockets/app.yaml", "websockets/route.yaml"}, nil},
		{"tcp-echo", []string{"tcp-echo/tcp-echo-services.yaml", "tcp-echo/tcp-echo-20-v2.yaml"}, []string{"error IST0101 spec.gateways[0]", "warning MESH0009 spec.tcp[0]"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var objects []*rule.Object
			for _, f := range tt.files {
				text, err := os.ReadFile(filepath.Join(dirs[0], f))
				if err != nil {
					t.Skip(err)
				}
				more, _ := rule.Parse(f, text)
				objects = append(objects, more...)
			}
			set, _ := rule.NewSet(objects)
			var got []string
			for _, f := range analyze.Set(set) {
				got = append(got, string(f.Severity)+" "+f.Code+" "+f.Path)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestHollow looks at rules made in Go with holes in them, which validation refuses and analysis survives.
func TestHollow(t *testing.T) {
	specs := []any{
		&networking.VirtualService{Hosts: []string{"", "a"}, Gateways: []string{""}, Http: []*networking.HTTPRoute{nil, {},
			{Match: []*networking.HTTPMatchRequest{nil, {Headers: map[string]*networking.StringMatch{"": nil}}}, Delegate: &networking.Delegate{}},
			{Route: []*networking.HTTPRouteDestination{nil, {}, {Destination: &networking.Destination{Host: "a", Subset: "b"}}},
				Mirrors: []*networking.HTTPMirrorPolicy{nil}, Retries: &networking.HTTPRetry{Attempts: 1, RetryOn: ",5xx"}}},
			Tls: []*networking.TLSRoute{nil}, Tcp: []*networking.TCPRoute{nil}},
		&networking.VirtualService{},
		&networking.DestinationRule{Subsets: []*networking.Subset{nil}, TrafficPolicy: &networking.TrafficPolicy{
			PortLevelSettings: []*networking.TrafficPolicy_PortTrafficPolicy{nil}, OutlierDetection: &networking.OutlierDetection{}}},
		&networking.Gateway{Servers: []*networking.Server{nil, {}}},
		&networking.ServiceEntry{Hosts: []string{"", "*"}},
		&networking.Sidecar{Egress: []*networking.IstioEgressListener{nil}},
		&networking.WorkloadEntry{},
	}
	var objects []*rule.Object
	for _, spec := range specs {
		for _, name := range []string{"x", "y"} {
			o, err := rule.New("default", name, spec)
			if err != nil {
				t.Fatal(err)
			}
			objects = append(objects, o)
		}
	}
	set, _ := rule.NewSet(objects)
	first := analyze.Set(set)
	if len(first) == 0 {
		t.Error("nothing is said")
	}
	for range 3 {
		if diff := cmp.Diff(first, analyze.Set(set)); diff != "" {
			t.Fatalf("said otherwise the next time:\n%s", diff)
		}
	}
	if !slices.IsSortedFunc(first, func(a, b finding.Finding) int { return a.Line - b.Line }) {
		t.Error("not in order")
	}
	if got := analyze.Set(nil); got != nil {
		t.Errorf("of no set: %v", got)
	}
}
