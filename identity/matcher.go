package identity

import "strings"

// kind is how a pattern compares.
type kind uint8

const (
	exact kind = iota
	prefix
	suffix
	some    // anything but the empty string
	present // anything at all
)

// pattern is one value of a policy: "abc", "abc*", "*abc" or "*".
type pattern struct {
	kind kind
	text string
}

// newPattern reads a value; star is what "*" alone means.
func newPattern(s string, star kind) pattern {
	switch {
	case s == "*":
		return pattern{kind: star}
	case strings.HasPrefix(s, "*"):
		return pattern{suffix, s[1:]}
	case strings.HasSuffix(s, "*"):
		return pattern{prefix, s[:len(s)-1]}
	}
	return pattern{exact, s}
}

func (p *pattern) match(s string) bool {
	switch p.kind {
	case exact:
		return s == p.text
	case prefix:
		return strings.HasPrefix(s, p.text)
	case suffix:
		return strings.HasSuffix(s, p.text)
	case some:
		return s != ""
	}
	return true
}

// patterns are values of which one must match.
type patterns struct {
	exact map[string]struct{} // where there are many
	list  []pattern
}

// many is from how many exact values on a hash is quicker.
const many = 8

func newPatterns(values []string, star kind) *patterns {
	list := make([]pattern, 0, len(values))
	for _, v := range values {
		list = append(list, newPattern(v, star))
	}
	return patternsOf(list)
}

func patternsOf(list []pattern) *patterns {
	p := &patterns{}
	n := 0
	for _, x := range list {
		if x.kind == exact {
			n++
		}
	}
	for _, x := range list {
		if x.kind != exact || n < many {
			p.list = append(p.list, x)
			continue
		}
		if p.exact == nil {
			p.exact = make(map[string]struct{}, n)
		}
		p.exact[x.text] = struct{}{}
	}
	return p
}

func (p *patterns) match(s string) bool {
	if _, ok := p.exact[s]; ok {
		return true
	}
	for i := range p.list {
		if p.list[i].match(s) {
			return true
		}
	}
	return false
}

// literals are the values if all are exact; false if one is not.
func (p *patterns) literals() ([]string, bool) {
	var out []string
	for i := range p.list {
		if p.list[i].kind != exact {
			return nil, false
		}
		out = append(out, p.list[i].text)
	}
	for s := range p.exact {
		out = append(out, s)
	}
	return out, len(out) > 0
}
