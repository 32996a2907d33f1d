// Package legacy knows the forms of earlier Istio releases. A form whose field is gone is rewritten to today's
// before the object is decoded; one that still works stays. Either way a warning shows the modern form.
//
// Nodes keep the place where the user wrote them, so that later findings point there.
package legacy

import (
	"strings"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule/tree"
)

// Rewrite turns the old forms in the spec of an object of Istio's networking kinds into today's.
func Rewrite(kind string, spec *tree.Node, faults *tree.Faults) {
	if !suspect(spec) {
		return
	}
	switch r := (rewriter{faults}); kind {
	case "VirtualService":
		r.virtualService(spec)
	case "DestinationRule":
		r.destinationRule(spec)
	}
}

// suspect tells whether anything looks like an old form; most specs have none and need no second look.
func suspect(n *tree.Node) bool {
	for i := range n.Kids {
		if k := &n.Kids[i]; old(k) || suspect(&k.Value) {
			return true
		}
	}
	return false
}

func old(k *tree.Kid) bool {
	switch k.Key {
	case "percent", "allowOrigin", "allow_origin", "mirrorPercent", "mirror_percent", "websocketUpgrade", "websocket_upgrade",
		"consecutiveErrors", "consecutive_errors", "warmupDurationSecs", "warmup_duration_secs", "minimumRingSize", "minimum_ring_size":
		return true
	case "port":
		return k.Value.Get("name") != nil
	case "outlierDetection", "outlier_detection":
		return k.Value.Get("http") != nil
	case "simple":
		return k.Value.Text == "LEAST_CONN"
	case "gateways":
		for i := range k.Value.Kids {
			if _, ok := modernGateway(&k.Value.Kids[i].Value); ok {
				return true
			}
		}
		return false
	}
	return strings.HasPrefix(k.Key, "append") || strings.HasPrefix(k.Key, "remove")
}

type rewriter struct {
	faults *tree.Faults
}

// warn reports an old form at its key.
func (r rewriter) warn(k *tree.Kid, path, format string, args ...any) {
	r.faults.KeyWarnf(k, finding.Join(path, k.Key), finding.CodeLegacy, format, args...)
}

// each calls f for every item of a list. A node of another kind is left for the decoder to report.
func each(list *tree.Node, path string, f func(n *tree.Node, path string)) {
	if list == nil || list.Kind != tree.List {
		return
	}
	for i := range list.Kids {
		f(&list.Kids[i].Value, finding.Index(path, i))
	}
}

// child gives the mapping under the key and makes it where it is absent, at the place of the entry "at". It is nil
// where something else stands there.
func child(n *tree.Node, key string, at tree.Kid) *tree.Node {
	c := n.Get(key)
	if c == nil {
		n.Kids = append(n.Kids, tree.Kid{Key: key, Line: at.Line, Column: at.Column})
		c = &n.Kids[len(n.Kids)-1].Value
		c.Line, c.Column = at.Line, at.Column
	}
	if c.Kind == tree.Null {
		c.Kind = tree.Map
	}
	if c.Kind != tree.Map {
		return nil
	}
	return c
}
