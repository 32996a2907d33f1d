// Package finding holds what the library has to say about a rule: a [Fault] names the field and the
// reason, a [Finding] adds the file, the line and the object.
//
// Rooms that know only a spec report faults; whoever knows the document turns them into findings.
package finding

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Severity says what a finding means for the rules that it is about.
type Severity string

// The three severities. Only errors keep rules from being used.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
)

// Fault is one thing to say about one field of a spec.
type Fault struct {
	// Path leads to the field, from the spec: "http[1].fault.abort.httpStatus". Empty means the whole.
	Path     string
	Severity Severity
	// Code is Istio's analyzer code (IST0101) where Istio has one, else MESH and four digits.
	Code string
	// Message says what was found, then what was expected. It starts in lower case and has no full stop.
	Message string
}

// Faults collects the faults of one spec. The zero value is ready to use.
type Faults []Fault

// Errorf adds a fault of severity Error with the code for invalid fields.
func (fs *Faults) Errorf(path, format string, args ...any) {
	*fs = append(*fs, Fault{Path: path, Severity: Error, Code: CodeInvalid, Message: fmt.Sprintf(format, args...)})
}

// Warnf adds a fault of severity Warning.
func (fs *Faults) Warnf(path, code, format string, args ...any) {
	*fs = append(*fs, Fault{Path: path, Severity: Warning, Code: code, Message: fmt.Sprintf(format, args...)})
}

// Err joins the faults of severity Error, each as "room: path: message"; nil if there is none.
func (fs Faults) Err(room string) error {
	var errs []error
	for _, f := range fs {
		if f.Severity != Error {
			continue
		}
		if f.Path == "" {
			errs = append(errs, fmt.Errorf("%s: %s", room, f.Message))
		} else {
			errs = append(errs, fmt.Errorf("%s: %s: %s", room, f.Path, f.Message))
		}
	}
	return errors.Join(errs...)
}

// Join appends the field to the path: Join("http[1]", "fault") is "http[1].fault".
func Join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}

// Index appends a list index to the path: Index("http", 1) is "http[1]".
func Index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// Key appends a map key to the path: Key("headers", "x-user") is "headers[x-user]".
func Key(path, key string) string { return path + "[" + key + "]" }

// Position is a place in a file. Line and column count from 1; zero means unknown.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// String is "file:line:column", shortened where parts are unknown.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Finding is one thing to say about one place in the rules.
type Finding struct {
	Position
	Kind      string   `json:"kind"`
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Path      string   `json:"path"`
	Severity  Severity `json:"severity"`
	Code      string   `json:"code"`
	Message   string   `json:"message"`
}

// String is one line for people: "reviews.yaml:12:5: error: VirtualService default/reviews: spec.http[1]…: … [MESH0002]".
func (f Finding) String() string {
	var b strings.Builder
	if s := f.Position.String(); s != "" {
		b.WriteString(s + ": ")
	}
	b.WriteString(string(f.Severity) + ": ")
	if f.Kind != "" {
		b.WriteString(f.Kind + " " + strings.TrimPrefix(f.Namespace+"/", "/") + f.Name + ": ")
	}
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Message)
	if f.Code != "" {
		b.WriteString(" [" + f.Code + "]")
	}
	return b.String()
}

// HasErrors tells whether any of the findings is of severity Error.
func HasErrors(fs []Finding) bool {
	return slices.ContainsFunc(fs, func(f Finding) bool { return f.Severity == Error })
}

// Sort orders findings by file, line and column, then by what they say.
func Sort(fs []Finding) {
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
}

// Tidy sorts findings as [Sort] does, drops those that say of one field what another has said under the same code and
// in the same words, and keeps at most a thousand of each severity for a file; one more tells how many there were
// beyond. Faults are listed for people, and a hostile file may have a fault in every byte.
func Tidy(fs []Finding) []Finding {
	Sort(fs)
	type group struct {
		file     string
		severity Severity
	}
	type said struct {
		Position
		kind, namespace, name, path, code, message string
	}
	count := map[group]int{}
	seen := make(map[said]bool, min(len(fs), 4096))
	out := fs[:0:0]
	for _, f := range fs {
		g := group{f.File, f.Severity}
		if count[g] < most {
			s := said{f.Position, f.Kind, f.Namespace, f.Name, f.Path, f.Code, f.Message}
			if seen[s] {
				continue
			}
			seen[s] = true
			out = append(out, f)
		}
		count[g]++
	}
	var more []Finding
	for g, n := range count {
		if n > most {
			more = append(more, Finding{Position: Position{File: g.file}, Severity: g.severity, Code: CodeMore,
				Message: fmt.Sprintf("and at least %d more of severity %s in this file", n-most, g.severity)})
		}
	}
	Sort(more)
	return append(out, more...)
}

// most is how many findings of one severity are kept for one file.
const most = 1000
