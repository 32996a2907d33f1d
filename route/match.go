package route

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	networking "istio.io/api/networking/v1"
)

// op is how a text is compared.
type op uint8

const (
	present  op = iota // anything, as long as it is there
	exact              // the same bytes
	prefix             // begins with the bytes
	contains           // has the bytes in it: what a regex such as ".*x.*" comes to
	suffix             // ends in the bytes: ".*x"
	regex              // the whole text matches
)

// text is a compiled StringMatch.
type text struct {
	op   op
	fold bool   // ASCII letters compare without case; exact and prefix only
	line bool   // op stands for a regex whose dots do not match line breaks
	arg  string // for a regex: the bytes that every match begins with
	re   *pattern
	src  *networking.StringMatch
}

// text compiles m; equal regexes are compiled once. A nil or empty match asks for presence, and so does the regex "*".
func (c *compiler) text(m *networking.StringMatch, fold bool) (text, error) {
	switch v := m.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		return text{op: exact, arg: v.Exact, fold: fold, src: m}, nil
	case *networking.StringMatch_Prefix:
		return text{op: prefix, arg: v.Prefix, fold: fold, src: m}, nil
	case *networking.StringMatch_Regex:
		if v.Regex == "*" {
			return text{op: present, src: m}, nil
		}
		t, ok := c.regexes[v.Regex]
		if !ok {
			var err error
			if t, err = compileRegex(v.Regex); err != nil {
				return text{}, err
			}
			if c.regexes == nil {
				c.regexes = make(map[string]text)
			}
			c.regexes[v.Regex] = t
		}
		t.src = m
		return t, nil
	}
	return text{op: present, src: m}, nil
}

// compileRegex compiles a regex that must match the whole text. Those that come to a comparison of bytes, as
// most in rules do, become one.
func compileRegex(s string) (text, error) {
	tree, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return text{}, fmt.Errorf("regex %q: %w", s, err)
	}
	tree = tree.Simplify()
	if t, ok := plain(tree); ok {
		return t, nil
	}
	p := &pattern{src: s}
	if len(s) > 256 {
		// What parses alone might nest too deep for Go with our own parentheses around it.
		if _, err := p.compile(); err != nil {
			return text{}, fmt.Errorf("regex %q: %w", clip(s), err)
		}
	}
	lead, _ := leading(tree)
	return text{op: regex, arg: lead, re: p}, nil
}

// pattern is a regex that matches whole texts. It is known to be valid; the machine for it is made when it is
// first asked, since of many thousand rules few are met.
type pattern struct {
	src string
	re  atomic.Pointer[regexp.Regexp]
}

// compile makes the machine. The expression was parsed alone before, so that its own parentheses pair.
func (p *pattern) compile() (*regexp.Regexp, error) {
	re, err := regexp.Compile(`^(?:` + p.src + `)$`)
	if err == nil {
		p.re.Store(re)
	}
	return re, err
}

func (p *pattern) match(s string) bool {
	re := p.re.Load()
	if re == nil {
		var err error
		if re, err = p.compile(); err != nil {
			return false
		}
	}
	return re.MatchString(s)
}

// plain recognises "lit", "lit.*", ".*lit", ".*lit.*" and ".*".
func plain(tree *syntax.Regexp) (text, bool) {
	parts := flat(tree)
	open, end := false, false
	if len(parts) > 0 && isAnything(parts[0]) {
		open, parts = true, parts[1:]
	}
	if len(parts) > 0 && isAnything(parts[len(parts)-1]) {
		end, parts = true, parts[:len(parts)-1]
	}
	t := text{line: open || end}
	if len(parts) > 1 {
		return text{}, false
	}
	if len(parts) == 1 {
		if parts[0].Op != syntax.OpLiteral || parts[0].Flags&syntax.FoldCase != 0 {
			return text{}, false
		}
		t.arg = string(parts[0].Rune)
		if !utf8.ValidString(t.arg) || strings.ContainsAny(t.arg, "\n\uFFFD") {
			return text{}, false
		}
	}
	switch {
	case open && end:
		t.op = contains
	case open:
		t.op = suffix
		if t.arg == "" {
			t.op = prefix
		}
	case end:
		t.op = prefix
	default:
		t.op = exact
	}
	return t, true
}

