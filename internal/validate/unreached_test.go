package validate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestUnreached gives the routes' matches, one route a line, and wants the places of the warnings.
func TestUnreached(t *testing.T) {
	for _, tc := range []struct {
		name, kind string
		routes     []string
		want       []string
	}{
		{"all last", "http", []string{"match: [{uri: {prefix: /a}}]", ""}, nil},
		{"after all", "http", []string{"", "match: [{uri: {prefix: /a}}, {port: 80}]", ""},
			[]string{"IST0130 spec.http[1]", "IST0130 spec.http[2]"}},
		{"same", "http", []string{"match: [{uri: {prefix: /a}}]", "match: [{name: x, uri: {prefix: /a}}]"},
			[]string{"IST0131 spec.http[1].match[0]", "IST0130 spec.http[1]"}},
		{"one of two the same", "http", []string{"match: [{uri: {prefix: /a}}]", "match: [{uri: {prefix: /a}}, {uri: {prefix: /b}}]"},
			[]string{"IST0131 spec.http[1].match[0]"}},
		{"prefix of a prefix", "http", []string{"match: [{uri: {prefix: /a}}]", "match: [{uri: {prefix: /ab}}]"},
			[]string{"IST0131 spec.http[1].match[0]"}},
		{"prefix of a path", "http", []string{"match: [{uri: {prefix: /a}}]", "match: [{uri: {exact: /ab}}]"},
			[]string{"IST0131 spec.http[1].match[0]"}},
		{"longer first", "http", []string{"match: [{uri: {prefix: /ab}}]", "match: [{uri: {prefix: /a}}]"}, nil},
		{"prefix in one rule", "http", []string{"match: [{uri: {prefix: /a}}, {uri: {prefix: /ab}}]"},
			[]string{"IST0131 spec.http[0].match[1]"}},
		{"path in one rule", "http", []string{"match: [{uri: {prefix: /}}, {uri: {exact: /}}]"}, nil},
		{"an empty match", "http", []string{"match: [{}]", "match: [{uri: {regex: a}}]"}, []string{"IST0131 spec.http[1].match[0]"}},
		{"a header more", "http", []string{"match: [{uri: {prefix: /a}}]", "match: [{uri: {prefix: /a}, headers: {x: {exact: b}}}]"},
			[]string{"IST0131 spec.http[1].match[0]"}},
		{"a header fewer", "http", []string{"match: [{uri: {prefix: /a}, headers: {x: {exact: b}}}]", "match: [{uri: {prefix: /a}}]"}, nil},
		{"presence and value", "http", []string{"match: [{headers: {x: {}}}]", "match: [{headers: {x: {exact: b}}}]"},
			[]string{"IST0131 spec.http[1].match[0]"}},
		{"value and presence", "http", []string{"match: [{headers: {x: {exact: b}}}]", "match: [{headers: {x: {}}}]"}, nil},
		{"absence", "http", []string{"match: [{withoutHeaders: {x: {}}}]", "match: [{withoutHeaders: {x: {}, y: {}}}]"},
			[]string{"IST0131 spec.http[1].match[0]"}},
		{"absence and another", "http", []string{"match: [{withoutHeaders: {x: {}}}]", "match: [{withoutHeaders: {z: {}, y: {}}}]"}, nil},
		{"method prefix", "http", []string{"match: [{method: {prefix: P}}]", "match: [{method: {exact: PUT}}]"},
			[]string{"IST0131 spec.http[1].match[0]"}},
		{"other method", "http", []string{"match: [{uri: {prefix: /a}, method: {exact: GET}}]", "match: [{uri: {prefix: /ab}}]"}, nil},
		{"regex of the same", "http", []string{"match: [{authority: {regex: a}}]", "match: [{authority: {regex: a}, port: 80}]"},
			[]string{"IST0131 spec.http[1].match[0]"}},
		{"port", "http", []string{"match: [{port: 80}]", "match: [{uri: {prefix: /a}}]"}, nil},
		{"query", "http", []string{"match: [{queryParams: {q: {}}}]", "match: [{queryParams: {q: {exact: a}}, port: 1}]"},
			[]string{"IST0131 spec.http[1].match[0]"}},
		{"client", "http", []string{"match: [{sourceLabels: {a: b}}]", "match: [{sourceLabels: {a: b, c: d}}]"},
			[]string{"IST0131 spec.http[1].match[0]"}},
		{"other client", "http", []string{"match: [{sourceLabels: {a: b}}]", "match: [{sourceLabels: {a: c}}]"}, nil},
		{"client namespace", "http", []string{"match: [{sourceNamespace: a}]", "match: [{uri: {prefix: /}}]"}, nil},
		{"client and gateway", "http", []string{"match: [{sourceLabels: {a: b}}]", "match: [{sourceLabels: {a: b}, gateways: [mesh]}]"}, nil},
		{"gateway", "http", []string{"match: [{gateways: [mesh]}]", "match: [{uri: {prefix: /}}]"}, nil},
		{"gateways among", "http", []string{"match: [{gateways: [mesh, g]}]", "match: [{gateways: [g], port: 1}]"},
			[]string{"IST0131 spec.http[1].match[0]"}},
		{"case in the later", "http", []string{"match: [{uri: {prefix: /a}}]", "match: [{uri: {prefix: /ab}, ignoreUriCase: true}]"}, nil},
		{"case in the earlier", "http", []string{"match: [{uri: {prefix: /a}, ignoreUriCase: true}]", "match: [{uri: {prefix: /AB}}]"}, nil},
		{"case without letters", "http", []string{"match: [{uri: {prefix: /}}]", "match: [{uri: {prefix: /ab}, ignoreUriCase: true}]"},
			[]string{"IST0131 spec.http[1].match[0]"}},
		{"tcp", "tcp", []string{"match: [{port: 1}]", "match: [{port: 1}]", "", "match: [{port: 2}]"},
			[]string{"IST0131 spec.tcp[1].match[0]", "IST0130 spec.tcp[1]", "IST0130 spec.tcp[3]"}},
		{"tls", "tls", []string{"match: [{sniHosts: [a]}]", "match: [{sniHosts: [a]}]"},
			[]string{"IST0131 spec.tls[1].match[0]", "IST0130 spec.tls[1]"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b strings.Builder
			b.WriteString("{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: a}, spec: {hosts: [a], " + tc.kind + ": [")
			for _, r := range tc.routes {
				b.WriteString("{route: [{destination: {host: a}}], " + r + "},")
			}
			b.WriteString("]}}")
			var got []string
			for _, f := range judge(t, []byte(b.String())) {
				got = append(got, f.Code+" "+f.Path)
			}
			if diff := cmp.Diff(got, tc.want); diff != "" {
				t.Errorf("got -, want +:\n%s", diff)
			}
		})
	}
}
