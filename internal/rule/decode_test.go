package rule

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule/tree"
)

// decodeText decodes a single spec, without package legacy.
func decodeText(text string, k kind) (proto.Message, bool) {
	docs := tree.Read([]byte(text))
	if len(docs) != 1 || docs[0].Err != nil {
		return nil, false
	}
	m := k.newSpec().(proto.Message)
	var faults tree.Faults
	var d decoder
	d.spec(m.ProtoReflect(), &docs[0].Root, &faults)
	x := indexer{faults: &faults}
	x.walk(&docs[0].Root)
	return m, len(faults) == 0
}

// TestWrongTypes holds what is said about values that do not fit. The spec begins on line 5.
func TestWrongTypes(t *testing.T) {
	const vs, dr, pa = "VirtualService", "DestinationRule", "PeerAuthentication"
	tests := []struct {
		name, kind, spec string
		want             []string // place: path: message [code]
	}{
		{"unknown field", vs, "{hostz: [a]}", []string{`5:8: spec.hostz: unknown field "hostz", did you mean hosts? [MESH0003]`}},
		{"unknown field in snake case", vs, "{http: [{match: [{sorce_labels: {}}]}]}", []string{`5:25: spec.http[0].match[0].sorce_labels: unknown field "sorce_labels", did you mean sourceLabels? [MESH0003]`}},
		{"unknown field, nothing near", vs, "{http: [{retries: {foo: 1}}]}", []string{`5:26: spec.http[0].retries.foo: unknown field "foo", expected attempts, backoff, perTryTimeout, retryIgnorePreviousHosts, retryOn or retryRemoteLocalities [MESH0003]`}},
		{"other case", vs, "{Hosts: [a]}", []string{`5:8: spec.Hosts: unknown field "Hosts", did you mean hosts? [MESH0003]`}},
		{"all at once", vs, "{hosts: a, http: {}, tcp: 1}", []string{
			`5:15: spec.hosts: "a" is a string, expected a list of strings [MESH0005]`,
			`5:24: spec.http: a mapping, expected a list of mappings [MESH0005]`,
			`5:33: spec.tcp: 1 is a number, expected a list of mappings [MESH0005]`}},
		{"number for string", vs, "{hosts: [1.0]}", []string{`5:16: spec.hosts[0]: 1.0 is a number in YAML, expected a string: write "1.0" [MESH0005]`}},
		{"boolean for string", vs, "{http: [{name: on}]}", []string{`5:22: spec.http[0].name: on is a boolean in YAML, expected a string: write "on" [MESH0005]`}},
		{"list for string", vs, "{http: [{name: [a]}]}", []string{`5:22: spec.http[0].name: a list, expected a string [MESH0005]`}},
		{"null in list", vs, "{http: [null]}", []string{`5:15: spec.http[0]: null, expected a mapping [MESH0005]`}},
		{"null in map", vs, "{http: [{match: [{headers: {x-user: }}]}]}", []string{`5:35: spec.http[0].match[0].headers[x-user]: null, expected a mapping [MESH0005]`}},
		{"string for number", vs, `{http: [{route: [{weight: "5"}]}]}`, []string{`5:33: spec.http[0].route[0].weight: "5" is a string, expected a whole number: write 5 [MESH0005]`}},
		{"text for number", vs, `{http: [{route: [{weight: all}]}]}`, []string{`5:33: spec.http[0].route[0].weight: "all" is a string, expected a whole number [MESH0005]`}},
		{"fraction", vs, "{http: [{route: [{weight: 1.5}]}]}", []string{`5:33: spec.http[0].route[0].weight: 1.5 has a fraction, expected a whole number [MESH0005]`}},
		{"out of range", vs, "{http: [{route: [{weight: 3000000000}, {destination: {port: {number: -1}}}]}]}", []string{
			`5:33: spec.http[0].route[0].weight: 3000000000 is out of range, expected -2147483648..2147483647 [MESH0005]`,
			`5:76: spec.http[0].route[1].destination.port.number: -1 is out of range, expected 0..4294967295 [MESH0005]`}},
		{"huge", vs, "{http: [{route: [{weight: 1e30}, {weight: 99999999999999999999}]}]}", []string{
			`5:33: spec.http[0].route[0].weight: 1e30 is out of range, expected -2147483648..2147483647 [MESH0005]`,
			`5:49: spec.http[0].route[1].weight: 99999999999999999999 is out of range, expected -2147483648..2147483647 [MESH0005]`}},
		{"percentage", vs, "{http: [{fault: {abort: {percentage: 50}}}]}", []string{`5:44: spec.http[0].fault.abort.percentage: 50 is a number, expected a mapping [MESH0005]`}},
		{"double", vs, "{http: [{fault: {abort: {percentage: {value: .inf}}}}]}", []string{`5:52: spec.http[0].fault.abort.percentage.value: .inf is a number, expected a finite number [MESH0005]`}},
		{"duration without unit", vs, "{http: [{timeout: 5}, {timeout: '5'}, {timeout: 5 s}]}", []string{
			`5:25: spec.http[0].timeout: 5 is a number, expected a duration such as 250ms, 5s or 1m30s [MESH0005]`,
			`5:39: spec.http[1].timeout: "5", expected a duration such as 250ms, 5s or 1m30s [MESH0005]`,
			`5:55: spec.http[2].timeout: "5 s", expected a duration such as 250ms, 5s or 1m30s [MESH0005]`}},
		{"boolean", vs, `{http: [{match: [{ignoreUriCase: "true"}]}]}`, []string{`5:40: spec.http[0].match[0].ignoreUriCase: "true" is a string, expected true or false [MESH0005]`}},
		{"enum", dr, "{trafficPolicy: {loadBalancer: {simple: RANDM}}}", []string{`5:47: spec.trafficPolicy.loadBalancer.simple: "RANDM", expected LEAST_CONN, LEAST_REQUEST, PASSTHROUGH, RANDOM, ROUND_ROBIN or UNSPECIFIED, did you mean RANDOM? [MESH0005]`}},
		{"enum number", dr, "{trafficPolicy: {loadBalancer: {simple: 77}}}", []string{`5:47: spec.trafficPolicy.loadBalancer.simple: 77 is a number, expected LEAST_CONN, LEAST_REQUEST, PASSTHROUGH, RANDOM, ROUND_ROBIN or UNSPECIFIED [MESH0005]`}},
		{"oneof", vs, "{http: [{match: [{uri: {exact: /a, prefix: /b}}]}]}", []string{`5:42: spec.http[0].match[0].uri.prefix: exact and prefix stand side by side, expected one of them [MESH0005]`}},
		{"twice", vs, "{hosts: [a], hosts: [b]}", []string{`5:20: spec.hosts: the key "hosts" stands twice in this mapping [MESH0004]`}},
		{"twice in list", vs, "{http: [{}, {name: a, name: a}]}", []string{`5:29: spec.http[1].name: the key "name" stands twice in this mapping [MESH0004]`}},
		{"twice in a map", vs, "{http: [{match: [{headers: {x.y: {}, x.y: {}}}]}]}", []string{`5:44: spec.http[0].match[0].headers[x.y]: the key "x.y" stands twice in this mapping [MESH0004]`}},
		{"both names", vs, "{http: [{match: [{ignore_uri_case: true, ignoreUriCase: true}]}]}", []string{`5:25: spec.http[0].match[0].ignoreUriCase: ignore_uri_case and ignoreUriCase are the same field [MESH0004]`}},
		{"map key", pa, "{portLevelMtls: {http: {mode: STRICT}}}", []string{`5:24: spec.portLevelMtls[http]: "http" is a string, expected a whole number [MESH0005]`}},
		{"bytes", vs, "{http: [{directResponse: {body: {bytes: '%'}}}]}", []string{`5:47: spec.http[0].directResponse.body.bytes: "%" is a string, expected bytes in base64 [MESH0005]`}},
		{"a list as spec", vs, "[]", []string{`5:7: spec: a list, expected a mapping [MESH0005]`}},
		{"null is absent", vs, "{hosts: null, http: [{timeout: null, retries: , match: ~}]}", nil},
		{"64 bits as text", dr, `{trafficPolicy: {loadBalancer: {consistentHash: {maglev: {tableSize: "65537"}}}}}`, nil},
		{"yaml 1.1", vs, "{http: [{match: [{ignoreUriCase: on, port: 0x50}, {port: 8_0}, {port: 80.0}]}]}", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			version := "networking.istio.io/v1"
			if test.kind == pa {
				version = "security.istio.io/v1"
			}
			_, findings := Parse("f", []byte("apiVersion: "+version+"\nkind: "+test.kind+"\nmetadata:\n  name: x\nspec: "+test.spec+"\n"))
			if d := cmp.Diff(test.want, brief(findings)); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

// brief shows findings in the order in which they stand in the file.
func brief(findings []finding.Finding) []string {
	finding.Sort(findings)
	var list []string
	for _, f := range findings {
		s := f.Position.String()[len(f.File)+1:] + ": " + f.Path + ": " + f.Message + " [" + f.Code + "]"
		if f.Severity != finding.Error {
			s = string(f.Severity) + " " + s
		}
		list = append(list, s)
	}
	return list
}
