package rule

import (
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule/tree"
)

// decoder fills Istio's API types from nodes: the JSON form of proto3, strictly, with Go's durations. It goes on
// after a fault, so that all faults of a document come at once. What it makes is what golang/protobuf/jsonpb makes,
// which Istio uses; a test holds the two against each other.
type decoder struct {
	faults *tree.Faults
	path   []step
}

// step is one part of the path to the value at hand: a field, or a map's key or list's index in brackets.
type step struct {
	name  string
	index int // of a list, where name is empty
	key   bool
}

// spec fills m from the node of an object's spec. The decoder may be used again.
func (d *decoder) spec(m protoreflect.Message, spec *tree.Node, faults *tree.Faults) {
	d.faults, d.path = faults, append(d.path[:0], step{name: "spec"})
	if spec.Kind != tree.Null {
		d.message(m, spec)
	}
}

func (d *decoder) push(s step) { d.path = append(d.path, s) }
func (d *decoder) pop()        { d.path = d.path[:len(d.path)-1] }

func (d *decoder) where() string {
	var b strings.Builder
	for i, s := range d.path {
		switch {
		case s.key:
			b.WriteString("[" + s.name + "]")
		case s.name == "":
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.name)
		}
	}
	return b.String()
}

// expected reports a value of the wrong type.
func (d *decoder) expected(n *tree.Node, what string) {
	d.faults.Errorf(n, d.where(), finding.CodeType, "%s, expected %s", n.Describe(), what)
}

func (d *decoder) message(m protoreflect.Message, n *tree.Node) {
	md := m.Descriptor()
	if md.ParentFile().Package() == "google.protobuf" && d.wellKnown(m, md, n) {
		return
	}
	if n.Kind != tree.Map {
		d.expected(n, "a mapping")
		return
	}
	fields := md.Fields()
	for i := range n.Kids {
		kid := &n.Kids[i]
		fd := fields.ByJSONName(kid.Key)
		if fd == nil {
			if fd = fields.ByName(protoreflect.Name(kid.Key)); fd == nil {
				d.unknown(kid, fields)
				continue
			}
		}
		d.push(step{name: fd.JSONName()})
		if d.fits(m, n, kid, fd) {
			d.field(m, fd, &kid.Value)
		}
		d.pop()
	}
}

// fits checks that the field does not stand there under its other name too, nor a rival of the same oneof.
func (d *decoder) fits(m protoreflect.Message, n *tree.Node, kid *tree.Kid, fd protoreflect.FieldDescriptor) bool {
	if name := string(fd.Name()); kid.Key == name && name != fd.JSONName() && n.Find(fd.JSONName()) != nil {
		d.faults.KeyErrorf(kid, d.where(), finding.CodeDuplicateKey, "%s and %s are the same field", name, fd.JSONName())
		return false
	}
	one := fd.ContainingOneof()
	if one == nil || one.IsSynthetic() || kid.Value.Kind == tree.Null {
		return true
	}
	if other := m.WhichOneof(one); other != nil && other != fd {
		d.faults.KeyErrorf(kid, d.where(), finding.CodeType, "%s and %s stand side by side, expected one of them",
			other.JSONName(), fd.JSONName())
		return false
	}
	return true
}

func (d *decoder) unknown(kid *tree.Kid, fields protoreflect.FieldDescriptors) {
	names := make([]string, fields.Len())
	for i := range names {
		names[i] = fields.Get(i).JSONName()
	}
	hint := suggest(kid.Key, names)
	if hint == "" {
		if list := oneOf(names); list != "" {
			hint = ", expected " + list
		}
	}
	d.push(step{name: kid.Key})
	d.faults.KeyErrorf(kid, d.where(), finding.CodeUnknownField, "unknown field %q%s", kid.Key, hint)
	d.pop()
}

// field sets one field. Null means absent, as in Kubernetes.
func (d *decoder) field(m protoreflect.Message, fd protoreflect.FieldDescriptor, n *tree.Node) {
	switch {
	case n.Kind == tree.Null:
	case fd.IsMap():
		d.mapping(m, fd, n)
	case fd.IsList():
		d.list(m, fd, n)
	case fd.Message() != nil:
		d.message(m.Mutable(fd).Message(), n)
	default:
		if v, ok := d.scalar(fd, n); ok {
			m.Set(fd, v)
		}
	}
}

func (d *decoder) list(m protoreflect.Message, fd protoreflect.FieldDescriptor, n *tree.Node) {
	if n.Kind != tree.List {
		d.expected(n, "a list of "+plural(fd))
		return
	}
	if len(n.Kids) == 0 {
		return
	}
	list := m.Mutable(fd).List()
	for i := range n.Kids {
		d.push(step{index: i})
		if item := &n.Kids[i].Value; item.Kind == tree.Null {
			d.expected(item, singular(fd))
		} else if fd.Message() != nil {
			d.message(list.AppendMutable().Message(), item)
		} else if v, ok := d.scalar(fd, item); ok {
			list.Append(v)
		}
		d.pop()
	}
}

func (d *decoder) mapping(m protoreflect.Message, fd protoreflect.FieldDescriptor, n *tree.Node) {
	if n.Kind != tree.Map {
		d.expected(n, "a mapping")
		return
	}
	if len(n.Kids) == 0 {
		return
	}
	values, kd, vd := m.Mutable(fd).Map(), fd.MapKey(), fd.MapValue()
	for i := range n.Kids {
		kid := &n.Kids[i]
		d.push(step{name: kid.Key, key: true})
		if key, ok := d.mapKey(kd, kid); !ok {
		} else if kid.Value.Kind == tree.Null {
			d.faults.KeyErrorf(kid, d.where(), finding.CodeType, "null, expected %s", singular(vd))
		} else if vd.Message() != nil {
			v := values.NewValue()
			d.message(v.Message(), &kid.Value)
			values.Set(key, v)
		} else if v, ok := d.scalar(vd, &kid.Value); ok {
			values.Set(key, v)
		}
		d.pop()
	}
}

func (d *decoder) mapKey(kd protoreflect.FieldDescriptor, kid *tree.Kid) (protoreflect.MapKey, bool) {
	if kd.Kind() == protoreflect.StringKind {
		return protoreflect.ValueOfString(kid.Key).MapKey(), true
	}
	n := tree.Node{Line: kid.Line, Column: kid.Column, Kind: tree.Int, Text: kid.Key}
	if _, err := strconv.ParseInt(kid.Key, 10, 64); err != nil {
		n.Kind = tree.String
	}
	v, ok := d.scalar(kd, &n)
	if !ok {
		return protoreflect.MapKey{}, false
	}
	return v.MapKey(), true
}
