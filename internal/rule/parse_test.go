package rule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/kube"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name, text string
		objects    []string // position and name
		findings   []string
	}{
		{"documents, one of them broken",
			"kind: Gateway\napiVersion: networking.istio.io/v1\nmetadata: {name: a}\n---\na: [\n---\napiVersion: v1\nkind: Service\nmetadata: {name: b, namespace: c}\nspec: {ports: [{port: 80}]}\n",
			[]string{"1:1 Gateway default/a", "7:1 Service c/b"},
			[]string{"5:1: : the document ends where a value is expected [MESH0001]"}},
		{"versions", strings.Join([]string{
			"{apiVersion: networking.istio.io/v1alpha3, kind: VirtualService, metadata: {name: a}}",
			"{apiVersion: networking.istio.io/v1beta1, kind: ProxyConfig, metadata: {name: b}}",
			"{apiVersion: telemetry.istio.io/v1alpha1, kind: Telemetry, metadata: {name: c}}",
			"{apiVersion: extensions/v1beta1, kind: Ingress, metadata: {name: d}}",
			"{apiVersion: discovery.k8s.io/v1beta1, kind: EndpointSlice, metadata: {name: e}}",
			"{apiVersion: networking.istio.io/v2, kind: VirtualService, metadata: {name: f}}",
			"{apiVersion: networking.istio.io, kind: VirtualService, metadata: {name: g}}",
			"{apiVersion: security.istio.io/v1, kind: VirtualService, metadata: {name: h}}",
			"{apiVersion: v1, kind: EndpointSlice, metadata: {name: i}}",
		}, "\n---\n"),
			[]string{"1:1 VirtualService default/a", "3:1 ProxyConfig default/b", "5:1 Telemetry default/c", "7:1 Ingress default/d", "9:1 EndpointSlice default/e"},
			[]string{
				`11:44: kind: VirtualService has no version "v2", expected apiVersion networking.istio.io/v1 [MESH0006]`,
				`13:41: kind: apiVersion networking.istio.io has no kind VirtualService, expected apiVersion networking.istio.io/v1 [MESH0006]`,
				`15:42: kind: apiVersion security.istio.io/v1 has no kind VirtualService, expected apiVersion networking.istio.io/v1 [MESH0006]`,
				`17:24: kind: apiVersion v1 has no kind EndpointSlice, expected apiVersion discovery.k8s.io/v1 [MESH0006]`}},
		{"kinds", strings.Join([]string{
			"{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}",
			"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}",
			"{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: a}}",
			"{apiVersion: networking.istio.io/v1alpha3, kind: EnvoyFilter, metadata: {name: a}}",
			"{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: a}}",
			"{apiVersion: networking.istio.io/v1, kind: VirtualServices, metadata: {name: a}}",
			"{apiVersion: v1, kind: Servce, metadata: {name: a}}",
			"{apiVersion: rbac.istio.io/v1alpha1, kind: RbacConfig, metadata: {name: a}}",
		}, "\n---\n"), nil,
			[]string{
				"info 1:29: kind: Deployment is not read: only services, endpoints and rules are [MESH0007]",
				"info 3:24: kind: ConfigMap is not read: only services, endpoints and rules are [MESH0007]",
				"info 5:44: kind: Service is not read: only services, endpoints and rules are [MESH0007]",
				"warning 7:50: kind: EnvoyFilter is not supported; there is no Envoy to patch: write the rule as a VirtualService, or an aspect in Go [MESH0010]",
				"warning 9:50: kind: HTTPRoute is not supported; write it as a VirtualService and a Gateway of networking.istio.io/v1 [MESH0010]",
				"11:44: kind: apiVersion networking.istio.io/v1 has no kind VirtualServices, did you mean VirtualService? [MESH0006]",
				"13:24: kind: apiVersion v1 has no kind Servce, did you mean Service? [MESH0006]",
				"15:44: kind: RbacConfig is gone since Istio 1.6: where it said ON, write an AuthorizationPolicy of security.istio.io/v1 per namespace that allows nothing (metadata: {name: allow-nothing}, spec: {}) [MESH0010]"}},
		{"lists",
			"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: a}}\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: b}\n- {kind: Gateway}\n---\n" +
				"{apiVersion: networking.istio.io/v1, kind: GatewayList, items: [{metadata: {name: c}}, {metadata: {name: d}, spec: {foo: 1}}]}\n---\n{apiVersion: v1, kind: List, items: }\n",
			[]string{"4:3 Gateway default/a", "5:3 Pod default/b", "10:65 Gateway default/c"},
			[]string{"8:3: : no apiVersion [MESH0006]", `10:117: spec.foo: unknown field "foo", expected selector or servers [MESH0003]`}},
		{"no object", "a: b\n---\n- a\n---\nx\n---\napiversion: v1\nKind: Pod\n---\nkind: Pod\napi-version: v1\n---\napiVersion: v1\nkind: 1\n", nil,
			[]string{
				"1:1: : neither apiVersion nor kind: not an object [MESH0006]",
				"3:1: : a list, expected a mapping with apiVersion and kind [MESH0006]",
				`5:1: : "x" is a string, expected a mapping with apiVersion and kind [MESH0006]`,
				"7:1: : neither apiVersion nor kind: not an object, is it apiversion? [MESH0006]",
				"10:1: : no apiVersion, is it api-version? [MESH0006]",
				`14:7: kind: 1 is a number in YAML, expected a string: write "1" [MESH0005]`}},
		{"metadata", strings.Join([]string{
			"{apiVersion: v1, kind: Pod}",
			"{apiVersion: v1, kind: Pod, metadata: {}}",
			"{apiVersion: v1, kind: Pod, metadata: []}",
			"{apiVersion: v1, kind: Pod, metadata: {name: 1, lables: {}, labels: {version: 1.0}, annotations: 3, creationTimestamp: today}}",
			"{apiVersion: v1, kind: Pod, metadata: {name: a, creationTimestamp: null, uid: 1, managedFields: [{}], labels: null, generation: 3}}",
			"{apiVersion: v1, kind: Pod, metadata: {generateName: a-}}",
		}, "\n---\n"), []string{"9:1 Pod default/a"},
			[]string{
				"1:1: metadata: absent, expected a name [MESH0002]",
				"3:29: metadata.name: empty, expected a name [MESH0002]",
				"5:39: metadata: a list, expected a mapping [MESH0005]",
				"7:29: metadata.name: empty, expected a name [MESH0002]",
				`7:46: metadata.name: 1 is a number in YAML, expected a string: write "1" [MESH0005]`,
				`7:49: metadata.lables: unknown field "lables", did you mean labels? [MESH0003]`,
				`7:79: metadata.labels[version]: 1.0 is a number in YAML, expected a string: write "1.0" [MESH0005]`,
				"7:98: metadata.annotations: 3 is a number, expected a mapping [MESH0005]",
				`7:120: metadata.creationTimestamp: "today", expected a time such as 2026-01-31T15:04:05Z [MESH0005]`,
				"11:29: metadata.name: empty, expected a name [MESH0002]"}},
		{"around the spec",
			"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a}\nspecs: {}\nstatus: {anything: [1]}\nfoo: bar\n", nil,
			[]string{
				`4:1: specs: unknown field "specs", did you mean spec? [MESH0003]`,
				`6:1: foo: unknown field "foo", expected apiVersion, kind, metadata and spec [MESH0003]`}},
		{"anchors",
			"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: &h [a]\n  gateways: *h\n  http:\n  - &r {route: [{destination: {host: a}}], timeout: 5}\n  - <<: *r\n    timeout: 1s\n  - *r\n", nil,
			[]string{
				"8:53: spec.http[0].timeout: 5 is a number, expected a duration such as 250ms, 5s or 1m30s [MESH0005]",
				"8:53: spec.http[2].timeout: 5 is a number, expected a duration such as 250ms, 5s or 1m30s [MESH0005]"}},
		{"nothing", "# empty\n---\n", nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			objects, findings := Parse("f", []byte(test.text))
			var got []string
			for _, o := range objects {
				got = append(got, strings.TrimPrefix(o.Position.String(), "f:")+" "+o.String())
			}
			if d := cmp.Diff(test.objects, got); d != "" {
				t.Errorf("objects: -want +got\n%s", d)
			}
			if d := cmp.Diff(test.findings, brief(findings)); d != "" {
				t.Errorf("findings: -want +got\n%s", d)
			}
		})
	}
}

