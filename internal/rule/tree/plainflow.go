package tree

import "strings"

// flow reads a collection in braces or brackets.
func (r *plainReader) flow(depth int) (n Node, ok bool) {
	n = r.here()
	if depth >= maxDepth {
		return n, false
	}
	kind, end, base := List, byte(']'), len(r.kids)
	if r.text[r.begin] == '{' {
		kind, end = Map, '}'
	}
	r.begin++
	for {
		r.blanks()
		if r.begin == r.end {
			return n, false
		}
		if r.text[r.begin] == end {
			r.begin++
			return r.take(n, kind, base), true
		}
		at, name := r.here(), ""
		if kind == Map {
			if name, ok = r.key(); !ok {
				return n, false
			}
			r.blanks()
		}
		if r.begin == r.end {
			return n, false
		}
		v, ok := r.flowValue(depth + 1)
		if !ok {
			return n, false
		}
		r.kids = append(r.kids, Kid{Key: name, Line: at.Line, Column: at.Column, Value: v})
		r.blanks()
		switch {
		case r.begin == r.end:
			return n, false
		case r.text[r.begin] == ',':
			r.begin++
		case r.text[r.begin] != end:
			return n, false
		}
	}
}

func (r *plainReader) blanks() {
	for r.begin < r.end && r.text[r.begin] == ' ' {
		r.begin++
	}
}

func (r *plainReader) flowValue(depth int) (n Node, ok bool) {
	n = r.here()
	s := r.rest()
	switch c := s[0]; {
	case c == '"' || c == '\'':
		text, length := quoted(s)
		if length == 0 || length < len(s) && strings.IndexByte(" ,]}", s[length]) < 0 {
			return n, false
		}
		n.Kind, n.Text = String, text
		r.begin += length
		return n, true
	case c == '{' || c == '[':
		return r.flow(depth)
	case !letter(c) && c != '-':
		return n, false
	}
	i := 1
	for i < len(s) && (letter(s[i]) || s[i] == '-') {
		i++
	}
	// A blank may end the scalar, or stand in it.
	after := strings.TrimLeft(s[i:], " ")
	if s[:i] == "-" || after == "" || strings.IndexByte(",]}", after[0]) < 0 {
		return n, false
	}
	n.Kind, n.Text = resolve(s[:i]), s[:i]
	r.begin += i
	return n, true
}
