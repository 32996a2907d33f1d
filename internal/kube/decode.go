package kube

import (
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule/tree"
)

// Decode fills spec, a pointer to one of the package's types, from a whole document.
func Decode(spec any, apiVersion string, root *tree.Node, faults *tree.Faults) {
	o := object{n: root, faults: faults}
	switch s := spec.(type) {
	case *Service:
		s.decode(o.object("spec"))
	case *EndpointSlice:
		s.decode(o)
	case *Endpoints:
		s.decode(o)
	case *Pod:
		s.decode(o.object("spec"), o.object("status"))
	case *Ingress:
		s.decode(o.object("spec"), apiVersion == "networking.k8s.io/v1")
		if s.Class == "" {
			if class := root.Get("metadata").Get("annotations").Get(ClassAnnotation); class != nil {
				s.Class = class.Text
			}
		}
	}
}

// object is a mapping that is being read. Its node is nil where there is none: then all its fields are absent.
type object struct {
	n      *tree.Node
	path   string
	faults *tree.Faults
}

func (o object) join(key string) string { return finding.Join(o.path, key) }

// get finds a field that is there and not null.
func (o object) get(key string) *tree.Node {
	if n := o.n.Get(key); n != nil && n.Kind != tree.Null {
		return n
	}
	return nil
}

func (o object) expected(n *tree.Node, path, what string) {
	o.faults.Errorf(n, path, finding.CodeType, "%s, expected %s", n.Describe(), what)
}

// invalid reports a field that has the right type and a wrong value; an absent one is reported at the object.
func (o object) invalid(key, format string, args ...any) {
	n := o.get(key)
	if n == nil {
		n = o.n
	}
	if n != nil {
		o.faults.Errorf(n, o.join(key), finding.CodeInvalid, format, args...)
	}
}

func (o object) text(key string) string {
	n := o.get(key)
	switch {
	case n == nil:
		return ""
	case n.Kind != tree.String:
		o.wrongText(n, o.join(key))
		return ""
	}
	return n.Text
}

func (o object) wrongText(n *tree.Node, path string) {
	if n.Kind < tree.String {
		o.faults.Errorf(n, path, finding.CodeType, "%s in YAML, expected a string: write %q", n.Describe(), n.Text)
		return
	}
	o.expected(n, path, "a string")
}

// textOr is the text, or what stands for an absent one.
func (o object) textOr(key, absent string) string {
	if s := o.text(key); s != "" {
		return s
	}
	return absent
}

func (o object) truth(key string, absent bool) bool {
	n := o.get(key)
	switch {
	case n == nil:
		return absent
	case n.Kind != tree.Bool:
		o.expected(n, o.join(key), "true or false")
		return absent
	}
	return n.Bool()
}

// port is a port number, 0 where it is absent.
func (o object) port(key string) int {
	n := o.get(key)
	if n == nil {
		return 0
	}
	return o.portNumber(n, key)
}

func (o object) portNumber(n *tree.Node, key string) int {
	i, ok := n.Int()
	switch {
	case !ok:
		o.expected(n, o.join(key), "a port number")
	case i < 1 || i > 65535:
		o.faults.Errorf(n, o.join(key), finding.CodeInvalid, "%s is not in 1..65535", n.Text)
	default:
		return int(i)
	}
	return 0
}

// portOrName is a port that may be given by name.
func (o object) portOrName(key string) (number int, name string) {
	n := o.get(key)
	if n != nil && n.Kind == tree.String {
		return 0, n.Text
	}
	return o.port(key), ""
}

func (o object) object(key string) object {
	return object{o.mapping(o.get(key), o.join(key)), o.join(key), o.faults}
}

func (o object) mapping(n *tree.Node, path string) *tree.Node {
	if n != nil && n.Kind != tree.Map {
		o.expected(n, path, "a mapping")
		return nil
	}
	return n
}

// items is the list under the key, nil where there is none.
func (o object) items(key string) []tree.Kid {
	n := o.get(key)
	if n == nil {
		return nil
	}
	if n.Kind != tree.List {
		o.expected(n, o.join(key), "a list")
		return nil
	}
	return n.Kids
}

func (o object) objects(key string) []object {
	items := o.items(key)
	list := make([]object, 0, len(items))
	for i := range items {
		path := finding.Index(o.join(key), i)
		if n := o.mapping(&items[i].Value, path); n != nil {
			list = append(list, object{n, path, o.faults})
		}
	}
	return list
}

func (o object) texts(key string) []string {
	items := o.items(key)
	if items == nil {
		return nil
	}
	list := make([]string, 0, len(items))
	for i := range items {
		if n := &items[i].Value; n.Kind != tree.String {
			o.wrongText(n, finding.Index(o.join(key), i))
		} else {
			list = append(list, n.Text)
		}
	}
	return list
}

func (o object) labels(key string) map[string]string {
	m := o.object(key)
	if m.n == nil || len(m.n.Kids) == 0 {
		return nil
	}
	labels := make(map[string]string, len(m.n.Kids))
	for i := range m.n.Kids {
		k := &m.n.Kids[i]
		if k.Value.Kind != tree.String {
			o.wrongText(&k.Value, finding.Key(m.path, k.Key))
			continue
		}
		labels[k.Key] = k.Value.Text
	}
	return labels
}