// flat is the list of a concatenation's parts; anchors at its ends are left out, for all regexes are anchored.
func flat(tree *syntax.Regexp) []*syntax.Regexp {
	for tree.Op == syntax.OpCapture {
		tree = tree.Sub[0]
	}
	parts := []*syntax.Regexp{tree}
	if tree.Op == syntax.OpConcat {
		parts = tree.Sub
	}
	if len(parts) > 0 && parts[0].Op == syntax.OpBeginText {
		parts = parts[1:]
	}
	if len(parts) > 0 && parts[len(parts)-1].Op == syntax.OpEndText {
		parts = parts[:len(parts)-1]
	}
	if len(parts) == 1 && parts[0].Op == syntax.OpEmptyMatch {
		return nil
	}
	return parts
}

// isAnything recognises ".*".
func isAnything(r *syntax.Regexp) bool {
	return r.Op == syntax.OpStar && r.Sub[0].Op == syntax.OpAnyCharNotNL
}

// leading is the literal that every full match begins with, and whether it is all of it.
func leading(tree *syntax.Regexp) (string, bool) {
	switch tree.Op {
	case syntax.OpLiteral:
		s := string(tree.Rune)
		if tree.Flags&syntax.FoldCase != 0 || !utf8.ValidString(s) || strings.Contains(s, "\uFFFD") {
			return "", false
		}
		return s, true
	case syntax.OpBeginText, syntax.OpEmptyMatch:
		return "", true
	case syntax.OpCapture:
		return leading(tree.Sub[0])
	case syntax.OpPlus:
		s, _ := leading(tree.Sub[0])
		return s, false
	case syntax.OpConcat:
		var b strings.Builder
		for _, sub := range tree.Sub {
			s, whole := leading(sub)
			b.WriteString(s)
			if !whole {
				return b.String(), false
			}
		}
		return b.String(), true
	}
	return "", false
}

// match compares a text that is there.
func (t *text) match(s string) bool {
	switch t.op {
	case exact:
		if t.fold {
			return len(s) == len(t.arg) && foldPrefix(s, t.arg)
		}
		return s == t.arg
	case prefix:
		if t.fold {
			return foldPrefix(s, t.arg)
		}
		if !strings.HasPrefix(s, t.arg) {
			return false
		}
	case contains:
		if !strings.Contains(s, t.arg) {
			return false
		}
	case suffix:
		if !strings.HasSuffix(s, t.arg) {
			return false
		}
	case regex:
		// RE2 works on UTF-8: a byte that is none matches nothing, where Go's regexp takes it for U+FFFD.
		return strings.HasPrefix(s, t.arg) && utf8.ValidString(s) && t.re.match(s)
	default:
		return true
	}
	return !t.line || strings.IndexByte(s, '\n') < 0 && utf8.ValidString(s)
}

// foldPrefix tells whether s begins with p, ASCII letters compared without case.
func foldPrefix(s, p string) bool {
	if len(s) < len(p) {
		return false
	}
	for i := range len(p) {
		if lower(s[i]) != lower(p[i]) {
			return false
		}
	}
	return true
}

// foldString is s with its ASCII letters in lower case.
func foldString(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = lower(b[i])
	}
	return string(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// String is the match as the rule has it: `prefix "/api"`.
func (t *text) String() string {
	s := "present"
	switch v := t.src.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		s = "exact " + strconv.Quote(v.Exact)
	case *networking.StringMatch_Prefix:
		s = "prefix " + strconv.Quote(v.Prefix)
	case *networking.StringMatch_Regex:
		s = "regex " + strconv.Quote(v.Regex)
	default:
		if t.op == prefix {
			s = "prefix " + strconv.Quote(t.arg) // a route without uri
		}
	}
	if t.fold {
		s += " (ignoring case)"
	}
	return s
}
