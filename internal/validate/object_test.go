package validate

import (
	"fmt"
	"strings"
	"testing"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
)

func TestMetadata(t *testing.T) {
	const spec = ", spec: {host: a}}"
	for _, tc := range []struct {
		name, kind, metadata string
		want                 string // the place of the error, empty for none
	}{
		{"plain", "DestinationRule", "name: a", ""},
		{"dots", "DestinationRule", "name: a.b-c.1", ""},
		{"upper case", "DestinationRule", "name: A", "metadata.name"},
		{"underscore", "DestinationRule", "name: a_b", "metadata.name"},
		{"long", "DestinationRule", "name: " + strings.Repeat("a", 254), "metadata.name"},
		{"namespace", "DestinationRule", "name: a, namespace: a.b", "metadata.namespace"},
		{"labels", "DestinationRule", "name: a, labels: {app: a, example.com/b: '', c: a_B.1}", ""},
		{"label key", "DestinationRule", "name: a, labels: {-a: a}", "metadata.labels[-a]"},
		{"label domain", "DestinationRule", "name: a, labels: {a_b/c: a}", "metadata.labels[a_b/c]"},
		{"label value", "DestinationRule", "name: a, labels: {a: b c}", "metadata.labels[a]"},
		{"annotation", "DestinationRule", "name: a, annotations: {a/b: any thing}", ""},
		{"annotation key", "DestinationRule", "name: a, annotations: {'a b': c}", "metadata.annotations[a b]"},
		{"reserved", "DestinationRule", "name: a, annotations: {internal.istio.io/parents: a}", "metadata.annotations[internal.istio.io/parents]"},
		{"dry run", "DestinationRule", "name: a, annotations: {istio.io/dry-run: 'true'}", "metadata.annotations[istio.io/dry-run]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := judge(t, []byte("{apiVersion: networking.istio.io/v1, kind: "+tc.kind+", metadata: {"+tc.metadata+"}"+spec))
			switch {
			case tc.want == "" && len(got) > 0:
				t.Errorf("got %v, want none", got)
			case tc.want != "" && (len(got) != 1 || got[0].Path != tc.want || got[0].Severity != finding.Error || got[0].Line != 1):
				t.Errorf("got %v, want one error at %s", got, tc.want)
			}
		})
	}
}

func TestDryRun(t *testing.T) {
	for _, tc := range []struct {
		name, action, value string
		fine                bool
	}{
		{"allow", "ALLOW", "true", true},
		{"deny", "DENY", "false", true},
		{"audit", "AUDIT", "true", false},
		{"not a boolean", "ALLOW", "maybe", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := judge(t, []byte("{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a, annotations: {istio.io/dry-run: '"+
				tc.value+"'}}, spec: {action: "+tc.action+", rules: [{}]}}"))
			if (len(got) == 0) != tc.fine {
				t.Errorf("got %v, want fine %v", got, tc.fine)
			}
		})
	}
}

func ExampleObject() {
	objects, _ := rule.Parse("details.yaml", []byte(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: details
spec:
  hosts: [details]
  http:
  - fault:
      abort:
        percentage: {value: 120}
        httpStatus: 99
    route:
    - destination: {host: details}
`))
	for _, f := range Object(objects[0]) {
		fmt.Println(f)
	}
	// Output:
	// details.yaml:11:29: error: VirtualService default/details: spec.http[0].fault.abort.percentage.value: 120 is not 0 or in 0.0001..100 [MESH0002]
	// details.yaml:12:21: error: VirtualService default/details: spec.http[0].fault.abort.httpStatus: 99 is not in 200..600 [MESH0002]
}

func ExampleSpec() {
	fs := Spec(&networking.DestinationRule{Host: "reviews", TrafficPolicy: &networking.TrafficPolicy{
		OutlierDetection: &networking.OutlierDetection{MaxEjectionPercent: 150},
	}})
	fmt.Println(fs.Err("mesh"))
	// Output: mesh: trafficPolicy.outlierDetection.maxEjectionPercent: 150 is not in 0..100
}

func ExampleHTTPFault() {
	var fs finding.Faults
	HTTPFault(&fs, "", &networking.HTTPFaultInjection{})
	fmt.Println(fs.Err("fault"))
	// Output: fault: nothing is injected, want delay or abort
}
