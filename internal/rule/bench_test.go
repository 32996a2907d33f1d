package rule

import (
	"fmt"
	"strings"
	"testing"
)

// manyRules is a stream of VirtualServices as users write them.
func manyRules(n int) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews-%[1]d
  namespace: default
spec:
  hosts:
  - reviews-%[1]d
  http:
  - match:
    - headers:
        x-user:
          exact: jason
      uri:
        prefix: /api
    route:
    - destination:
        host: reviews-%[1]d
        subset: v2
      weight: 75
    - destination:
        host: reviews-%[1]d
        subset: v1
      weight: 25
    timeout: 5s
    retries: {attempts: 3, perTryTimeout: 2s, retryOn: "5xx,reset"}
  - route:
    - destination:
        host: reviews-%[1]d # the rest
        subset: v1
`, i)
	}
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	const n = 1000
	data := manyRules(n)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		objects, findings := Parse("bench.yaml", data)
		if len(objects) != n || len(findings) != 0 {
			b.Fatal(len(objects), findings)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/object")
}

func BenchmarkNewSet(b *testing.B) {
	objects, _ := Parse("bench.yaml", manyRules(10_000))
	b.ReportAllocs()
	for b.Loop() {
		if set, _ := NewSet(objects); len(set.objects) != 10_000 {
			b.Fatal(len(set.objects))
		}
	}
}

func BenchmarkAt(b *testing.B) {
	objects, _ := Parse("bench.yaml", manyRules(1))
	b.ReportAllocs()
	for b.Loop() {
		if p := objects[0].At("spec.http[0].match[0].headers[x-user].exact"); p.Line != 14 {
			b.Fatal(p)
		}
	}
}
