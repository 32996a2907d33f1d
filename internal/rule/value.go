package rule

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule/tree"
)

// scalar reads one value of a scalar field.
func (d *decoder) scalar(fd protoreflect.FieldDescriptor, n *tree.Node) (v protoreflect.Value, ok bool) {
	switch fd.Kind() {
	case protoreflect.StringKind:
		if n.Kind == tree.String {
			return protoreflect.ValueOfString(n.Text), true
		}
		d.notString(n)
	case protoreflect.BoolKind:
		if n.Kind == tree.Bool {
			return protoreflect.ValueOfBool(n.Bool()), true
		}
		d.expected(n, "true or false")
	case protoreflect.EnumKind:
		return d.enum(fd.Enum(), n)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		if i, ok := d.integer(n, math.MinInt32, math.MaxInt32); ok {
			return protoreflect.ValueOfInt32(int32(i)), true
		}
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		if i, ok := d.integer(n, 0, math.MaxUint32); ok {
			return protoreflect.ValueOfUint32(uint32(i)), true
		}
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		if i, ok := d.integer(unquoted(n), math.MinInt64, math.MaxInt64); ok {
			return protoreflect.ValueOfInt64(i), true
		}
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		if u, ok := unquoted(n).Uint(); ok {
			return protoreflect.ValueOfUint64(u), true
		}
		d.expected(n, "a whole number of 0 or more")
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		if n.Kind != tree.Int && n.Kind != tree.Float {
			d.expected(n, "a number")
			break
		}
		f := n.Float()
		switch {
		case math.IsInf(f, 0) || math.IsNaN(f):
			d.expected(n, "a finite number")
		case fd.Kind() == protoreflect.FloatKind:
			return protoreflect.ValueOfFloat32(float32(f)), true
		default:
			return protoreflect.ValueOfFloat64(f), true
		}
	case protoreflect.BytesKind:
		b, err := base64.StdEncoding.DecodeString(n.Text)
		if n.Kind == tree.String && err == nil {
			return protoreflect.ValueOfBytes(b), true
		}
		d.expected(n, "bytes in base64")
	default:
		d.expected(n, "nothing: "+fd.Kind().String()+" is not known")
	}
	return v, false
}

// notString says how to write what YAML takes for a number or a boolean.
func (d *decoder) notString(n *tree.Node) {
	switch n.Kind {
	case tree.Bool, tree.Int, tree.Float:
		d.faults.Errorf(n, d.where(), finding.CodeType, "%s in YAML, expected a string: write %q", n.Describe(), n.Text)
	default:
		d.expected(n, "a string")
	}
}

// unquoted lets a string of digits be the number that it holds: the JSON form of 64-bit numbers.
func unquoted(n *tree.Node) *tree.Node {
	if n.Kind != tree.String {
		return n
	}
	c := *n
	if _, err := strconv.ParseUint(strings.TrimPrefix(n.Text, "-"), 10, 64); err == nil {
		c.Kind = tree.Int
	}
	return &c
}

func (d *decoder) integer(n *tree.Node, low, high int64) (int64, bool) {
	i, ok := n.Int()
	switch {
	case ok && i >= low && i <= high:
		return i, true
	case n.Kind == tree.String && unquoted(n).Kind == tree.Int:
		d.faults.Errorf(n, d.where(), finding.CodeType, "%s, expected a whole number: write %s", n.Describe(), n.Text)
	case n.Kind == tree.Int, n.Kind == tree.Float && n.Float() == math.Trunc(n.Float()):
		d.faults.Errorf(n, d.where(), finding.CodeType, "%s is out of range, expected %d..%d", n.Text, low, high)
	case n.Kind == tree.Float:
		d.faults.Errorf(n, d.where(), finding.CodeType, "%s has a fraction, expected a whole number", n.Text)
	default:
		d.expected(n, "a whole number")
	}
	return 0, false
}

func (d *decoder) enum(ed protoreflect.EnumDescriptor, n *tree.Node) (v protoreflect.Value, ok bool) {
	values := ed.Values()
	if i, isInt := n.Int(); isInt && i == int64(int32(i)) && values.ByNumber(protoreflect.EnumNumber(i)) != nil {
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(i)), true
	}
	if n.Kind == tree.String {
		if vd := values.ByName(protoreflect.Name(n.Text)); vd != nil {
			return protoreflect.ValueOfEnum(vd.Number()), true
		}
	}
	names := make([]string, values.Len())
	for i := range names {
		names[i] = string(values.Get(i).Name())
	}
	what := "one of its names"
	if list := oneOf(names); list != "" {
		what = list
	}
	hint := suggest(n.Text, names)
	if n.Kind == tree.Bool { // a name that YAML takes for a boolean: "OFF"
		if vd := values.ByName(protoreflect.Name(n.Text)); vd != nil {
			hint = fmt.Sprintf(": write %q", n.Text)
		}
	}
	got := n.Describe()
	if n.Kind == tree.String {
		got = strconv.Quote(n.Text)
	}
	d.faults.Errorf(n, d.where(), finding.CodeType, "%s, expected %s%s", got, what, hint)
	return v, false
}

// wellKnown reads the types of google.protobuf that stand for one value in JSON. It is false for the others.
func (d *decoder) wellKnown(m protoreflect.Message, md protoreflect.MessageDescriptor, n *tree.Node) bool {
	switch md.Name() {
	case "Duration":
		d.duration(m, md, n)
	case "BoolValue", "BytesValue", "StringValue", "Int32Value", "UInt32Value", "Int64Value", "UInt64Value",
		"FloatValue", "DoubleValue":
		fd := md.Fields().ByNumber(1)
		if v, ok := d.scalar(fd, n); ok {
			m.Set(fd, v)
		}
	default:
		return false
	}
	return true
}

const aDuration = "a duration such as 250ms, 5s or 1m30s"

func (d *decoder) duration(m protoreflect.Message, md protoreflect.MessageDescriptor, n *tree.Node) {
	if n.Kind != tree.String {
		d.expected(n, aDuration)
		return
	}
	v, err := time.ParseDuration(n.Text)
	if err != nil {
		d.faults.Errorf(n, d.where(), finding.CodeType, "%q, expected %s", n.Text, aDuration)
		return
	}
	m.Set(md.Fields().ByNumber(1), protoreflect.ValueOfInt64(int64(v/time.Second)))
	m.Set(md.Fields().ByNumber(2), protoreflect.ValueOfInt32(int32(v%time.Second)))
}

// singular and plural name what a field holds.
func singular(fd protoreflect.FieldDescriptor) string {
	switch {
	case fd.Message() != nil && fd.Message().Name() == "Duration":
		return aDuration
	case fd.Message() != nil:
		return "a mapping"
	case fd.Kind() == protoreflect.StringKind:
		return "a string"
	case fd.Kind() == protoreflect.EnumKind:
		return "a name"
	}
	return "a number"
}

func plural(fd protoreflect.FieldDescriptor) string {
	switch {
	case fd.Message() != nil:
		return "mappings"
	case fd.Kind() == protoreflect.StringKind:
		return "strings"
	case fd.Kind() == protoreflect.EnumKind:
		return "names"
	}
	return "numbers"
}
