package validate

import (
	"slices"
	"strings"
)

type celKind byte

const (
	celPunct celKind = iota
	celName
	celNumber
	celText
)

// celToken measures the first token: -1 if there is none, 0 at the end.
func celToken(s string) (int, celKind) {
	if s == "" {
		return 0, celPunct
	}
	if n := celString(s); n != 0 {
		return n, celText
	}
	c := s[0]
	switch digit := c >= '0' && c <= '9'; {
	case digit || c == '.' && len(s) > 1 && s[1] >= '0' && s[1] <= '9':
		return celNumberLen(s), celNumber
	case alnum(c) || c == '_':
		n := 1
		for n < len(s) && (alnum(s[n]) || s[n] == '_') {
			n++
		}
		return n, celName
	}
	if len(s) > 1 && slices.Contains([]string{"==", "!=", "<=", ">=", "&&", "||"}, s[:2]) {
		return 2, celPunct
	}
	if strings.IndexByte("()[]{}.,:?!-+*/%<>", c) >= 0 {
		return 1, celPunct
	}
	return -1, celPunct
}

// celNumberLen measures a number: 12, 0x1f, 12u, 1.5, .5e3.
func celNumberLen(s string) int {
	digits := func(i int, hex bool) int {
		for i < len(s) && (s[i] >= '0' && s[i] <= '9' || hex && alnum(s[i]) && s[i]|0x20 <= 'f') {
			i++
		}
		return i
	}
	float := false
	n := digits(0, false)
	if n == 1 && s[0] == '0' && len(s) > 2 && s[1] == 'x' && digits(2, true) > 2 {
		n = digits(2, true)
	} else {
		if n+1 < len(s) && s[n] == '.' && digits(n+1, false) > n+1 {
			n, float = digits(n+1, false), true
		}
		if n < len(s) && s[n]|0x20 == 'e' {
			e := n + 1
			if e < len(s) && (s[e] == '+' || s[e] == '-') {
				e++
			}
			if digits(e, false) > e {
				n, float = digits(e, false), true
			}
		}
	}
	if !float && n < len(s) && s[n]|0x20 == 'u' {
		n++
	}
	return n
}

// celString measures a text in quotes, perhaps raw or of bytes: 0 if there is none, -1 if it has no end.
func celString(s string) int {
	i := 0
	if s[0]|0x20 == 'b' {
		i++
	}
	raw := i < len(s) && s[i]|0x20 == 'r'
	if raw {
		i++
	}
	if i >= len(s) || s[i] != '"' && s[i] != '\'' {
		return 0
	}
	quote := s[i : i+1]
	if q := strings.Repeat(quote, 3); strings.HasPrefix(s[i:], q) {
		quote = q
	}
	for i += len(quote); i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], quote):
			return i + len(quote)
		case len(quote) == 1 && (s[i] == '\n' || s[i] == '\r'):
			return -1
		case s[i] == '\\' && !raw:
			if i++; i < len(s) && strings.IndexByte(`abfnrtv\'"`+"`?xXuU01234567", s[i]) < 0 {
				return -1
			}
		}
	}
	return -1
}
