package coverage

import (
	"cmp"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// Checker finds in specs what is not obeyed. Make one with [NewChecker]; it is safe for concurrent use.
type Checker struct {
	kinds map[protoreflect.FullName]*plan
}

// plan is the part of the account that leads to fields that are not obeyed.
type plan struct {
	unobeyed string // of the whole kind
	steps    []step
}

// step is one field of a message, with what is below it.
type step struct {
	fd    protoreflect.FieldDescriptor
	field *Field // nil where the field only leads on
	with  protoreflect.FieldDescriptor
	below *plan
}

// NewChecker reads the account.
func NewChecker() *Checker {
	c := &Checker{kinds: map[protoreflect.FullName]*plan{}}
	for _, k := range Kinds() {
		md := k.New().ProtoReflect().Descriptor()
		if k.Unobeyed != "" {
			c.kinds[md.FullName()] = &plan{unobeyed: k.Unobeyed}
			continue
		}
		fields := make(map[string]*Field, len(k.Fields))
		for i := range k.Fields {
			fields[k.Fields[i].Path] = &k.Fields[i]
		}
		c.kinds[md.FullName()] = newPlan(md, "", fields)
	}
	return c
}

// says tells whether the field's line makes a finding.
func (f *Field) says() bool {
	return f.But != nil || f.Where == "" && (f.Status == Warned || f.Status == Refused)
}

// newPlan is nil where nothing below the message makes a finding.
func newPlan(md protoreflect.MessageDescriptor, path string, fields map[string]*Field) *plan {
	p := &plan{}
	for i := range md.Fields().Len() {
		s := step{fd: md.Fields().Get(i)}
		at := join(path, segment(s.fd))
		if f := fields[at]; f != nil && f.says() {
			s.field = f
			if f.With != "" {
				s.with = md.Fields().ByJSONName(f.With)
			}
		}
		if inner := message(s.fd); inner != nil && s.field == nil {
			s.below = newPlan(inner, at, fields)
		}
		if s.field != nil || s.below != nil {
			p.steps = append(p.steps, s)
		}
	}
	if len(p.steps) == 0 {
		return nil
	}
	return p
}

// NotObeyed lists what the spec asks for and does not get, in the order of the API's definition: one fault for
// each field, not for what is below it. Other messages than specs of Istio's kinds have none.
func (c *Checker) NotObeyed(spec proto.Message) finding.Faults {
	m := spec.ProtoReflect()
	p := c.kinds[m.Descriptor().FullName()]
	if p == nil || !m.IsValid() {
		return nil
	}
	w := walker{}
	if p.unobeyed != "" {
		w.fs.Warnf("", finding.CodeNotObeyed, "read and validated, but not obeyed by this version: %s", p.unobeyed)
		return w.fs
	}
	w.message(p, m)
	return w.fs
}

// walker goes through one spec.
type walker struct {
	fs   finding.Faults
	path []byte
}

func (w *walker) message(p *plan, m protoreflect.Message) {
	for i := range p.steps {
		s := &p.steps[i]
		if !m.Has(s.fd) {
			continue
		}
		n := len(w.path)
		if n > 0 {
			w.path = append(w.path, '.')
		}
		w.path = append(w.path, s.fd.JSONName()...)
		w.step(s, m, m.Get(s.fd))
		w.path = w.path[:n]
	}
}

// step says what there is to say of a field; of a list or map of messages, for each item.
func (w *walker) step(s *step, in protoreflect.Message, v protoreflect.Value) {
	if s.with != nil && in.Has(s.with) {
		return
	}
	n := len(w.path)
	switch {
	case s.fd.IsList() && s.fd.Message() != nil:
		for i := range v.List().Len() {
			w.path = append(append(append(w.path, '['), strconv.Itoa(i)...), ']')
			w.value(s, in, v.List().Get(i))
			w.path = w.path[:n]
		}
	case s.fd.IsMap() && s.fd.MapValue().Message() != nil:
		for _, k := range keys(v.Map()) {
			w.path = append(append(append(w.path, '['), k.String()...), ']')
			w.value(s, in, v.Map().Get(k))
			w.path = w.path[:n]
		}
	default:
		w.value(s, in, v)
	}
}

func (w *walker) value(s *step, in protoreflect.Message, v protoreflect.Value) {
	if f := s.field; f != nil {
		why := f.Note
		if f.But != nil {
			why = f.But(in, v)
		}
		if why != "" {
			w.say(f, why)
			return
		}
	}
	if s.below != nil && v.Message().IsValid() {
		w.message(s.below, v.Message())
	}
}

func (w *walker) say(f *Field, why string) {
	fault := finding.Fault{Path: string(w.path), Severity: finding.Warning, Code: finding.CodeNotObeyed,
		Message: "not obeyed by this version: " + why}
	if f.Status == Refused {
		fault.Severity, fault.Code, fault.Message = finding.Error, finding.CodeRefused, why
	}
	w.fs = append(w.fs, fault)
}

// keys are a map's keys in order.
func keys(m protoreflect.Map) []protoreflect.MapKey {
	out := make([]protoreflect.MapKey, 0, m.Len())
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		out = append(out, k)
		return true
	})
	slices.SortFunc(out, func(a, b protoreflect.MapKey) int { return cmp.Compare(a.String(), b.String()) })
	return out
}
