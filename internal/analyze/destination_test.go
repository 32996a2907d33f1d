package analyze_test

import "testing"

func TestDestinations(t *testing.T) {
	table(t, []struct {
		name, text string
		want       []string
	}{
		{"all is there", reviews + dr + `metadata: {name: reviews}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
---
` + vs + `metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - route: [{destination: {host: reviews, subset: v1, port: {number: 9080}}}]
`, nil},
		{"an unknown subset", reviews + vs + `metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - route:
    - {weight: 1, destination: {host: reviews, subset: v1}}
    - {weight: 1, destination: {host: reviews}}
`, []string{"10 error IST0101 http[0].route[0].destination.subset"}},
		{"an unknown subset of a mirror", reviews + vs + `metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - route: [{destination: {host: reviews}}]
    mirrors:
    - destination: {host: reviews, subset: v1}
`, []string{"11 error IST0101 http[0].mirrors[0].destination.subset"}},
		{"a subset of a wildcard's rule", reviews + dr + `metadata: {name: all}
spec: {host: "*.default.svc.cluster.local", subsets: [{name: v1, labels: {version: v1}}]}
---
` + vs + `metadata: {name: reviews}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews, subset: v1}}]}]
`, nil},
		{"a subset that a more specific rule hides", reviews + dr + `metadata: {name: all}
spec: {host: "*.default.svc.cluster.local", subsets: [{name: v1, labels: {version: v1}}]}
---
` + dr + `metadata: {name: reviews}
spec: {host: reviews, subsets: [{name: v2, labels: {version: v2}}]}
---
` + vs + `metadata: {name: reviews}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews, subset: v1}}]}]
`, []string{"18 error IST0101 http[0].route[0].destination.subset"}},
		{"a subset of the service's owner", `{apiVersion: v1, kind: Service, metadata: {name: reviews, namespace: books}, spec: {ports: [{name: http, port: 9080}]}}
---
` + dr + `metadata: {name: reviews, namespace: books}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
---
` + vs + `metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews.books.svc.cluster.local]
  http: [{route: [{destination: {host: reviews.books.svc.cluster.local, subset: v1}}]}]
`, nil},
		{"a subset that the client's own rule hides", `{apiVersion: v1, kind: Service, metadata: {name: reviews, namespace: books}, spec: {ports: [{name: http, port: 9080}]}}
---
` + dr + `metadata: {name: reviews, namespace: books}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
---
` + dr + `metadata: {name: reviews, namespace: shop}
spec: {host: reviews.books.svc.cluster.local, trafficPolicy: {loadBalancer: {simple: RANDOM}}}
---
` + vs + `metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews.books.svc.cluster.local]
  http: [{route: [{destination: {host: reviews.books.svc.cluster.local, subset: v1}}]}]
`, []string{"18 warning IST0101 http[0].route[0].destination.subset"}},
		{"a subset that is not exported", `{apiVersion: v1, kind: Service, metadata: {name: reviews, namespace: books}, spec: {ports: [{name: http, port: 9080}]}}
---
` + dr + `metadata: {name: reviews, namespace: books}
spec: {host: reviews, exportTo: ["."], subsets: [{name: v1, labels: {version: v1}}]}
---
` + vs + `metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews.books.svc.cluster.local]
  http: [{route: [{destination: {host: reviews.books.svc.cluster.local, subset: v1}}]}]
`, []string{"13 warning IST0101 http[0].route[0].destination.subset"}},
		{"another domain", `{apiVersion: v1, kind: Service, metadata: {name: reviews}, spec: {ports: [{name: http, port: 9080}]}}
---
` + dr + `metadata: {name: reviews}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
---
` + vs + `metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.corp.example]
  http: [{route: [{destination: {host: reviews.default.svc.corp.example, subset: v1}}]}]
`, nil},
		{"an undeclared host, said once", vs + `metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - match: [{method: {exact: GET}}]
    route: [{destination: {host: reviews}}]
  - route: [{destination: {host: reviews}}]
`, []string{"8 warning MESH0017 http[0].route[0].destination.host"}},
		{"a name with a dot is not completed", reviews + vs + `metadata: {name: reviews}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews.default}}]}]
`, []string{"8 warning MESH0017 http[0].route[0].destination.host"}},
		{"one name of a wildcard", se + `metadata: {name: google}
spec: {hosts: ["*.google.com"], ports: [{number: 80, name: http, protocol: HTTP}]}
---
` + vs + `metadata: {name: google}
spec:
  hosts: [www.google.com]
  http: [{route: [{destination: {host: www.google.com}}]}]
`, []string{"11 warning MESH0017 http[0].route[0].destination.host"}},
		{"a port that the service lacks", reviews + vs + `metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - route: [{destination: {host: reviews, port: {number: 80}}}]
`, []string{"9 error IST0101 http[0].route[0].destination.port.number"}},
		{"a service of another namespace", se + `metadata: {name: a, namespace: books}
spec: {hosts: [a.com], exportTo: ["."], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
---
` + vs + `metadata: {name: a, namespace: shop}
spec:
  hosts: [a.com]
  http: [{route: [{destination: {host: a.com}}]}]
`, []string{"11 warning IST0101 http[0].route[0].destination.host"}},
		{"several ports, at a gateway", `{apiVersion: v1, kind: Service, metadata: {name: reviews}, spec: {ports: [{name: http, port: 9080}, {name: http-admin, port: 9090}]}}
---
` + front + vs + `metadata: {name: reviews}
spec:
  hosts: [shop.example.com]
  gateways: [front]
  http: [{route: [{destination: {host: reviews}}]}]
`, []string{"12 warning IST0112 http[0].route[0].destination.port"}},
		{"several ports, the same on both sides", `{apiVersion: v1, kind: Service, metadata: {name: reviews}, spec: {ports: [{name: http, port: 9080}, {name: http-admin, port: 9090}]}}
---
` + vs + `metadata: {name: reviews}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews}}]}]
`, nil},
		{"http routes for a service of TLS", se + `metadata: {name: a}
spec: {hosts: [a.com], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}
---
` + vs + `metadata: {name: a}
spec:
  hosts: [a.com]
  http: [{timeout: 1s, route: [{destination: {host: a.com}}]}]
`, []string{"10 warning MESH0018 hosts[0]"}},
	})
}

