package identity

import "strings"

// pathPatterns are the paths of an operation: strings with a star at an end, and templates.
type pathPatterns struct {
	texts     *patterns
	templates []template
	// all wants every reading of the path to match; otherwise one is enough.
	all bool
}

func newPathPatterns(values []string, all bool) *pathPatterns {
	p := &pathPatterns{all: all}
	var texts []string
	for _, v := range values {
		if strings.Contains(v, "{*}") || strings.Contains(v, "{**}") {
			p.templates = append(p.templates, newTemplate(v))
		} else {
			texts = append(texts, v)
		}
	}
	p.texts = newPatterns(texts, some)
	return p
}

func (p *pathPatterns) match(q *Request) bool {
	ok := p.matchPath(q.Path)
	switch {
	case q.other == "":
		return ok
	case p.all:
		return ok && (!q.decoded || p.matchPath(q.other))
	}
	return ok || p.matchPath(q.other)
}

func (p *pathPatterns) matchPath(s string) bool {
	if p.texts.match(s) {
		return true
	}
	for i := range p.templates {
		if p.templates[i].match(s) {
			return true
		}
	}
	return false
}

// template is a path in which {*} stands for one segment and {**} for any number of characters: Envoy's URI template.
// See https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/path/match/uri_template/v3/uri_template_match.proto
type template struct {
	// Before each of the wildcards, and after the last.
	literals []string
	// deep[i] tells whether the wildcard after literals[i] is {**}.
	deep []bool
}

func newTemplate(s string) template {
	s = strings.NewReplacer("{*}", "*", "{**}", "**").Replace(s)
	var t template
	for {
		i := strings.IndexByte(s, '*')
		if i < 0 {
			t.literals = append(t.literals, s)
			return t
		}
		deep := strings.HasPrefix(s[i:], "**")
		t.literals, t.deep = append(t.literals, s[:i]), append(t.deep, deep)
		if s = s[i+1:]; deep {
			s = s[1:]
		}
	}
}

// match needs time in proportion to the path's length times the number of wildcards that stand for one segment, at
// most: after a {**} the literals that follow are looked for from the left, and one that fails is tried further on.
func (t *template) match(path string) bool { return matchTemplate(t.literals, t.deep, path) }

func matchTemplate(literals []string, deep []bool, s string) bool {
	if !strings.HasPrefix(s, literals[0]) {
		return false
	}
	s = s[len(literals[0]):]
	if len(deep) == 0 {
		return s == ""
	}
	last := len(deep) == 1
	if !deep[0] {
		n := segmentLength(s)
		next := literals[1]
		if last && next == "" {
			return n > 0 && n == len(s)
		}
		if strings.HasPrefix(next, "/") { // the segment ends there, and nowhere before
			return n > 0 && matchTemplate(literals[1:], deep[1:], s[n:])
		}
		for ; n > 0; n-- {
			if matchTemplate(literals[1:], deep[1:], s[n:]) {
				return true
			}
		}
		return false
	}
	n := 0
	for n < len(s) && (s[n] == '/' || isSegmentByte(s[n])) {
		n++
	}
	if last { // the rest must end as the template does
		at := len(s) - len(literals[1])
		return at >= 0 && at <= n && s[at:] == literals[1]
	}
	for ; n >= 0; n-- {
		if matchTemplate(literals[1:], deep[1:], s[n:]) {
			return true
		}
	}
	return false
}

// segmentLength is how far the segment goes at whose beginning s is.
func segmentLength(s string) int {
	n := 0
	for n < len(s) && isSegmentByte(s[n]) {
		n++
	}
	return n
}

// isSegmentByte are the characters that a wildcard stands for: RFC 3986's pchar with the percent sign.
func isSegmentByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || strings.IndexByte("-._~%!$&'()+,;:@=", c) >= 0
}
