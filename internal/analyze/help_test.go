package analyze_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-inmesh/inmesh/internal/analyze"
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
	"github.com/go-inmesh/inmesh/internal/validate"
)

// check is everything that is said of the text, as "inmesh check" says it.
func check(t testing.TB, text string) []finding.Finding {
	t.Helper()
	objects, findings := rule.Parse("rules.yaml", []byte(text))
	for _, o := range objects {
		findings = append(findings, validate.Object(o)...)
	}
	set, more := rule.NewSet(objects)
	findings = append(append(findings, more...), analyze.Set(set)...)
	finding.Sort(findings)
	return findings
}

// said is what the analysis of a text says, in short: "line severity code path". Objects with errors of their own fail
// the test.
func said(t *testing.T, text string) []string {
	t.Helper()
	objects, findings := rule.Parse("rules.yaml", []byte(text))
	for _, o := range objects {
		findings = append(findings, validate.Object(o)...)
	}
	if finding.HasErrors(findings) {
		t.Fatal(findings)
	}
	set, _ := rule.NewSet(objects)
	var out []string
	for _, f := range analyze.Set(set) {
		if f.File != "rules.yaml" || f.Line == 0 || f.Message == "" {
			t.Errorf("a finding without place or message: %#v", f)
		}
		out = append(out, fmt.Sprint(f.Line, " ", f.Severity, " ", f.Code, " ", strings.TrimPrefix(f.Path, "spec.")))
	}
	return out
}

// table runs texts and compares what is said of each.
func table(t *testing.T, tests []struct {
	name, text string
	want       []string
}) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, said(t, tt.text)); diff != "" {
				t.Errorf("(-want +got):\n%s\n%v", diff, check(t, tt.text))
			}
		})
	}
}

// Documents that tests share.
const (
	reviews = `{apiVersion: v1, kind: Service, metadata: {name: reviews}, spec: {ports: [{name: http, port: 9080}]}}
---
`
	front = `{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: front}, spec: {servers: [
  {port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com, "*.books.com"]}]}}
---
`
	vs = "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
	dr = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
	se = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
)
