package tree

import (
	"strings"
	"unicode/utf8"
)

// read reads the YAML that most rules are written in: block mappings and lists, and scalars and flow
// collections that end on their line. It is not ok for everything else, valid or not: that is the library's. What it
// reads it reads as the library does, in a tenth of the time.
func (r *plainReader) read(p part) (root Node, ok bool) {
	*r = plainReader{text: string(p.text), line: int32(p.line), kids: r.kids[:0]}
	if !r.next() {
		return root, !r.bad // an empty document
	}
	if r.indent == 0 && strings.HasPrefix(r.rest(), "---") {
		if !ends(r.rest()[3:]) {
			return root, false
		}
		if !r.next() {
			return root, !r.bad
		}
	}
	root, ok = r.block(0)
	return root, ok && r.eof && !r.bad
}

// plainReader stands on a line that is neither blank nor a comment. It may be used again for the next document.
type plainReader struct {
	text       string
	line       int32
	start      int // of the line
	begin, end int // what is left to read of it
	after      int // start of the next line
	indent     int // column of begin, from 0; -1 at the end of the text
	eof, bad   bool
	kids       []Kid // of all open collections
}

func (r *plainReader) rest() string { return r.text[r.begin:r.end] }

// next goes to the next line that says something. At the end of the text and after a character that only the
// library may judge it is false.
func (r *plainReader) next() bool {
	for r.after < len(r.text) {
		r.start = r.after
		r.line++
		if i := strings.IndexByte(r.text[r.start:], '\n'); i >= 0 {
			r.end, r.after = r.start+i, r.start+i+1
		} else {
			r.end, r.after = len(r.text), len(r.text)
		}
		r.begin = r.start
		for r.begin < r.end && r.text[r.begin] == ' ' {
			r.begin++
		}
		if !plainLine(r.rest()) {
			break
		}
		if r.begin < r.end && r.text[r.begin] != '#' {
			r.indent = r.begin - r.start
			return true
		}
		if r.after == len(r.text) {
			r.begin = r.end
		}
	}
	r.eof = r.after >= len(r.text) && (r.begin == r.end || plainLine(r.rest()))
	r.indent, r.begin, r.end = -1, len(r.text), len(r.text)
	r.bad = r.bad || !r.eof
	return false
}

// plainLine tells whether the line is ASCII, but for its comment.
func plainLine(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= ' ' && c < 0x7f:
			if c == '#' {
				return plainComment(s[i:])
			}
		default:
			return false
		}
	}
	return true
}

// plainComment tells whether all characters may stand in a comment, and none ends a line.
func plainComment(s string) bool {
	for _, c := range s {
		if c < ' ' || c >= 0x7f && c < 0xa0 || c == 0x2028 || c == 0x2029 || c == 0xfeff || c >= 0xfffe && c <= 0xffff || c == utf8.RuneError {
			return false
		}
	}
	return true
}

// ends tells whether a value is over: only blanks follow, or a comment after a blank.
func ends(s string) bool {
	t := strings.TrimLeft(s, " ")
	return t == "" || t[0] == '#' && len(t) < len(s)
}

func (r *plainReader) dash() bool {
	s := r.rest()
	return s != "" && s[0] == '-' && (len(s) == 1 || s[1] == ' ')
}

// here is a node at the place that is read now.
func (r *plainReader) here() Node { return Node{Line: r.line, Column: int32(r.begin-r.start) + 1} }

// take makes a collection of the kids that were read since base.
func (r *plainReader) take(n Node, kind Kind, base int) Node {
	n.Kind, n.Kids = kind, append(make([]Kid, 0, len(r.kids)-base), r.kids[base:]...)
	r.kids = r.kids[:base]
	return n
}

// block reads the collection that begins here.
func (r *plainReader) block(depth int) (Node, bool) {
	if depth > maxDepth-1 {
		return Node{}, false
	}
	if r.dash() {
		return r.list(depth)
	}
	return r.mapping(depth)
}

