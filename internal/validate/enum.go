package validate

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// enum wants a number that the enum has: the decoder lets unknown ones through.
func enum(fs *finding.Faults, path string, e protoreflect.Enum) {
	if e.Descriptor().Values().ByNumber(e.Number()) == nil {
		fs.Errorf(path, "%d is not a value of %s", e.Number(), e.Descriptor().Name())
	}
}

// isIstio tells whether the spec is of one of Istio's kinds.
func isIstio(spec any) bool {
	m, ok := spec.(protoreflect.ProtoMessage)
	return ok && m != nil
}
