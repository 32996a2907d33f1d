// Package rule turns YAML and JSON into typed objects that know where they stand: Istio's own API types, and
// the few Kubernetes kinds that say which services and endpoints there are.
package rule

import (
	"cmp"
	"time"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// Object is one document: a rule, a service, a set of endpoints. It is not changed once it is part of a [Set].
type Object struct {
	// APIVersion and Kind as written: "networking.istio.io/v1", "VirtualService".
	APIVersion, Kind string
	// Namespace and Name; an absent namespace has become "default", as kubectl would make it.
	Namespace, Name     string
	Labels, Annotations map[string]string
	// CreationTimestamp decides which of two objects is older; zero counts as the order of the files.
	CreationTimestamp time.Time
	// Spec is a pointer to Istio's API type (*networking.VirtualService), or to a type of package kube.
	Spec any
	// Position is where the document begins. An object built in Go has none.
	Position finding.Position

	places []place   // where the values stand, nil for objects built in Go
	wide   *wide     // of the places, nil where no value has many entries
	order  int       // place among all objects of the set, from 1
	made   time.Time // when, for the order of age; see [NewSet]
	hash   uint64    // of the document's content, 0 for objects built in Go
}

// String is "VirtualService default/reviews".
func (o *Object) String() string { return o.Kind + " " + o.Namespace + "/" + o.Name }

// Ref is "default/reviews".
func (o *Object) Ref() string { return o.Namespace + "/" + o.Name }

// Older orders objects of one set by creation time, then by their order in the set: negative means that a is older.
// An object without creation time counts as made when the latest of those before it in the set was, so that it is
// younger than all of these.
func Older(a, b *Object) int {
	return cmp.Or(a.made.Compare(b.made), cmp.Compare(a.order, b.order))
}

// Finding places a fault of the object's spec: its path is looked up in the document.
func (o *Object) Finding(f finding.Fault) finding.Finding {
	path := f.Path
	switch {
	case path == "":
		path = "spec"
	case path[0] != '/':
		path = "spec." + path
	default:
		path = path[1:] // from the document's root: "/metadata.name"
	}
	return finding.Finding{
		Position: o.At(path), Kind: o.Kind, Namespace: o.Namespace, Name: o.Name,
		Path: path, Severity: f.Severity, Code: f.Code, Message: f.Message,
	}
}