func (r *plainReader) list(depth int) (n Node, ok bool) {
	n = r.here()
	indent, base := r.indent, len(r.kids)
	for r.indent == indent && r.dash() {
		r.begin++
		v := r.here()
		if rest := r.rest(); ends(rest) {
			if r.next(); r.indent > indent {
				if v, ok = r.block(depth + 1); !ok {
					return n, false
				}
			}
		} else {
			r.blanks()
			if r.dash() {
				return n, false
			}
			if v, ok = r.item(depth + 1); !ok {
				return n, false
			}
		}
		r.kids = append(r.kids, Kid{Line: v.Line, Column: v.Column, Value: v})
	}
	return r.take(n, List, base), r.indent <= indent
}

// item reads what stands after a dash: a value, or the first entry of a mapping.
func (r *plainReader) item(depth int) (Node, bool) {
	at := *r
	if v, ok := r.value(depth); ok {
		return v, true
	}
	kids := r.kids[:len(at.kids)]
	*r = at
	r.kids = kids
	r.indent = r.begin - r.start
	if depth >= maxDepth {
		return Node{}, false
	}
	return r.mapping(depth)
}

func (r *plainReader) mapping(depth int) (n Node, ok bool) {
	n = r.here()
	indent, base := r.indent, len(r.kids)
	for r.indent == indent {
		at := r.here()
		name, ok := r.key()
		if !ok {
			return n, false
		}
		v := r.here()
		if rest := r.rest(); ends(rest) {
			if r.next(); r.indent > indent || r.indent == indent && r.dash() {
				if v, ok = r.block(depth + 1); !ok {
					return n, false
				}
			}
		} else {
			r.blanks()
			if v, ok = r.value(depth + 1); !ok {
				return n, false
			}
		}
		r.kids = append(r.kids, Kid{Key: name, Line: at.Line, Column: at.Column, Value: v})
	}
	return r.take(n, Map, base), r.indent <= indent
}

// key reads a key and the colon after it, which a blank or the end of the line must follow.
func (r *plainReader) key() (string, bool) {
	s := r.rest()
	if s == "" {
		return "", false
	}
	n, text, kind := 0, "", String
	if s[0] == '"' || s[0] == '\'' {
		if text, n = quoted(s); n == 0 {
			return "", false
		}
	} else {
		for n < len(s) && (letter(s[n]) || n > 0 && s[n] == '-') {
			n++
		}
		text = s[:n]
		kind = resolve(text)
	}
	if n == 0 || n > 256 || n == len(s) || s[n] != ':' || n+1 < len(s) && s[n+1] != ' ' {
		return "", false
	}
	r.begin += n + 1
	return key(kind, text)
}

// letter tells whether the character may stand anywhere in a plain scalar.
func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.' || c == '/'
}

// quoted reads a quoted scalar without escapes; n is its length with the quotes, 0 if there is none.
func quoted(s string) (text string, n int) {
	i := strings.IndexByte(s[1:], s[0])
	if i < 0 {
		return "", 0
	}
	text, n = s[1:1+i], i+2
	if s[0] == '"' && strings.IndexByte(text, '\\') >= 0 || n < len(s) && s[n] == s[0] {
		return "", 0
	}
	return text, n
}

// value reads a value that ends on its line, and goes to the next one.
func (r *plainReader) value(depth int) (n Node, ok bool) {
	n = r.here()
	s := r.rest()
	switch c := s[0]; {
	case c == '"' || c == '\'':
		text, length := quoted(s)
		if length == 0 || !ends(s[length:]) {
			return n, false
		}
		n.Kind, n.Text = String, text
	case c == '{' || c == '[':
		if n, ok = r.flow(depth); !ok || !ends(r.rest()) {
			return n, false
		}
	case letter(c) || strings.IndexByte("+-~<=$^();\\", c) >= 0 && !r.dash():
		if n.Text, ok = plainScalar(s); !ok {
			return n, false
		}
		n.Kind = resolve(n.Text)
	default:
		return n, false
	}
	r.next()
	return n, !r.bad
}

// plainScalar reads to the end of the line or its comment. A colon before a blank is not ok.
func plainScalar(s string) (string, bool) {
	for i := range len(s) {
		switch s[i] {
		case ':':
			if i+1 == len(s) || s[i+1] == ' ' {
				return "", false
			}
		case '#':
			if s[i-1] == ' ' {
				return strings.TrimRight(s[:i], " "), true
			}
		}
	}
	return strings.TrimRight(s, " "), true
}
