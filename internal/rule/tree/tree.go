// Package tree reads YAML and JSON text into trees of nodes that know their line and column. Aliases and merge
// keys are gone from a tree, and what plain scalars mean is settled: by the rules of YAML 1.1, as Kubernetes
// reads them ("on" is true, 010 is eight).
//
// Reading is bounded: text cannot make a tree much larger or deeper than itself.
package tree

import (
	"strings"
)

// Kind says what a node is.
type Kind uint8

// The kinds of nodes.
const (
	Null Kind = iota
	Bool
	Int
	Float
	String
	Map
	List
)

// String is the kind in words, as findings name it: "a list".
func (k Kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a number", "a string", "a mapping", "a list"}[k]
}

// Node is one value.
type Node struct {
	// Line and Column count from 1.
	Line, Column int32
	Kind         Kind
	// Text is the value of a String, and what was written for other scalars.
	Text string
	// Kids are the entries of a Map, or the items of a List, which have no Key.
	Kids []Kid
}

// Kid is one entry of a mapping or one item of a list.
type Kid struct {
	// Key as Kubernetes turns it into a string: 0x50 is "80", on is "true".
	Key string
	// Line and Column are those of the key, or of the item.
	Line, Column int32
	Value        Node
}

// Place is where a finding about the kid points: at the value if that is a scalar, else at the key.
func (k *Kid) Place() (line, column int32) {
	if k.Value.Kind >= Map || k.Value.Kind == Null {
		return k.Line, k.Column
	}
	return k.Value.Line, k.Value.Column
}

// Get finds the first of the keys in a mapping; nil if there is none, or n is nil or no mapping.
func (n *Node) Get(keys ...string) *Node {
	if k := n.Find(keys...); k != nil {
		return &k.Value
	}
	return nil
}

// Find is [Node.Get] with the key.
func (n *Node) Find(keys ...string) *Kid {
	if n == nil || n.Kind != Map {
		return nil
	}
	for _, key := range keys {
		for i := range n.Kids {
			if n.Kids[i].Key == key {
				return &n.Kids[i]
			}
		}
	}
	return nil
}

// Remove takes the first entry of the key out of a mapping.
func (n *Node) Remove(key string) {
	for i := range n.Kids {
		if n.Kids[i].Key == key {
			n.Kids = append(n.Kids[:i:i], n.Kids[i+1:]...)
			return
		}
	}
}

// Describe shows a value in a message: `"abc" is a string`, shortened where it is long.
func (n *Node) Describe() string {
	switch n.Kind {
	case Null, Map, List:
		return n.Kind.String()
	case String:
		return quote(n.Text) + " is a string"
	}
	return shorten(n.Text) + " is " + n.Kind.String()
}

func quote(s string) string { return `"` + shorten(s) + `"` }

func shorten(s string) string {
	s, more, cut := strings.Cut(s, "\n")
	if r := []rune(s); len(r) > 60 {
		s, cut = string(r[:60]), true
	}
	if cut || more != "" {
		s += "…"
	}
	return s
}
