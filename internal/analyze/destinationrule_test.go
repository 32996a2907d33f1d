package analyze_test

import "testing"

func TestOutliers(t *testing.T) {
	entry := func(endpoints string) string {
		return se + `metadata: {name: a}
spec:
  hosts: [a.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [` + endpoints + `]
---
` + dr + "metadata: {name: a}\nspec:\n  host: a.com\n"
	}
	two := "{address: 10.0.0.1, labels: {version: v1}}, {address: 10.0.0.2, labels: {version: v2}}"
	table(t, []struct {
		name, text string
		want       []string
	}{
		{"10 % of two", entry(two) + "  trafficPolicy:\n    outlierDetection: {consecutive5xxErrors: 1}\n", []string{"16 warning MESH0014 trafficPolicy.outlierDetection"}},
		{"49 % of two", entry(two) + "  trafficPolicy:\n    outlierDetection: {maxEjectionPercent: 49}\n", []string{"16 warning MESH0014 trafficPolicy.outlierDetection.maxEjectionPercent"}},
		{"50 % of two", entry(two) + "  trafficPolicy:\n    outlierDetection: {maxEjectionPercent: 50}\n", nil},
		{"50 % of a subset of one", entry(two) + "  trafficPolicy:\n    outlierDetection: {maxEjectionPercent: 50}\n  subsets: [{name: v1, labels: {version: v1}}]\n",
			[]string{"16 warning MESH0014 trafficPolicy.outlierDetection.maxEjectionPercent"}},
		{"a subset's own", entry(two) + "  trafficPolicy:\n    outlierDetection: {maxEjectionPercent: 50}\n  subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {outlierDetection: {maxEjectionPercent: 100}}}]\n", nil},
		{"a port's own", entry(two) + "  trafficPolicy:\n    outlierDetection: {maxEjectionPercent: 50}\n    portLevelSettings: [{port: {number: 80}, outlierDetection: {}}]\n",
			[]string{"17 warning MESH0014 trafficPolicy.portLevelSettings[0].outlierDetection"}},
		{"off", entry(two) + "  trafficPolicy:\n    outlierDetection: {consecutive5xxErrors: 0}\n", nil},
		{"endpoints that nobody knows", se + `metadata: {name: a}
spec: {hosts: [a.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
---
` + dr + "metadata: {name: a}\nspec: {host: a.com, trafficPolicy: {outlierDetection: {}}}\n", nil},
		{"a subset without endpoints", entry(two) + "  subsets:\n  - {name: v3, labels: {version: v3}}\n", []string{"16 warning IST0173 subsets[0].labels"}},
	})
}

