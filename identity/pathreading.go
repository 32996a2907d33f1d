package identity

import "strings"

// otherReading is the path as an application may read it that undoes more than Istio's normalisation does: doubled
// slashes are one, escaped slashes and backslashes separate, what follows a semicolon in a segment or a number sign is
// not part of it, and dot segments that come to light are resolved. It is empty where that is the path itself, as almost
// always. Decoded is true where more was undone than doubled slashes.
//
// A rule that denies holds if either reading is meant, and one that allows only if both are: so no spelling of a path
// slips past a policy, whoever serves it.
func otherReading(p string) (other string, decoded bool) {
	if !ambiguous(p) {
		return "", false
	}
	var segments []string
	for i := 0; i < len(p); {
		j, width := separator(p, i)
		segment := p[i:j]
		if k := strings.IndexByte(segment, ';'); k >= 0 {
			segment, decoded = segment[:k], true
		}
		if k := numberSign(segment); k >= 0 {
			segment, decoded, width, i = segment[:k], true, 0, len(p)
		} else {
			i = j + width
		}
		decoded = decoded || width > 1
		last := i >= len(p)
		if last && width > 0 && j+width == len(p) {
			last = false // the path ends in a slash
		}
		switch segment {
		case "":
		case ".", "..":
			if decoded = true; segment == ".." && len(segments) > 0 {
				segments = segments[:len(segments)-1]
			}
		default:
			segments = append(segments, segment)
		}
		if i >= len(p) && !last && len(segments) > 0 {
			segments = append(segments, "")
		}
	}
	if other = "/" + strings.Join(segments, "/"); other == p {
		return "", false
	}
	return other, decoded
}

// ambiguous tells whether the path has anything that some reader undoes.
func ambiguous(p string) bool {
	for i := range len(p) {
		switch p[i] {
		case '/':
			if i > 0 && p[i-1] == '/' {
				return true
			}
		case ';', '\\':
			return true
		case '%':
			if _, width := separator(p, i); width == 3 {
				return true
			}
			if numberSign(p[i:]) == 0 {
				return true
			}
		}
	}
	return false
}

// separator finds the next slash from i on, plain or escaped, and how many bytes it takes; 0 at the end.
func separator(p string, i int) (at, width int) {
	for ; i < len(p); i++ {
		switch {
		case p[i] == '/' || p[i] == '\\':
			return i, 1
		case p[i] == '%' && i+2 < len(p):
			if code := p[i+1 : i+3]; strings.EqualFold(code, "2f") || strings.EqualFold(code, "5c") {
				return i, 3
			}
		}
	}
	return len(p), 0
}

// numberSign finds an escaped number sign: net/http escapes a fragment that somebody sends.
func numberSign(s string) int { return strings.Index(s, "%23") }
