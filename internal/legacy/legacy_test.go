package legacy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// TestRewrite reads an old form beside the modern one that the warning shows: both must mean the same. The spec
// begins on line 5, column 7.
func TestRewrite(t *testing.T) {
	const vs, dr = "VirtualService", "DestinationRule"
	tests := []struct {
		name, kind, old, modern string
		want                    []string
	}{
		{"nothing old", vs, "{gateways: [mesh, a/b], http: [{fault: {abort: {percentage: {value: 1}}}}]}", "{gateways: [mesh, a/b], http: [{fault: {abort: {percentage: {value: 1}}}}]}", nil},
		{"abort percent", vs, "{http: [{fault: {abort: {percent: 20, httpStatus: 500}}}]}", "{http: [{fault: {abort: {percentage: {value: 20}, httpStatus: 500}}}]}",
			[]string{"5:32 spec.http[0].fault.abort.percent: an old form: write percentage: {value: 20}"}},
		{"abort percent beside percentage", vs, "{http: [{fault: {abort: {percent: 20, percentage: {value: 1}}}}]}", "{http: [{fault: {abort: {percentage: {value: 1}}}}]}",
			[]string{"5:32 spec.http[0].fault.abort.percent: not used beside percentage: delete it"}},
		{"delay percent stays", vs, "{http: [{}, {fault: {delay: {percent: 20, fixedDelay: 1s}}}]}", "{http: [{}, {fault: {delay: {percent: 20, fixed_delay: 1s}}}]}",
			[]string{"5:36 spec.http[1].fault.delay.percent: an old form: write percentage: {value: 20}"}},
		{"append headers", vs, "{http: [{appendHeaders: {a: b, c: '*'}}]}", "{http: [{headers: {request: {add: {a: b, c: '*'}}}}]}",
			[]string{`5:16 spec.http[0].appendHeaders: an old form: write headers: {request: {add: {a: b, c: "*"}}}`}},
		{"all header fields", vs, "{http: [{append_request_headers: {a: b}, appendResponseHeaders: {c: d}, removeRequestHeaders: [e], removeResponseHeaders: [f], headers: {request: {add: {a: x}, set: {g: h}, remove: [i]}}}]}",
			"{http: [{headers: {request: {add: {a: x}, set: {g: h}, remove: [i, e]}, response: {add: {c: d}, remove: [f]}}}]}",
			[]string{
				"5:16 spec.http[0].append_request_headers: an old form: write headers: {request: {add: {a: b}}}",
				"5:48 spec.http[0].appendResponseHeaders: an old form: write headers: {response: {add: {c: d}}}",
				"5:79 spec.http[0].removeRequestHeaders: an old form: write headers: {request: {remove: [e]}}",
				"5:106 spec.http[0].removeResponseHeaders: an old form: write headers: {response: {remove: [f]}}"}},
		{"headers of a destination", vs, "{http: [{route: [{destination: {host: a}, removeResponseHeaders: [b]}]}]}", "{http: [{route: [{destination: {host: a}, headers: {response: {remove: [b]}}}]}]}",
			[]string{"5:49 spec.http[0].route[0].removeResponseHeaders: an old form: write headers: {response: {remove: [b]}}"}},
		{"websocket", vs, "{http: [{websocketUpgrade: true, name: a}]}", "{http: [{name: a}]}",
			[]string{"5:16 spec.http[0].websocketUpgrade: has no effect since Istio 1.0, upgrades are always on: delete it"}},
		{"allow origin", vs, "{http: [{corsPolicy: {allowOrigin: [a.com, '*']}}]}", "{http: [{corsPolicy: {allowOrigins: [{exact: a.com}, {exact: '*'}]}}]}",
			[]string{`5:29 spec.http[0].corsPolicy.allowOrigin: an old form: write allowOrigins: [{exact: a.com}, {exact: "*"}]`}},
		{"mirror percent stays", vs, "{http: [{mirror_percent: 5}]}", "{http: [{mirrorPercent: 5}]}",
			[]string{"5:16 spec.http[0].mirror_percent: an old form: write mirrorPercentage: {value: 5}"}},
		{"gateway names", vs, "{gateways: [a.b.svc.cluster.local, c.d, mesh], http: [{match: [{gateways: [e.f]}]}]}", "{gateways: [b/a, d/c, mesh], http: [{match: [{gateways: [f/e]}]}]}",
			[]string{
				"5:19 spec.gateways[0]: a.b.svc.cluster.local is an old way to name a gateway: write b/a",
				"5:42 spec.gateways[1]: c.d is an old way to name a gateway: write d/c",
				"5:82 spec.http[0].match[0].gateways[0]: e.f is an old way to name a gateway: write f/e"}},
		{"consecutive errors", dr, "{trafficPolicy: {outlierDetection: {consecutiveErrors: 7}}}", "{trafficPolicy: {outlierDetection: {consecutive5xxErrors: 7}}}",
			[]string{"5:43 spec.trafficPolicy.outlierDetection.consecutiveErrors: an old form, read as Istio 1.0 did: write consecutive5xxErrors: 7"}},
		{"consecutive errors everywhere", dr, "{trafficPolicy: {portLevelSettings: [{outlierDetection: {consecutive_errors: 0}}]}, subsets: [{name: a, trafficPolicy: {outlierDetection: {consecutiveErrors: 2, consecutive5xxErrors: 3}}}]}",
			"{trafficPolicy: {portLevelSettings: [{outlierDetection: {consecutive5xxErrors: 0}}]}, subsets: [{name: a, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3}}}]}",
			[]string{
				"5:64 spec.trafficPolicy.portLevelSettings[0].outlierDetection.consecutive_errors: an old form, read as Istio 1.0 did: write consecutive5xxErrors: 0",
				"5:146 spec.subsets[0].trafficPolicy.outlierDetection.consecutiveErrors: not used beside consecutive5xxErrors: delete it"}},
		{"before 1.0", dr, "{trafficPolicy: {outlierDetection: {http: {consecutiveErrors: 7, interval: 5m}}}}", "{trafficPolicy: {outlierDetection: {consecutive5xxErrors: 7, interval: 5m}}}",
			[]string{
				"5:43 spec.trafficPolicy.outlierDetection.http: an old form: write its fields straight under outlierDetection",
				"5:50 spec.trafficPolicy.outlierDetection.consecutiveErrors: an old form, read as Istio 1.0 did: write consecutive5xxErrors: 7"}},
		{"least conn", dr, "{trafficPolicy: {loadBalancer: {simple: LEAST_CONN}}}", "{trafficPolicy: {loadBalancer: {simple: LEAST_REQUEST}}}",
			[]string{"5:39 spec.trafficPolicy.loadBalancer.simple: LEAST_CONN is an old name: write simple: LEAST_REQUEST"}},
		{"fields that stay", dr, "{trafficPolicy: {loadBalancer: {warmupDurationSecs: 5s, consistentHash: {useSourceIp: true, minimumRingSize: 9}}}}", "{trafficPolicy: {loadBalancer: {warmup_duration_secs: 5s, consistentHash: {useSourceIp: true, minimum_ring_size: 9}}}}",
			[]string{
				"5:39 spec.trafficPolicy.loadBalancer.warmupDurationSecs: an old form: write warmup: {duration: 5s}",
				"5:99 spec.trafficPolicy.loadBalancer.consistentHash.minimumRingSize: an old form: write ringHash: {minimumRingSize: 9}"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			old, warnings := parse(t, test.kind, test.old)
			modern, _ := parse(t, test.kind, test.modern)
			if d := cmp.Diff(modern, old, protocmp.Transform()); d != "" {
				t.Errorf("-modern +old\n%s", d)
			}
			var got []string
			for _, f := range warnings {
				got = append(got, f.Position.String()[2:]+" "+f.Path+": "+f.Message)
				if f.Severity != finding.Warning || f.Code != finding.CodeLegacy {
					t.Errorf("not a warning about an old form: %v", f)
				}
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

func parse(t *testing.T, kind, spec string) (any, []finding.Finding) {
	t.Helper()
	objects, findings := rule.Parse("f", []byte("apiVersion: networking.istio.io/v1alpha3\nkind: "+kind+"\nmetadata:\n  name: a\nspec: "+spec+"\n"))
	finding.Sort(findings)
	if len(objects) != 1 {
		t.Fatal(findings)
	}
	return objects[0].Spec, findings
}

// TestRefused holds the old forms that are errors, and that wrong types in old forms are found.
func TestRefused(t *testing.T) {
	const head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec: "
	tests := []struct {
		name, text string
		want       string
	}{
		{"port by name", head + "{http: [{route: [{destination: {host: b, port: {name: http}}}]}]}",
			"f:4:55: error: VirtualService default/a: spec.http[0].route[0].destination.port.name: a port by name is not supported, in Istio neither: write port: {number: 80}, with the service's port [MESH0003]"},
		{"percent of the wrong type", head + "{http: [{fault: {abort: {percent: some}}}]}",
			`f:4:41: error: VirtualService default/a: spec.http[0].fault.abort.percentage.value: "some" is a string, expected a number [MESH0005]`},
		{"headers of the wrong type", head + "{http: [{appendHeaders: [a], headers: {request: {add: {}}}}]}",
			"f:4:16: error: VirtualService default/a: spec.http[0].appendHeaders: a list, expected a mapping [MESH0005]"},
		{"route rule", "apiVersion: config.istio.io/v1alpha2\nkind: RouteRule\nmetadata: {name: a}\n",
			"f:2:7: error: RouteRule default/a: kind: RouteRule is gone since Istio 1.0: write a VirtualService of networking.istio.io/v1 (spec: {hosts: [reviews], http: [{match: [{headers: {x-user: {exact: jason}}}], route: [{destination: {host: reviews, subset: v1}}]}]}) [MESH0010]"},
		{"mesh policy", "apiVersion: authentication.istio.io/v1alpha1\nkind: MeshPolicy\nmetadata: {name: default}\n",
			"f:2:7: error: MeshPolicy default/default: kind: MeshPolicy is gone since Istio 1.6: write a PeerAuthentication of security.istio.io/v1 in the root namespace (metadata: {name: default, namespace: istio-system}, spec: {mtls: {mode: STRICT}}) [MESH0010]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			objects, findings := rule.Parse("f", []byte(test.text))
			found := false
			for _, f := range findings {
				found = found || f.String() == test.want
			}
			if !found || len(objects) != 0 {
				t.Errorf("got %v, want %v", findings, test.want)
			}
		})
	}
	for _, kind := range []string{
		"config.istio.io/v1alpha2 DestinationPolicy", "config.istio.io/v1alpha2 EgressRule", "config.istio.io/v1alpha2 IngressRule",
		"authentication.istio.io/v1alpha1 Policy", "rbac.istio.io/v1alpha1 ServiceRole", "rbac.istio.io/v1alpha1 ServiceRoleBinding",
		"rbac.istio.io/v1alpha1 RbacConfig", "rbac.istio.io/v1alpha1 ClusterRbacConfig", "rbac.istio.io/v1alpha1 AuthorizationPolicy",
	} {
		t.Run(kind, func(t *testing.T) {
			version, name, _ := strings.Cut(kind, " ")
			_, findings := rule.Parse("f", []byte("apiVersion: "+version+"\nkind: "+name+"\nmetadata: {name: a}\n"))
			if len(findings) != 1 || findings[0].Severity != finding.Error || findings[0].Code != finding.CodeRefused {
				t.Errorf("got %v, want one refusal", findings)
			}
		})
	}
}
