package route

import (
	"fmt"
	"regexp"

	networking "istio.io/api/networking/v1"
)

// rewrite changes the path that goes upstream. The zero value changes nothing.
type rewrite struct {
	uri string
	re  *regexp.Regexp
	to  []byte // the substitution in Go's form
}

func newRewrite(r *networking.HTTPRewrite) (rewrite, error) {
	var out rewrite
	rx := r.GetUriRegexRewrite()
	if rx == nil {
		out.uri = r.GetUri()
		return out, nil
	}
	re, err := regexp.Compile(rx.Match)
	if err != nil {
		return out, fieldError("rewrite.uriRegexRewrite.match", err)
	}
	to, err := substitution(rx.Rewrite)
	if err != nil {
		return out, fieldError("rewrite.uriRegexRewrite.rewrite", err)
	}
	out.re, out.to = re, to
	return out, nil
}

// substitution turns RE2's form, \0 to \9 and \\, into Go's. A group that the match does not have stands for
// nothing.
func substitution(s string) ([]byte, error) {
	var out []byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '$':
			out = append(out, "$$"...)
		case c != '\\':
			out = append(out, c)
		case i+1 == len(s):
			return nil, fmt.Errorf(`%q ends in a single \: want \\ for the sign itself`, s)
		case s[i+1] == '\\':
			out = append(out, '\\')
			i++
		case '0' <= s[i+1] && s[i+1] <= '9':
			out = append(out, '$', '{', s[i+1], '}')
			i++
		default:
			return nil, fmt.Errorf(`%q: \%c, want \0 to \9 or \\`, s, s[i+1])
		}
	}
	return out, nil
}

// path is the rewritten path; uri is the condition that the request's path met.
func (r *rewrite) path(path string, uri *text) (string, bool) {
	switch {
	case r.re != nil:
		return string(r.re.ReplaceAll([]byte(path), r.to)), true
	case r.uri != "":
		return swapMatched(path, uri, r.uri), true
	}
	return path, false
}

// swapMatched puts with in the place of what the rule's uri matched: the prefix, or else the whole path.
func swapMatched(path string, uri *text, with string) string {
	if n, ok := uri.prefixLen(); ok && n <= len(path) {
		return with + path[n:]
	}
	return with
}

// prefixLen is the length of the rule's prefix; false where the rule has another kind of match. A regex that
// was compiled to a prefix is still a regex.
func (t *text) prefixLen() (int, bool) {
	if t.op != prefix || t.src.GetRegex() != "" {
		return 0, false
	}
	return len(t.arg), true
}
