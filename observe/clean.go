package observe

import (
	"strings"
	"unicode/utf8"
)

// maxLabel bounds a label value; a host name has 253 characters at most.
const maxLabel = 256

// clean makes a label value of s: valid UTF-8, no control characters, not too long, and never empty, for
// Prometheus drops an empty label and Kiali the series with it.
func clean(s string) string {
	if s == "" {
		return unknown
	}
	s = printable(s[:min(len(s), maxLabel+utf8.UTFMax)]) // which may make it longer
	if len(s) <= maxLabel {
		return s
	}
	end := maxLabel
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// printable replaces what would break a line or an encoding: control characters become an underscore,
// invalid UTF-8 the replacement character.
func printable(s string) string {
	ok := true
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f {
			ok = false
			break
		}
	}
	if ok {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return '_'
		}
		return r
	}, s)
}
