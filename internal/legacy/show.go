package legacy

import (
	"strings"

	"github.com/go-inmesh/inmesh/internal/rule/tree"
)

// scalar shows a value as YAML.
func scalar(n *tree.Node) string {
	switch n.Kind {
	case tree.Null:
		return "null"
	case tree.String:
		if n.Text == "" || strings.ContainsAny(n.Text, "*&!%@`'\"#{}[],|>:?\n") {
			return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(n.Text) + `"`
		}
	case tree.Map, tree.List:
		return "…"
	}
	return n.Text
}

// flow shows a list or mapping of scalars as YAML on one line, at most ten of them.
func flow(n *tree.Node) string {
	var parts []string
	for i := range n.Kids {
		if i == 10 {
			parts = append(parts, "…")
			break
		}
		k := &n.Kids[i]
		s := scalar(&k.Value)
		if len(k.Value.Kids) > 0 {
			s = flow(&k.Value)
		}
		if n.Kind == tree.Map {
			s = k.Key + ": " + s
		}
		parts = append(parts, s)
	}
	switch n.Kind {
	case tree.Map:
		return "{" + strings.Join(parts, ", ") + "}"
	case tree.List:
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return scalar(n)
}