func TestDelegates(t *testing.T) {
	root := vs + `metadata: {name: root}
spec:
  hosts: [a.com]
  http:
  - delegate: {name: leaf, namespace: books}
---
`
	table(t, []struct {
		name, text string
		want       []string
	}{
		{"there", root + vs + `metadata: {name: leaf, namespace: books}
spec: {http: [{directResponse: {status: 200}}]}
`, nil},
		{"whose match lies elsewhere", vs + `metadata: {name: root}
spec:
  hosts: [a.com]
  http:
  - match: [{uri: {prefix: /a}}]
    delegate: {name: leaf}
---
` + vs + `metadata: {name: leaf}
spec:
  http:
  - match: [{uri: {prefix: /a/b}}]
    directResponse: {status: 200}
  - match: [{uri: {prefix: /b}}]
    directResponse: {status: 200}
`, []string{"17 warning MESH0018 http[1].match"}},
		{"missing", root, []string{"7 error IST0101 http[0].delegate"}},
		{"with hosts", root + vs + `metadata: {name: leaf, namespace: books}
spec: {hosts: [b.com], http: [{directResponse: {status: 200}}]}
`, []string{"7 error IST0101 http[0].delegate"}},
		{"not exported", root + vs + `metadata: {name: leaf, namespace: books}
spec: {exportTo: ["."], http: [{directResponse: {status: 200}}]}
`, []string{"7 error IST0101 http[0].delegate"}},
		{"itself", vs + `metadata: {name: root}
spec:
  hosts: [a.com]
  http: [{delegate: {name: root}}]
`, []string{"6 error IST0101 http[0].delegate"}},
		{"of nobody", vs + `metadata: {name: leaf}
spec: {http: [{directResponse: {status: 200}}]}
`, []string{"4 warning MESH0018 spec"}},
	})
}