func TestDestinationRules(t *testing.T) {
	a := se + `metadata: {name: a}
spec: {hosts: [a.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
---
`
	policy := func(name, more string) string {
		return dr + "metadata: {name: " + name + "}\nspec:\n  host: a.com\n" + more + "---\n"
	}
	table(t, []struct {
		name, text string
		want       []string
	}{
		{"an unknown host", dr + "metadata: {name: a}\nspec:\n  host: a.com\n", []string{"5 warning IST0174 host"}},
		{"an unknown wildcard", dr + "metadata: {name: a}\nspec:\n  host: '*.com'\n", []string{"5 warning IST0174 host"}},
		{"a host that a route leads to", policy("a", "") + vs + `metadata: {name: a}
spec: {hosts: [b.com], http: [{route: [{destination: {host: a.com}}]}]}
`, []string{"10 warning MESH0017 http[0].route[0].destination.host"}},
		{"merged", a + policy("a", "  subsets: [{name: v1}]\n") + policy("b", "  trafficPolicy: {loadBalancer: {simple: RANDOM}}\n  subsets: [{name: v2}]\n"), nil},
		{"the same subset twice, and alike", a + policy("a", "  subsets: [{name: v1}]\n") + policy("b", "  subsets: [{name: v1}]\n"), nil},
		{"the same subset twice", a + policy("a", "  subsets: [{name: v1}]\n") + policy("b", "  subsets: [{name: v1, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]\n"),
			[]string{"18 warning MESH0019 subsets[0].name"}},
		{"two policies", a + policy("a", "  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}\n") + policy("b", "  trafficPolicy: {loadBalancer: {simple: RANDOM}}\n"),
			[]string{"18 warning MESH0019 trafficPolicy"}},
		{"other clients", a + policy("a", "  exportTo: ['.']\n") + policy("b", "  exportTo: ['*']\n"), []string{"10 warning MESH0019 host"}},
		{"some clients", a + policy("a", "  workloadSelector: {matchLabels: {app: a}}\n  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}\n") + policy("b", "  trafficPolicy: {loadBalancer: {simple: RANDOM}}\n"), nil},
		{"the mesh's TLS without names", a + policy("a", "  trafficPolicy:\n    tls: {mode: ISTIO_MUTUAL}\n"), []string{"12 warning MESH0018 trafficPolicy.tls.mode"}},
		{"the mesh's TLS with names", a + policy("a", "  trafficPolicy:\n    tls: {mode: ISTIO_MUTUAL, subjectAltNames: [spiffe://a/b]}\n"), nil},
		{"localities without outlier detection", a + policy("a", "  trafficPolicy:\n    loadBalancer: {localityLbSetting: {enabled: true}}\n"),
			[]string{"12 warning MESH0016 trafficPolicy.loadBalancer.localityLbSetting"}},
		{"localities with outlier detection", a + policy("a", "  trafficPolicy:\n    outlierDetection: {}\n  subsets: [{name: v1, trafficPolicy: {loadBalancer: {localityLbSetting: {enabled: true}}}}]\n"), nil},
		{"localities that are off", a + policy("a", "  trafficPolicy:\n    loadBalancer: {localityLbSetting: {enabled: false}}\n"), nil},
		{"warmup of what is not warmed up", a + policy("a", "  trafficPolicy:\n    loadBalancer: {simple: RANDOM, warmup: {duration: 1s}}\n"),
			[]string{"12 warning MESH0018 trafficPolicy.loadBalancer.warmup"}},
	})
}

func TestServices(t *testing.T) {
	entry := func(name, protocol, more string) string {
		return se + "metadata: {name: " + name + ", namespace: " + name + "}\nspec: {hosts: [a.com], resolution: DNS" + more +
			", ports: [{number: 80, name: http, protocol: " + protocol + "}]}\n---\n"
	}
	table(t, []struct {
		name, text string
		want       []string
	}{
		{"one protocol", entry("a", "HTTP", "") + entry("b", "http", ""), nil},
		{"two protocols", entry("a", "HTTP", "") + entry("b", "GRPC", ""), []string{"9 warning IST0177 ports[0].protocol"}},
		{"in two namespaces", entry("a", "HTTP", ", exportTo: ['.']") + entry("b", "GRPC", ", exportTo: ['.']"), nil},
		{"rules alone say nothing of workloads", "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {selector: {app: a}, ports: [{port: 80}]}}", nil},
		{"a selector in vain", `{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {selector: {app: a}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: b, labels: {app: b}}, spec: {}, status: {podIP: 10.0.0.1}}
`, []string{"1 info IST0127 selector"}},
		{"endpoints that are listed", `{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {selector: {app: a}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: b, labels: {app: b}}, spec: {}, status: {podIP: 10.0.0.1}}
---
{apiVersion: v1, kind: Endpoints, metadata: {name: a}, subsets: []}
`, nil},
		{"an entry's selector in vain", se + `metadata: {name: a}
spec: {hosts: [a.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, workloadSelector: {labels: {app: a}}}
---
{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: b}, spec: {address: 10.0.0.1, labels: {app: b}}}
`, []string{"4 info IST0127 workloadSelector"}},
	})
}
