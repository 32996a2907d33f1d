package route

import (
	"net/url"
	"strings"
)

// SetPath puts an escaped path, such as [Route.Path] gives, into the URL so that it goes out as it is.
func SetPath(u *url.URL, escaped string) {
	path, err := url.PathUnescape(escaped)
	if err != nil {
		path = escaped // a stray percent sign: it will go out escaped
	}
	u.Path, u.RawPath = path, escaped
}

// escapedPath is the URL's path as it goes over the wire, normalised.
func escapedPath(u *url.URL) string {
	if u.RawPath == "" && isPlain(u.Path) {
		return u.Path
	}
	p := u.EscapedPath()
	if u.RawPath != "" && p != u.RawPath && strings.IndexByte(u.RawPath, '\\') >= 0 {
		// A server was sent a backslash: browsers and Envoy take it for a slash.
		if s, err := url.PathUnescape(u.RawPath); err == nil && s == u.Path {
			p = u.RawPath
		}
	}
	if p == "" {
		return "/"
	}
	return normalizePath(p)
}

// isPlain tells whether the path goes over the wire as it is and is normal: it has only letters, digits and
// -_.~$&+,/:;=@, and no segment begins with a dot. Almost all paths are so.
func isPlain(p string) bool {
	const low, high = 0x2ffff85000000000, 0x47fffffe87ffffff // the bits of the characters below 64 and from there to 127
	if p == "" || p[0] != '/' {
		return false
	}
	for i := range len(p) {
		c := p[i]
		bits := uint64(low)
		if c >= 64 {
			bits = high
		}
		if c >= 128 || bits>>(c&63)&1 == 0 || c == '.' && p[i-1] == '/' {
			return false
		}
	}
	return true
}

// normalizePath does what Envoy's normalize_path does, Istio's default (BASE): dot segments, also escaped ones,
// are resolved; escapes of letters, digits, ".", "-", "_" and "~" are undone and other escapes stay as written;
// a backslash becomes a slash; doubled slashes stay. A path that does not begin with a slash is left alone.
//
// See https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto
// (normalize_path) and meshConfig.pathNormalization.
func normalizePath(p string) string {
	if p == "" || p[0] != '/' || isNormal(p) {
		return p
	}
	out := make([]byte, 0, len(p))
	for i := 0; i < len(p); {
		if n := dotAt(p, i); n > 0 {
			next, up, segment := afterDot(p, i+n)
			switch {
			case !segment || out[len(out)-1] != '/':
				out = append(out, '.')
				i += n
				continue
			case up:
				out = parent(out)
			}
			i = next
			continue
		}
		switch c := p[i]; {
		case c == '\\':
			out = append(out, '/')
			i++
		case c == '%' && i+2 < len(p) && isHex(p[i+1]) && isHex(p[i+2]):
			if v := unhex(p[i+1])<<4 | unhex(p[i+2]); isUnreserved(v) {
				out = append(out, v)
			} else {
				out = append(out, p[i:i+3]...)
			}
			i += 3
		case mustEscape(c):
			const hex = "0123456789ABCDEF"
			out = append(out, '%', hex[c>>4], hex[c&15])
			i++
		default:
			out = append(out, c)
			i++
		}
	}
	return string(out)
}

// isNormal tells whether the path can stay as it is; almost all can.
func isNormal(p string) bool {
	for i := range len(p) {
		if c := p[i]; c == '%' || c == '\\' || c == '.' && p[i-1] == '/' || mustEscape(c) {
			return false
		}
	}
	return true
}

// dotAt is the length of the dot at i, "." or "%2e"; 0 where there is none.
func dotAt(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '.':
		return 1
	case i+2 < len(s) && s[i] == '%' && s[i+1] == '2' && s[i+2]|0x20 == 'e':
		return 3
	}
	return 0
}

// afterDot looks past a segment's first dot: next is where the following segment begins, up tells "..", and
// segment is false where the dots begin an ordinary name.
func afterDot(s string, i int) (next int, up, segment bool) {
	if n := dotAt(s, i); n > 0 {
		i, up = i+n, true
	}
	switch {
	case i == len(s):
		return i, up, true
	case s[i] == '/' || s[i] == '\\':
		return i + 1, up, true
	}
	return 0, false, false
}

// parent cuts the last segment of a path that ends in a slash; the root stays the root.
func parent(out []byte) []byte {
	for i := len(out) - 2; i >= 0; i-- {
		if out[i] == '/' {
			return out[:i+1]
		}
	}
	return out[:1]
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// isUnreserved are the characters whose escapes mean nothing; a dot's is undone by dotAt.
func isUnreserved(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '-' || c == '_' || c == '~'
}

// mustEscape are the characters that may not stand in a path as they are.
func mustEscape(c byte) bool {
	switch c {
	case ' ', '"', '#', '<', '>', '?', '^', '`', '{', '|', '}':
		return true
	}
	return c < ' ' || c >= 0x7f
}