func TestMeshConflicts(t *testing.T) {
	first := vs + `metadata: {name: first, namespace: a}
spec: {hosts: [a.com], http: [{directResponse: {status: 200}}]}
---
`
	second := func(spec string) string {
		return vs + "metadata: {name: second, namespace: b}\nspec:\n  hosts: [b.com, a.com]\n" + spec
	}
	table(t, []struct {
		name, text string
		want       []string
	}{
		{"the same host", first + second("  http: [{directResponse: {status: 404}}]"), []string{"10 warning IST0109 hosts[1]"}},
		{"the nearer rule wins where it is seen", first + second("  exportTo: [\".\"]\n  http: [{directResponse: {status: 404}}]"), nil},
		{"on a gateway they are joined", front + first + second("  gateways: [default/front]\n  http: [{match: [{uri: {prefix: /a}}], directResponse: {status: 404}}]"),
			[]string{"14 warning IST0132 gateways[0]"}},
		{"for some clients only", vs + `metadata: {name: first}
spec: {hosts: [a.com], http: [{match: [{sourceLabels: {app: web}}], directResponse: {status: 200}}]}
---
` + second("  http: [{directResponse: {status: 404}}]"), nil},
		{"for one port only", vs + `metadata: {name: first}
spec: {hosts: [a.com], http: [{match: [{port: 80}], directResponse: {status: 200}}]}
---
` + second("  http: [{directResponse: {status: 404}}]"), nil},
		{"the older one wins", vs + `metadata: {name: young, creationTimestamp: "2026-01-02T00:00:00Z"}
spec: {hosts: [a.com], http: [{directResponse: {status: 200}}]}
---
` + vs + `metadata: {name: old, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {hosts: [a.com], http: [{directResponse: {status: 200}}]}
`, []string{"4 warning IST0109 hosts[0]"}},
		{"short and full name", vs + `metadata: {name: first}
spec: {hosts: [reviews], http: [{directResponse: {status: 200}}]}
---
` + vs + `metadata: {name: second, namespace: b}
spec: {hosts: [reviews.default.svc.cluster.local], http: [{directResponse: {status: 200}}]}
`, []string{"9 warning IST0109 hosts[0]"}},
	})
}

func TestRetries(t *testing.T) {
	retried := func(match, on string) string {
		return se + `metadata: {name: a}
spec: {hosts: [a.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
---
` + vs + `metadata: {name: a}
spec:
  hosts: [a.com]
  http:
  - ` + match + `
    retries: {attempts: 2` + on + `}
    route: [{destination: {host: a.com}}]
`
	}
	warned := []string{"13 warning MESH0015 http[0].retries.retryOn"}
	table(t, []struct {
		name, text string
		want       []string
	}{
		{"any method on 5xx", retried("name: x", `, retryOn: "connect-failure,5xx"`), warned},
		{"any method on reset", retried("name: x", `, retryOn: reset`), warned},
		{"any method on 503", retried("name: x", `, retryOn: "503"`), warned},
		{"any method on 429", retried("name: x", `, retryOn: "429"`), nil},
		{"any method on a gRPC status that says that nothing was done", retried("name: x", `, retryOn: "unavailable,cancelled"`), nil},
		{"any method on a gRPC status that does not", retried("name: x", `, retryOn: deadline-exceeded`), warned},
		{"the default conditions", retried("name: x", ""), nil},
		{"conditions without harm", retried("name: x", `, retryOn: "connect-failure,refused-stream"`), nil},
		{"GET alone", retried("match: [{method: {exact: GET}}]", ", retryOn: 5xx"), nil},
		{"GET and PATCH", retried("match: [{method: {regex: GET|PATCH}}]", ", retryOn: 5xx"), warned},
		{"GET and PUT", retried("match: [{method: {regex: GET|PUT}}]", ", retryOn: 5xx"), nil},
		{"GET, or any method elsewhere", retried("match: [{method: {exact: GET}}, {uri: {prefix: /a}}]", ", retryOn: 5xx"), warned},
		{"a prefix of POST", retried("match: [{method: {prefix: PO}}]", ", retryOn: 5xx"), warned},
		{"as a pseudo-header", retried("match: [{headers: {':method': {exact: GET}}}]", ", retryOn: 5xx"), nil},
		{"all but two methods", retried("match: [{withoutHeaders: {':method': {regex: POST|PATCH}}}]", ", retryOn: 5xx"), nil},
	})
}
