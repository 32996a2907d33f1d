package rule

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/kube"
	"github.com/go-inmesh/inmesh/internal/legacy"
	"github.com/go-inmesh/inmesh/internal/rule/tree"
)

// maxSize bounds the text that is read at once.
const maxSize = 64 << 20

// Parse reads all objects of a text: YAML documents or JSON, lists of objects included. All faults come at once; an
// object with an error is left out, the others are there. The name of the file only serves the positions.
func Parse(file string, data []byte) ([]*Object, []finding.Finding) {
	p := parser{file: file, kinds: kinds()}
	if len(data) > maxSize {
		p.report(finding.CodeSyntax, 1, 1, fmt.Sprintf("%d bytes of text, expected at most %d", len(data), maxSize))
		return nil, p.findings
	}
	for _, doc := range tree.Read(data) {
		if doc.Err != nil {
			p.report(finding.CodeSyntax, doc.Err.Line, doc.Err.Column, doc.Err.Message)
			continue
		}
		p.document(&doc.Root, "", "")
	}
	return p.objects, p.findings
}

type parser struct {
	file     string
	kinds    []kind
	objects  []*Object
	findings []finding.Finding
	errors   bool // there is one among the findings

	index  indexer // used again for each object
	decode decoder
}

// report adds an error about no object.
func (p *parser) report(code string, line, column int, message string) {
	p.note(finding.Finding{
		Position: finding.Position{File: p.file, Line: line, Column: column}, Severity: finding.Error, Code: code, Message: message,
	})
}

// enough is how many findings of one file are kept: far more than anyone reads, and than are shown.
const enough = 100_000

// note keeps a finding. Of too many it keeps the errors, for they decide whether the file may be used.
func (p *parser) note(f finding.Finding) {
	if len(p.findings) >= enough && (f.Severity != finding.Error || p.errors) {
		return
	}
	p.errors = p.errors || f.Severity == finding.Error
	p.findings = append(p.findings, f)
}

// document reads one object, or a list of them. The items of a list of one kind need not repeat it.
func (p *parser) document(root *tree.Node, apiVersion, kind string) {
	if root.Kind != tree.Map {
		p.report(finding.CodeUnknownKind, int(root.Line), int(root.Column),
			root.Describe()+", expected a mapping with apiVersion and kind")
		return
	}
	var faults tree.Faults
	if root.Get("apiVersion") == nil && root.Get("kind") == nil && kind == "" {
		p.report(finding.CodeUnknownKind, int(root.Line), int(root.Column),
			"neither apiVersion nor kind: not an object"+misnamed(root, "apiVersion"))
		return
	}
	d := decoder{faults: &faults}
	for _, f := range []struct {
		key string
		to  *string
	}{{"apiVersion", &apiVersion}, {"kind", &kind}} {
		if n := root.Get(f.key); n != nil {
			d.path = append(d.path[:0], step{name: f.key})
			*f.to = d.text(n)
		}
		if *f.to == "" && len(faults) == 0 {
			faults.Errorf(root, "", finding.CodeUnknownKind, "no %s%s", f.key, misnamed(root, f.key))
		}
	}
	if len(faults) > 0 {
		p.add(&Object{Kind: kind}, faults)
		return
	}
	if list := root.Get("items"); strings.HasSuffix(kind, "List") && list != nil {
		p.list(list, apiVersion, strings.TrimSuffix(kind, "List"))
		return
	}
	p.object(root, apiVersion, kind)
}

// misnamed finds a key that looks like the one that is missing.
func misnamed(root *tree.Node, key string) string {
	names := make([]string, 0, len(root.Kids))
	for _, k := range root.Kids {
		if len(names) < 20 {
			names = append(names, k.Key)
		}
	}
	if hint := suggest(key, names); hint != "" {
		return ", is it " + strings.TrimSuffix(strings.TrimPrefix(hint, ", did you mean "), "?") + "?"
	}
	return ""
}

