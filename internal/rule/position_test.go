package rule

import (
	"testing"

	"github.com/go-inmesh/inmesh/internal/finding"
)

const positioned = `# a comment
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: a
  annotations:
    inmesh/fault-scope: attempt
spec:
  hosts: [a, "b"]
  http:
  - name: one
  - match:
    - headers:
        x-user:
          exact: jason
        "@request.auth.claims[iss]": {prefix: x}
        a_b: {exact: "1"}
      ignore_uri_case: true
    fault: &f
      delay: {percent: 5, fixedDelay: 1s}
      abort: {percent: 7, httpStatus: 500}
    appendHeaders: {x-a: b}
    route: [{destination: {host: a}}]
  - fault: *f
    retries:
    timeout: 1s
`

func TestAt(t *testing.T) {
	objects, _ := Parse("f", []byte(positioned))
	if len(objects) != 1 {
		t.Fatal(objects)
	}
	tests := []struct {
		path         string
		line, column int
	}{
		{"", 3, 1},
		{"nothing", 3, 1},
		{"metadata", 5, 1},
		{"metadata.name", 6, 9},
		{"metadata.annotations[inmesh/fault-scope]", 8, 25},
		{"spec", 9, 1},
		{"spec.hosts", 10, 3},
		{"spec.hosts[1]", 10, 14},
		{"spec.hosts[7]", 10, 3},
		{"spec.http", 11, 3},
		{"spec.http[0]", 12, 5},
		{"spec.http[0].name", 12, 11},
		{"spec.http[0].timeout", 12, 5},
		{"spec.http[1].match[0].headers[x-user].exact", 16, 18},
		{"spec.http[1].match[0].headers[x-user]", 15, 9},
		{"spec.http[1].match[0].headers[x-other].exact", 14, 7},
		{"spec.http[1].match[0].headers[@request.auth.claims[iss]].prefix", 17, 47},
		{"spec.http[1].match[0].headers[a_b].exact", 18, 22},
		{"spec.http[1].match[0].ignoreUriCase", 19, 24},
		{"spec.http[1].match[0].ignore_uri_case", 19, 24},
		{"spec.http[1].fault", 20, 5},
		{"spec.http[1].fault.delay.fixed_delay", 21, 39},
		{"spec.http[1].fault.abort.percentage", 22, 15},
		{"spec.http[1].fault.abort.percentage.value", 22, 24},
		{"spec.http[1].headers.request.add[x-a]", 23, 26},
		{"spec.http[2].fault.delay.fixedDelay", 21, 39},
		{"spec.http[2].retries", 26, 5},
		{"spec.http[2].retries.attempts", 26, 5},
		{"spec.http[", 11, 3},
		{"spec..http", 9, 1},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			want := finding.Position{File: "f", Line: test.line, Column: test.column}
			if got := objects[0].At(test.path); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestHash(t *testing.T) {
	const text = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a, labels: {b: c}}\nspec:\n  selector: {d: e}\n"
	hash := func(text string) uint64 {
		objects, findings := Parse("f", []byte(text))
		if len(objects) != 1 {
			t.Fatal(findings)
		}
		return objects[0].Hash()
	}
	want := hash(text)
	tests := []struct {
		name, text string
		same       bool
	}{
		{"again", text, true},
		{"comments and style", "# x\n---\napiVersion: 'networking.istio.io/v1'\nkind: Gateway # y\nmetadata:\n  name: a\n  labels: {b: c}\nspec: {selector: {d: \"e\"}}\n", true},
		{"status", text + "status: {x: y}\n", true},
		{"spec", text + "  servers: []\n", false},
		{"value", text[:len(text)-3] + "f}\n", false},
		{"label", "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a, labels: {b: d}}\nspec:\n  selector: {d: e}\n", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if same := hash(test.text) == want; same != test.same {
				t.Errorf("the same: %t, want %t", same, test.same)
			}
		})
	}
}
