// Package validate says what Istio's admission would say of a rule: what it rejects, and why, is an error;
// what it warns of is a warning. Every fault names its field.
//
// [Object] judges a whole object with its metadata, [Spec] a bare spec. The other functions judge one part each,
// for a room that was given only that part: they append to fs the faults of the part that stands at path. Nil
// parts have no faults. All of them are safe for concurrent use.
package validate

import (
	"google.golang.org/protobuf/proto"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// Object judges the object: its spec, and what of its metadata bears on it. An object of a kind that is not
// Istio's has no findings.
func Object(o *rule.Object) []finding.Finding { return nil }

// Spec judges a spec that stands alone, as one built in Go: a pointer to one of Istio's API types.
func Spec(spec proto.Message) finding.Faults { return nil }