func TestParseMetadata(t *testing.T) {
	objects, findings := Parse("f", []byte(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "b",
		"labels": {"app": "x"}, "annotations": {"k/l": "on"}, "creationTimestamp": "2026-01-31T15:04:05Z"}}`))
	if len(objects) != 1 || len(findings) != 0 {
		t.Fatal(objects, findings)
	}
	got := *objects[0]
	got.places, got.hash = nil, 0
	want := Object{
		APIVersion: "v1", Kind: "Pod", Namespace: "b", Name: "a", Labels: map[string]string{"app": "x"},
		Annotations: map[string]string{"k/l": "on"}, CreationTimestamp: time.Date(2026, 1, 31, 15, 4, 5, 0, time.UTC),
		Spec: &kube.Pod{ServiceAccount: "default", Ready: true}, Position: finding.Position{File: "f", Line: 1, Column: 1},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(Object{})); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestParseTooLarge(t *testing.T) {
	_, findings := Parse("f", make([]byte, maxSize+1))
	if d := cmp.Diff([]string{"1:1: : 67108865 bytes of text, expected at most 67108864 [MESH0001]"}, brief(findings)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// TestShowcases loads the manifests of the demo: nothing but old forms and Deployments may be said of them.
func TestShowcases(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/showcases/*/*.yaml")
	if len(files) == 0 {
		t.Skip("the demo's manifests are not here")
	}
	kinds := map[string]int{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		objects, findings := Parse(file, data)
		for _, f := range findings {
			legacy := f.Severity == finding.Warning && f.Code == finding.CodeLegacy
			deployment := f.Severity == finding.Info && f.Code == finding.CodeUnused && f.Kind == "Deployment"
			if !legacy && !deployment || f.Line == 0 {
				t.Error(f)
			}
		}
		for _, o := range objects {
			kinds[o.Kind]++
			if dr, ok := o.Spec.(*networking.DestinationRule); ok && dr.GetTrafficPolicy().GetOutlierDetection() != nil &&
				dr.TrafficPolicy.OutlierDetection.GetConsecutive_5XxErrors() == nil {
				t.Errorf("%s: consecutiveErrors is lost", file)
			}
		}
	}
	for _, kind := range []string{"VirtualService", "DestinationRule", "Gateway", "Ingress", "Service"} {
		if kinds[kind] == 0 {
			t.Errorf("no %s", kind)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(manyRules(2))
	for _, s := range []string{
		"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: a}}\n",
		"{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"a\"}, \"spec\": {\"ports\": [{\"port\": 80}]}}",
		"apiVersion: networking.istio.io/v1alpha3\nkind: VirtualService\nmetadata: {name: a}\nspec: {http: [{appendHeaders: {a: b}, fault: {abort: {percent: 5}}, corsPolicy: {allowOrigin: ['*']}}]}\n",
		"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\nspec: {rules: [{http: {paths: [{backend: {service: {name: b, port: {number: 80}}}}]}}]}\n",
		"a: &x {b: *x}\n---\n<<: [{a: 1}]\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		objects, findings := Parse("f", data)
		lines := 1 // as YAML counts them
		for _, c := range string(data) {
			if strings.ContainsRune("\n\r\u0085\u2028\u2029", c) {
				lines++
			}
		}
		for _, x := range findings {
			if x.Line < 1 || x.Line > lines || x.Column < 1 || x.Message == "" || x.Code == "" || x.File != "f" {
				t.Errorf("%+v", x)
			}
		}
		for _, o := range objects {
			if o.Name == "" || o.Spec == nil || o.Hash() == 0 {
				t.Errorf("%+v", o)
			}
			if p := o.At("spec.http[0].route[0].destination.host"); p.Line < 1 {
				t.Error(p)
			}
		}
		if _, more := NewSet(objects); finding.HasErrors(more) {
			t.Error(more)
		}
	})
}
