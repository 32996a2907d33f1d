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

// flow shows a list or mapping of scalars as YAML on one line.
func flow(n *tree.Node) string {
	parts := make([]string, len(n.Kids))
	for i := range n.Kids {
		k := &n.Kids[i]
		parts[i] = scalar(&k.Value)
		if n.Kind == tree.Map {
			parts[i] = k.Key + ": " + parts[i]
		}
	}
	switch n.Kind {
	case tree.Map:
		return "{" + strings.Join(parts, ", ") + "}"
	case tree.List:
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return scalar(n)
}
