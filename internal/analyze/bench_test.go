package analyze_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-inmesh/inmesh/internal/analyze"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// town is n services, each with a workload, a DestinationRule and a VirtualService, in a hundred namespaces.
func town(tb testing.TB, n int) *rule.Set {
	tb.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `---
apiVersion: v1
kind: Service
metadata: {name: s%[1]d, namespace: ns%[2]d}
spec: {selector: {app: s%[1]d}, ports: [{name: http, port: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: s%[1]d, namespace: ns%[2]d}
spec: {address: 10.0.0.1, labels: {app: s%[1]d, version: v1}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: s%[1]d, namespace: ns%[2]d}
spec:
  host: s%[1]d
  trafficPolicy: {outlierDetection: {maxEjectionPercent: 100}, connectionPool: {http: {http1MaxPendingRequests: 10}}}
  subsets: [{name: v1, labels: {version: v1}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: s%[1]d, namespace: ns%[2]d}
spec:
  hosts: [s%[1]d]
  http:
  - match: [{uri: {prefix: /api}, headers: {x-user: {exact: me}}}, {uri: {exact: /}}]
    rewrite: {uri: /v1}
    headers: {request: {set: {x-from: "%%DOWNSTREAM_REMOTE_ADDRESS%%"}}}
    route: [{destination: {host: s%[1]d, subset: v1}}]
  - match: [{method: {exact: GET}}]
    retries: {attempts: 2, retryOn: "5xx"}
    route: [{destination: {host: s%[1]d, subset: v1}, weight: 90}, {destination: {host: s%[1]d}, weight: 10}]
  - route: [{destination: {host: s%[1]d, subset: v1}}]
`, i, i%100)
	}
	objects, findings := rule.Parse("town.yaml", []byte(b.String()))
	if len(findings) > 0 {
		tb.Fatal(findings[0])
	}
	set, _ := rule.NewSet(objects)
	return set
}

func BenchmarkSet(b *testing.B) {
	set := town(b, 2500)
	b.ReportAllocs()
	for b.Loop() {
		analyze.Set(set)
	}
}

// TestFast is a bound far above what 10,000 objects take, against what grows with the square of their number.
func TestFast(t *testing.T) {
	if testing.Short() {
		t.Skip("a matter of seconds under the race detector")
	}
	set := town(t, 2500)
	began := time.Now()
	findings := analyze.Set(set)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %v for %d objects, expected less than 300 ms on an idle machine", took, set.Len())
	}
	for _, f := range findings {
		t.Errorf("said of rules that are fine: %v", f)
	}
}
