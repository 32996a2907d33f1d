package validate

import (
	"testing"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// TestPresence judges what only the document tells: fields that are written and empty.
func TestPresence(t *testing.T) {
	for _, tc := range []struct {
		name, text, want string // want is the place of the first error, empty for none
	}{
		{"target port first in its item", `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.com]
  ports:
  - targetPort: 0
    number: 80
    name: http
    protocol: HTTP
`, "spec.ports[0].targetPort"},
		{"empty endpoints", `{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: a},
			spec: {hosts: [a.com], ports: [{number: 80, name: http, protocol: HTTP}], endpoints: []}}`, "spec.endpoints"},
		{"empty endpoints to resolve", `{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: a},
			spec: {hosts: [a.com], ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [], resolution: DNS}}`, ""},
		{"socket with number", `{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: a},
			spec: {servers: [{bind: "unix:///a", hosts: ["*"], port: {number: 0, name: http, protocol: HTTP}}]}}`, ""},
		{"socket without number", `{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: a},
			spec: {servers: [{bind: "unix:///a", hosts: ["*"], port: {name: http, protocol: HTTP}}]}}`, "spec.servers[0].port"},
		{"empty ports", `{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: a},
			spec: {selector: {matchLabels: {a: b}}, portLevelMtls: {}}}`, "spec.portLevelMtls"},
		{"no ports", `{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: a},
			spec: {selector: {matchLabels: {a: b}}}}`, ""},
		{"empty issuer", `{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: a},
			spec: {jwtRules: [{issuer: "", jwksUri: "https://a"}]}}`, "spec.jwtRules[0].issuer"},
		{"no issuer", `{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: a},
			spec: {jwtRules: [{jwksUri: "https://a"}]}}`, ""},
		{"socket with empty ports", `{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: a},
			spec: {address: "unix:///a", ports: {}}}`, "spec.ports"},
		{"socket in a list with empty ports", `{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: a},
			spec: {hosts: [a.com], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}],
			endpoints: [{address: 10.0.0.1, ports: {}}, {address: "unix:///a", ports: {}}]}}`, "spec.endpoints[1].ports"},
		{"empty service accounts", `{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a},
			spec: {rules: [{from: [{source: {principals: [b], serviceAccounts: []}}]}]}}`, "spec.rules[0].from[0].source.serviceAccounts"},
		{"empty namespaces", `{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a},
			spec: {rules: [{from: [{source: {notNamespaces: [], notServiceAccounts: [b]}}]}]}}`, "spec.rules[0].from[0].source.notNamespaces"},
		{"service accounts alone", `{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a},
			spec: {rules: [{from: [{source: {serviceAccounts: [b]}}, {source: {principals: [c]}}]}]}}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ""
			for _, f := range judge(t, []byte(tc.text)) {
				if f.Severity == finding.Error {
					got = f.Path
					break
				}
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
