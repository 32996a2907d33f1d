package legacy

import (
	"strings"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule/tree"
)

// oldHeader is a field that headers took the place of in Istio 1.1, on routes and on their destinations.
type oldHeader struct{ camel, snake, side, op string }

func oldHeaders() [5]oldHeader {
	return [...]oldHeader{
		{"appendHeaders", "append_headers", "request", "add"},
		{"appendRequestHeaders", "append_request_headers", "request", "add"},
		{"appendResponseHeaders", "append_response_headers", "response", "add"},
		{"removeRequestHeaders", "remove_request_headers", "request", "remove"},
		{"removeResponseHeaders", "remove_response_headers", "response", "remove"},
	}
}

// headers moves the old header operations of a route or destination into headers. What stands there already wins.
func (r rewriter) headers(n *tree.Node, path string) {
	if !hasOldHeaders(n) {
		return
	}
	for _, old := range oldHeaders() {
		found := n.Find(old.camel, old.snake)
		if found == nil {
			continue
		}
		k := *found
		r.warn(&k, path, "an old form: write headers: {%s: {%s: %s}}", old.side, old.op, flow(&k.Value))
		n.Remove(k.Key)
		headers := child(n, "headers", k)
		if headers == nil {
			continue
		}
		if side := child(headers, old.side, k); side != nil {
			r.join(side, old.op, k, path)
		}
	}
}

// join adds an old field's entries to the operation that took its place.
func (r rewriter) join(side *tree.Node, op string, old tree.Kid, path string) {
	into := side.Get(op)
	switch {
	case into == nil:
		old.Key = op
		side.Kids = append(side.Kids, old)
	case into.Kind != old.Value.Kind:
		r.faults.KeyErrorf(&old, finding.Join(path, old.Key), finding.CodeType, "%s, expected %s", old.Value.Describe(), into.Kind)
	case into.Kind == tree.List:
		into.Kids = append(into.Kids, old.Value.Kids...)
	default:
		have := make(map[string]bool, len(into.Kids))
		for i := range into.Kids {
			have[into.Kids[i].Key] = true
		}
		for _, h := range old.Value.Kids {
			if !have[h.Key] {
				into.Kids = append(into.Kids, h)
			}
		}
	}
}

func hasOldHeaders(n *tree.Node) bool {
	if n.Kind != tree.Map {
		return false
	}
	for i := range n.Kids {
		if k := n.Kids[i].Key; strings.HasPrefix(k, "append") || strings.HasPrefix(k, "remove") {
			return true
		}
	}
	return false
}
