package coverage

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Paths are the paths of all fields below a message, in the order in which Istio defines them. Google's own types,
// such as durations, count as single values.
func Paths(md protoreflect.MessageDescriptor) []string {
	var out []string
	walk(md, "", nil, func(path string, _ protoreflect.FieldDescriptor) { out = append(out, path) })
	return out
}

// walk calls visit for each field. A message that lies within one of its own kind is not entered again.
func walk(md protoreflect.MessageDescriptor, path string, within []protoreflect.FullName, visit func(string, protoreflect.FieldDescriptor)) {
	for _, name := range within {
		if name == md.FullName() {
			return
		}
	}
	within = append(within[:len(within):len(within)], md.FullName())
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		at := join(path, segment(fd))
		visit(at, fd)
		if inner := message(fd); inner != nil {
			walk(inner, at, within, visit)
		}
	}
}

// segment is the field's name in a path, with the mark of a list or map.
func segment(fd protoreflect.FieldDescriptor) string {
	switch {
	case fd.IsMap():
		return fd.JSONName() + "[*]"
	case fd.IsList():
		return fd.JSONName() + "[]"
	}
	return fd.JSONName()
}

// message is the message that the field holds, itself or as items; nil for values, Google's own types among them.
func message(fd protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	if fd.IsMap() {
		fd = fd.MapValue()
	}
	md := fd.Message()
	if md == nil || md.ParentFile().Package() == "google.protobuf" {
		return nil
	}
	return md
}
