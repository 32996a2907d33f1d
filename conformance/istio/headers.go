package istio

import (
	"regexp"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/go-inmesh/inmesh/conformance/world"
)

// operations is one level of header operations, as Envoy has them.
type operations struct {
	add    []*core.HeaderValueOption
	remove []string
}

// apply runs the operations as Envoy does: what is removed goes first; then all values are made; then those that
// overwrite are put, then those that are appended. An empty value is not put.
func (o operations) apply(h world.Headers, format func(world.Headers, string) string) {
	for _, name := range o.remove {
		delete(h, strings.ToLower(name))
	}
	values := make([]string, len(o.add))
	for i, a := range o.add {
		values[i] = format(h, a.GetHeader().GetValue())
	}
	for _, appends := range [2]bool{false, true} {
		for i, a := range o.add {
			if appends != isAppend(a) || values[i] == "" {
				continue
			}
			name := strings.ToLower(a.GetHeader().GetKey())
			if have, ok := h[name]; ok && appends {
				h[name] = have + "," + values[i]
			} else {
				h[name] = values[i]
			}
		}
	}
}

func isAppend(h *core.HeaderValueOption) bool {
	return h.AppendAction == core.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD && (h.GetAppend() == nil || h.GetAppend().Value)
}

var command = regexp.MustCompile(`%%|%REQ\(([^)]*)\)%`)

// formatter evaluates the formatters that the cases use: %REQ(name)% and %%. Those of a response see the request.
func formatter(request world.Headers) func(world.Headers, string) string {
	return func(h world.Headers, value string) string {
		if request != nil {
			h = request
		}
		return command.ReplaceAllStringFunc(value, func(s string) string {
			if s == "%%" {
				return "%"
			}
			return h[strings.ToLower(s[len("%REQ("):len(s)-len(")%")])]
		})
	}
}

func clone(h map[string]string) world.Headers {
	out := make(world.Headers, len(h))
	for k, v := range h {
		out[strings.ToLower(k)] = v
	}
	return out
}