func (p *parser) list(list *tree.Node, apiVersion, kind string) {
	if list.Kind == tree.Null {
		return
	}
	if list.Kind != tree.List {
		p.report(finding.CodeType, int(list.Line), int(list.Column), list.Describe()+", expected a list of objects")
		return
	}
	if kind == "" { // kind: List says nothing of its items
		apiVersion = ""
	}
	for i := range list.Kids {
		p.document(&list.Kids[i].Value, apiVersion, kind)
	}
}

func (p *parser) object(root *tree.Node, apiVersion, name string) {
	o := &Object{APIVersion: apiVersion, Kind: name}
	o.Position = finding.Position{File: p.file, Line: int(root.Line), Column: int(root.Column)}
	var faults tree.Faults
	o.metadata(root, &faults)
	if reason := legacy.Kind(groupOf(apiVersion), name); reason != "" {
		p.skip(o, root, finding.Error, finding.CodeRefused, name+" is "+reason)
		return
	}
	v := judge(p.kinds, apiVersion, name)
	switch {
	case v.wrong != "":
		p.skip(o, root, finding.Error, finding.CodeUnknownKind, v.wrong)
		return
	case v.refused != "":
		p.skip(o, root, finding.Warning, finding.CodeRefused, v.refused)
		return
	case v.unused != "":
		p.skip(o, root, finding.Info, finding.CodeUnused, v.unused)
		return
	}
	o.Spec = v.kind.newSpec()
	if v.kind.istio() {
		o.istio(&p.decode, root, &faults)
	} else {
		kube.Decode(o.Spec, apiVersion, root, &faults)
	}
	o.index(&p.index, root, v.kind.istio(), &faults)
	p.add(o, faults)
}

// istio reads the spec of one of Istio's kinds.
func (o *Object) istio(d *decoder, root *tree.Node, faults *tree.Faults) {
	for i := range root.Kids {
		k := &root.Kids[i]
		switch k.Key {
		case "apiVersion", "kind", "metadata", "status":
		case "spec":
			legacy.Rewrite(o.Kind, &k.Value, faults)
			d.spec(o.Spec.(proto.Message).ProtoReflect(), &k.Value, faults)
		default:
			hint := suggest(k.Key, []string{"apiVersion", "kind", "metadata", "spec", "status"})
			if hint == "" {
				hint = ", expected apiVersion, kind, metadata and spec"
			}
			faults.KeyErrorf(k, k.Key, finding.CodeUnknownField, "unknown field %q%s", k.Key, hint)
		}
	}
}

// index keeps what the object needs of its nodes. The status of Istio's kinds and what Kubernetes notes in the
// metadata is not part of it.
func (o *Object) index(x *indexer, root *tree.Node, istio bool, faults *tree.Faults) {
	x.places, x.hash, x.faults = x.places[:0], 14695981039346656037, faults
	if istio {
		root.Remove("status")
	}
	if meta := root.Get("metadata"); meta != nil {
		for _, key := range []string{"managedFields", "resourceVersion", "uid", "generation", "ownerReferences", "selfLink"} {
			meta.Remove(key)
		}
	}
	x.walk(root)
	o.places, o.hash = append([]place(nil), x.places...), max(1, x.hash)
	if len(o.places) > narrow {
		o.wide = new(wide)
	}
}

// skip notes why an object is not read.
func (p *parser) skip(o *Object, root *tree.Node, s finding.Severity, code, message string) {
	at := o.Position
	if k := root.Find("kind"); k != nil {
		line, column := k.Place()
		at.Line, at.Column = int(line), int(column)
	}
	p.note(finding.Finding{
		Position: at, Kind: o.Kind, Namespace: o.Namespace, Name: o.Name,
		Path: "kind", Severity: s, Code: code, Message: message,
	})
}

// add keeps an object if it has no error, and turns its faults into findings.
func (p *parser) add(o *Object, faults tree.Faults) {
	bad := false
	for _, f := range faults {
		p.note(finding.Finding{
			Position: finding.Position{File: p.file, Line: int(f.Line), Column: int(f.Column)},
			Kind:     o.Kind, Namespace: o.Namespace, Name: o.Name,
			Path: f.Path, Severity: f.Severity, Code: f.Code, Message: f.Message,
		})
		bad = bad || f.Severity == finding.Error
	}
	if !bad {
		p.objects = append(p.objects, o)
	}
}
