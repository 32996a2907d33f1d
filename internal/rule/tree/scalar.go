package tree

import (
	"math"
	"strconv"
	"strings"
)

// resolve settles what a plain scalar means. It follows YAML 1.1 as the library does that Kubernetes uses:
// see resolve.go of https://github.com/yaml/go-yaml/tree/v2.4.4. Timestamps stay strings, as they do there.
func resolve(s string) Kind {
	if s == "" {
		return Null
	}
	switch c := s[0]; {
	case c >= '0' && c <= '9', c == '+', c == '-', c == '.':
		return number(s)
	case strings.IndexByte("~yYnNtTfFoO", c) < 0 || len(s) > 5:
		return String
	}
	switch s {
	case "~", "null", "Null", "NULL":
		return Null
	case "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE",
		"n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE":
		return Bool
	}
	return String
}

// number tells whether text that begins like a number is one.
func number(s string) Kind {
	switch s {
	case ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF":
		return Float
	}
	if s[0] == '.' { // here the library takes whatever Go takes
		if _, err := strconv.ParseFloat(s, 64); err == nil {
			return Float
		}
		return String
	}
	if n := digits(s); n == len(s) && n < 19 && s[0] != '0' || s == "0" {
		return Int
	}
	if strings.Trim(s, "0123456789+-._aAbBcCdDeEfFxXoO") != "" {
		return String // no number has another letter; it may still have one within
	}
	plain := strings.ReplaceAll(s, "_", "")
	if _, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return Int
	}
	if _, err := strconv.ParseUint(plain, 0, 64); err == nil {
		return Int
	}
	if isFloat(plain) {
		if _, err := strconv.ParseFloat(plain, 64); err == nil {
			return Float
		}
	}
	return String
}

// isFloat tells whether the text is [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
func isFloat(s string) bool {
	s = strings.TrimLeft(s[:min(1, len(s))], "+-") + s[min(1, len(s)):]
	whole := digits(s)
	s = s[whole:]
	if strings.HasPrefix(s, ".") {
		part := digits(s[1:])
		if whole+part == 0 {
			return false
		}
		s = s[1+part:]
	} else if whole == 0 {
		return false
	}
	if s == "" {
		return true
	}
	if s[0] != 'e' && s[0] != 'E' {
		return false
	}
	if s = s[1:]; s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	return s != "" && digits(s) == len(s)
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// Bool is the value of a Bool node.
func (n *Node) Bool() bool {
	switch n.Text[0] {
	case 'y', 'Y', 't', 'T':
		return true
	case 'o', 'O':
		return len(n.Text) == 2 // on, not off
	}
	return false
}

// Int is the value of an Int, or of a Float without a fraction: 80.0 is 80. It is not ok outside int64.
func (n *Node) Int() (v int64, ok bool) {
	switch n.Kind {
	case Int:
		v, err := strconv.ParseInt(strings.ReplaceAll(n.Text, "_", ""), 0, 64)
		return v, err == nil
	case Float:
		f := n.Float()
		return int64(f), f == math.Trunc(f) && math.Abs(f) < 1<<62
	}
	return 0, false
}

// Uint is like Int, for uint64.
func (n *Node) Uint() (v uint64, ok bool) {
	if n.Kind == Int {
		v, err := strconv.ParseUint(strings.TrimPrefix(strings.ReplaceAll(n.Text, "_", ""), "+"), 0, 64)
		return v, err == nil
	}
	i, ok := n.Int()
	return uint64(i), ok && i >= 0
}

// Float is the value of an Int or a Float.
func (n *Node) Float() float64 {
	switch strings.ToLower(n.Text) {
	case ".nan":
		return math.NaN()
	case ".inf", "+.inf":
		return math.Inf(1)
	case "-.inf":
		return math.Inf(-1)
	}
	plain := strings.ReplaceAll(n.Text, "_", "")
	if n.Kind == Int {
		if i, err := strconv.ParseInt(plain, 0, 64); err == nil {
			return float64(i)
		}
		if u, err := strconv.ParseUint(plain, 0, 64); err == nil {
			return float64(u)
		}
	}
	f, _ := strconv.ParseFloat(plain, 64)
	return f
}

// key is the string that a scalar becomes as the key of a mapping; not ok for null.
func key(kind Kind, text string) (string, bool) {
	n := Node{Kind: kind, Text: text}
	switch kind {
	case String:
		return text, true
	case Bool:
		return strconv.FormatBool(n.Bool()), true
	case Int:
		if i, ok := n.Int(); ok {
			return strconv.FormatInt(i, 10), true
		}
		u, _ := n.Uint()
		return strconv.FormatUint(u, 10), true
	case Float:
		switch f := n.Float(); {
		case math.IsInf(f, 1):
			return ".inf", true
		case math.IsInf(f, -1):
			return "-.inf", true
		case math.IsNaN(f):
			return ".nan", true
		default:
			return strconv.FormatFloat(f, 'g', -1, 32), true
		}
	}
	return "", false
}
