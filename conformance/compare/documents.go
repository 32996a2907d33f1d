package compare

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-inmesh/inmesh/mesh"

	"github.com/go-inmesh/inmesh/conformance/istio"
	"github.com/go-inmesh/inmesh/conformance/world"
)

// Document is a document on which the sides do not agree.
type Document struct {
	Object world.Object
	Istio  istio.Verdict
	Ours   []mesh.Finding
	Err    error // of inmesh, nil where it takes the document
}

// String shows the document and both verdicts.
func (d *Document) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "istio:  %s\ninmesh: ", &d.Istio)
	if d.Err == nil {
		b.WriteString("valid")
	}
	for _, f := range d.Ours {
		fmt.Fprintf(&b, "\n\t%s", f)
	}
	b.WriteString("\n" + world.YAML(d.Object))
	return b.String()
}

// Documents lists the intended differences in what is valid.
var Documents = []Intended{
	{"legacy form", "refused, as an unknown field", "accepted, with a warning that shows the modern form", "manifests of older Istio must load"},
	{"kind that is not read", "accepted", "one information, skipped", "EnvoyFilter and WasmPlugin configure a proxy that is not there"},
	{"value that only the CRD's schema refuses", "refused by the schema of the cluster; istiod, and istioctl validate, accept it", "accepted: a null is as if the field were not there, an enum may be its number, as proto3 JSON has it", "rules in files are read as istiod reads files"},
	{"name that is no name", "accepted, but not by the API server", "refused", "the API server would never hand such an object over"},
}

// Judge asks both sides about a document. The result is nil where they agree; intended names a difference that is meant.
func Judge(o world.Object) (verdict istio.Verdict, d *Document, intended string) {
	v := istio.Validate(o)
	if !v.Known {
		return v, nil, ""
	}
	rules, err := mesh.Parse("object.yaml", []byte(world.YAML(o)))
	d = &Document{Object: o, Istio: v, Err: err}
	var invalid *mesh.InvalidError
	switch {
	case errors.As(err, &invalid):
		d.Ours = invalid.Findings
	case err == nil:
		d.Ours = rules.Findings()
	}
	if v.Valid() == (err == nil) {
		return v, nil, ""
	}
	return v, d, excuseDocument(d)
}

func excuseDocument(d *Document) string {
	switch kind := world.Kind(d.Object); {
	case kind == "EnvoyFilter" || kind == "WasmPlugin" || kind == "TrafficExtension":
		return Documents[1].Name
	case d.Istio.Valid():
		for _, f := range d.Ours {
			if f.Severity == mesh.SeverityError && !strings.HasPrefix(f.Path, "metadata") {
				return ""
			}
		}
		return Documents[3].Name
	case d.Err == nil:
		for _, f := range d.Ours {
			if f.Code == "MESH0008" {
				return Documents[0].Name
			}
		}
		if c := d.Istio.CRD; d.Istio.Parse == "" && len(d.Istio.Webhook) == 0 &&
			(strings.Contains(c, `: "null"`) || strings.Contains(c, `must be of type string: "integer"`)) {
			return Documents[2].Name
		}
	}
	return ""
}

// ShrinkDocument takes away what the disagreement does not need.
func ShrinkDocument(d *Document, budget int) *Document {
	for again := true; again; {
		again = false
		for _, path := range paths(d.Object["spec"], "", 0) {
			if budget--; budget < 0 {
				return d
			}
			o := world.Clone(d.Object)
			cut(o["spec"], path, func(v any) { o["spec"] = v })
			if _, smaller, why := Judge(o); smaller != nil && why == "" && smaller.Istio.Valid() == d.Istio.Valid() {
				d, again = smaller, true
				break
			}
		}
	}
	return d
}
