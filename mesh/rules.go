package mesh

import (
	"fmt"
	"strings"
	"sync"

	"github.com/go-inmesh/inmesh/internal/analyze"
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
	"github.com/go-inmesh/inmesh/internal/validate"
)

// Rules is a whole set of rules, services and endpoints, checked and ready for [New] or [Mesh.Update]. It is
// immutable and may be shared by several meshes.
//
// Make one with [Load], [LoadFS], [Parse] or [Build]; put several together with [Join].
type Rules struct {
	set      *rule.Set
	findings []Finding // of loading and of each object alone

	analysis func() []Finding // across objects, computed once
}

// Object is one rule, service or set of endpoints: its kind, name and spec, and where it was written. The spec
// is a pointer to Istio's own API type, such as *networking.VirtualService of istio.io/api/networking/v1.
// [NewObject] makes one in Go.
type Object = rule.Object

// Finding is one thing to say about one place in the rules: File, Line and Column, the object's Kind,
// Namespace and Name, the Path of the field, a Severity, a Code (Istio's analyzer code where it has one, else
// MESH and four digits) and a Message.
type Finding = finding.Finding

// Severity of a [Finding]: only errors keep rules from being used.
type Severity = finding.Severity

// The severities of a [Finding].
const (
	SeverityError   = finding.Error
	SeverityWarning = finding.Warning
	SeverityInfo    = finding.Info
)

// InvalidError is the error of rules that cannot be used. It holds every finding, not the first alone, and
// its text lists those of severity error, one a line.
type InvalidError struct {
	Findings []Finding

	unreadable []error
}

// Unwrap gives the errors of package fs for what could not be read within a folder.
func (e *InvalidError) Unwrap() []error { return e.unreadable }

// Error lists the findings of severity error, at most twenty.
func (e *InvalidError) Error() string {
	var b strings.Builder
	n := 0
	for _, f := range e.Findings {
		if f.Severity != finding.Error {
			continue
		}
		if n++; n > 20 {
			continue
		}
		b.WriteString("\n\t" + f.String())
	}
	if n > 20 {
		fmt.Fprintf(&b, "\n\t… and %d more", n-20)
	}
	return fmt.Sprintf("mesh: %d invalid: %s", n, strings.TrimPrefix(b.String(), "\n\t"))
}

// NewObject makes an object in Go, for [Build]. The kind follows from the spec: a *networking.VirtualService is a
// VirtualService. An empty namespace means "default". Labels, annotations and the creation time may be set on
// the result before it is used.
func NewObject(namespace, name string, spec any) (*Object, error) {
	return rule.New(namespace, name, spec)
}

// Build makes rules of objects that were made in Go with [NewObject]. It validates them as if they had been read.
func Build(objects ...*Object) (*Rules, error) { return build(objects, nil) }

// Join puts several sets together. Of two objects of the same kind, namespace and name the later one counts.
func Join(rules ...*Rules) (*Rules, error) {
	var objects []*Object
	var findings []Finding
	for _, r := range rules {
		if r == nil {
			continue
		}
		objects = append(objects, r.set.Objects()...)
		findings = append(findings, r.findings...)
	}
	set, more := rule.NewSet(objects)
	return newRules(set, append(findings, more...)), nil
}

// Parse reads rules from one text: YAML documents or JSON. The name stands for the file in findings.
func Parse(name string, data []byte) (*Rules, error) {
	objects, findings := rule.Parse(name, data)
	return build(objects, findings)
}

// build validates every object alone and makes the set. With an error among the findings there are no rules.
func build(objects []*Object, findings []Finding, unreadable ...error) (*Rules, error) {
	set, findings := assemble(objects, findings)
	findings = finding.Tidy(findings)
	if finding.HasErrors(findings) {
		return nil, &InvalidError{Findings: findings, unreadable: unreadable}
	}
	return newRules(set, findings), nil
}

// assemble validates every object alone and puts all in a set.
func assemble(objects []*Object, findings []Finding) (*rule.Set, []Finding) {
	for _, o := range objects {
		findings = append(findings, validate.Object(o)...)
	}
	set, more := rule.NewSet(objects)
	return set, append(findings, more...)
}

func newRules(set *rule.Set, findings []Finding) *Rules {
	return &Rules{set: set, findings: findings, analysis: sync.OnceValue(func() []Finding { return analyze.Set(set) })}
}

// Objects are all objects, in the order in which they were read. They must not be changed.
func (r *Rules) Objects() []*Object { return r.set.Objects() }

// Findings is everything there is to say about the rules: warnings and information from loading, and what only
// shows when the objects are looked at together, such as a route to a subset that no DestinationRule has. Those
// may be of severity error; the rules are usable all the same, and the requests concerned are answered as
// Istio would answer them.
func (r *Rules) Findings() []Finding {
	return finding.Tidy(append(append([]Finding(nil), r.findings...), r.analysis()...))
}
