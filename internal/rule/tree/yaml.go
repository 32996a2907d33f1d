package tree

import (
	"encoding/base64"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// readYAML reads one document.
func readYAML(p part) (Node, *Error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(p.text, &doc); err != nil {
		return Node{}, syntaxError(err, p)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return Node{}, nil
	}
	c := converter{line: int32(p.line)}
	var root Node
	if err := c.convert(doc.Content[0], &root, 0); err != nil {
		return Node{}, err
	}
	return root, nil
}

// converter turns the YAML library's nodes into ours.
type converter struct {
	line   int32                // lines before the document
	open   map[*yaml.Node]bool  // anchored nodes that are being converted
	done   map[*yaml.Node]*Node // anchored nodes that have been converted
	copied int                  // nodes that aliases have added
}

func (c *converter) fail(n *yaml.Node, format string, args ...any) *Error {
	return &Error{int(c.line) + n.Line, n.Column, fmt.Sprintf(format, args...)}
}

func (c *converter) convert(n *yaml.Node, to *Node, depth int) *Error {
	if depth > maxDepth {
		return c.fail(n, "nested deeper than %d levels", maxDepth)
	}
	if n.Anchor != "" {
		if c.open == nil {
			c.open, c.done = map[*yaml.Node]bool{}, map[*yaml.Node]*Node{}
		}
		c.open[n] = true
		defer func() { delete(c.open, n); c.done[n] = to }()
	}
	to.Line, to.Column = c.line+int32(n.Line), int32(n.Column)
	switch n.Kind {
	case yaml.ScalarNode:
		return c.scalar(n, to)
	case yaml.SequenceNode:
		to.Kind, to.Kids = List, make([]Kid, len(n.Content))
		for i, item := range n.Content {
			kid := &to.Kids[i]
			kid.Line, kid.Column = c.line+int32(item.Line), int32(item.Column)
			if err := c.convert(item, &kid.Value, depth+1); err != nil {
				return err
			}
		}
		return nil
	case yaml.MappingNode:
		return c.mapping(n, to, depth)
	case yaml.AliasNode:
		return c.alias(n, to, depth)
	}
	return c.fail(n, "not a value")
}

func (c *converter) mapping(n *yaml.Node, to *Node, depth int) *Error {
	to.Kind, to.Kids = Map, make([]Kid, 0, len(n.Content)/2)
	var merges []Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		if name.Kind == yaml.ScalarNode && name.Tag == "!!merge" {
			var from Node
			if err := c.convert(n.Content[i+1], &from, depth+1); err != nil {
				return err
			}
			merges = append(merges, from)
			continue
		}
		to.Kids = append(to.Kids, Kid{})
		kid := &to.Kids[len(to.Kids)-1]
		kid.Line, kid.Column = c.line+int32(name.Line), int32(name.Column)
		var k Node
		if err := c.convert(name, &k, depth+1); err != nil {
			return err
		}
		var ok bool
		if kid.Key, ok = key(k.Kind, k.Text); !ok {
			hint := ""
			if k.Kind == Map {
				hint = ": is it a template that is not filled in?"
			}
			return c.fail(name, "a key that is %s, expected a string%s", k.Kind, hint)
		}
		if err := c.convert(n.Content[i+1], &kid.Value, depth+1); err != nil {
			return err
		}
	}
	if merges == nil {
		return nil
	}
	have := make(map[string]bool, len(to.Kids))
	for _, kid := range to.Kids {
		have[kid.Key] = true
	}
	for _, m := range merges {
		if err := c.merge(n, to, &m, have); err != nil {
			return err
		}
	}
	return nil
}

// merge adds what a merge key ("<<") brings: a mapping, or a list of them. What is there already stays.
func (c *converter) merge(n *yaml.Node, to, from *Node, have map[string]bool) *Error {
	switch from.Kind {
	case Map:
		for _, kid := range from.Kids {
			if !have[kid.Key] {
				have[kid.Key] = true
				to.Kids = append(to.Kids, kid)
			}
		}
		return nil
	case List:
		for i := range from.Kids {
			if from.Kids[i].Value.Kind != Map {
				return c.fail(n, "a merge key (<<) with %s in its list, expected mappings", from.Kids[i].Value.Kind)
			}
			if err := c.merge(n, to, &from.Kids[i].Value, have); err != nil {
				return err
			}
		}
		return nil
	}
	return c.fail(n, "a merge key (<<) with %s, expected a mapping", from.Kind)
}

// alias copies what the alias stands for, so that a tree never shares nodes.
func (c *converter) alias(n *yaml.Node, to *Node, depth int) *Error {
	if c.open[n.Alias] {
		return c.fail(n, "the alias *%s stands within its own anchor", n.Value)
	}
	from := c.done[n.Alias]
	if from == nil {
		return c.fail(n, "the alias *%s has no anchor before it", n.Value)
	}
	if err := c.copy(n, from, to, depth); err != nil {
		return err
	}
	to.Line, to.Column = c.line+int32(n.Line), int32(n.Column)
	return nil
}

func (c *converter) copy(alias *yaml.Node, from, to *Node, depth int) *Error {
	if depth > maxDepth {
		return c.fail(alias, "nested deeper than %d levels", maxDepth)
	}
	if c.copied++; c.copied > maxCopied {
		return c.fail(alias, "aliases add more than %d values", maxCopied)
	}
	*to = *from
	if from.Kids == nil {
		return nil
	}
	to.Kids = make([]Kid, len(from.Kids))
	for i := range from.Kids {
		to.Kids[i] = from.Kids[i]
		if err := c.copy(alias, &from.Kids[i].Value, &to.Kids[i].Value, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// scalar settles kind and text, by the tag if one is written.
func (c *converter) scalar(n *yaml.Node, to *Node) *Error {
	to.Text = n.Value
	if n.Style&yaml.TaggedStyle == 0 {
		if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			to.Kind = String
		} else {
			to.Kind = resolve(n.Value)
		}
		return nil
	}
	var want Kind
	switch n.ShortTag() {
	case "!!null":
		want = Null
	case "!!bool":
		want = Bool
	case "!!int":
		want = Int
	case "!!float":
		want = Float
	case "!!binary":
		b, err := base64.StdEncoding.DecodeString(n.Value)
		if err != nil {
			return c.fail(n, "!!binary is not base64")
		}
		to.Kind, to.Text = String, string(b)
		return nil
	default:
		to.Kind = String
		return nil
	}
	to.Kind = resolve(n.Value)
	if to.Kind == Int && want == Float {
		to.Kind = Float
	}
	if to.Kind != want {
		return c.fail(n, "%q is not what the tag %s says", n.Value, n.Tag)
	}
	return nil
}
