package validate

import (
	"strings"
	"testing"

	"github.com/go-inmesh/inmesh/internal/finding"
)

func TestExpression(t *testing.T) {
	for _, tc := range []struct {
		text string
		fine bool
	}{
		{"response.code >= 400", true},
		{`response.code >= 400 && request.url_path != "/x"`, true},
		{"response.code in [500, 503,]", true},
		{"request.headers['x-a'] == 'b'", true},
		{"a ? b : c ? d : e", true},
		{"a ? b", false},
		{"a ? b ? c : d : e", false},
		{"a.b.C{x: 1}", true},
		{"f(){x: 1}", false},
		{"{1: 2}", true},
		{"{1}", false},
		{"f(a, b)", true},
		{"f(a,)", false},
		{"1(2)", false},
		{"a..b", false},
		{"a.true", false},
		{"a.if", true},
		{"if", false},
		{"in", false},
		{"", false},
		{"a b", false},
		{"a &&", false},
		{"a | b", false},
		{"(a", false},
		{"a)", false},
		{"!!a && --1 < 2", true},
		{"!-1", true},
		{"!-a", false},
		{"-!a", false},
		{"a // why", true},
		{"1.5e3 + .5 - 0x1f * 2u", true},
		{"1.2.3", false},
		{"1.", false},
		{"0x", false},
		{`"a\n" + r"\q" + b'x' + br"y" + """c
d"""`, true},
		{`"\q"`, false},
		{`rb"a"`, false},
		{`"a`, false},
		{"'''a", false},
		{"@a", false},
		{strings.Repeat("(", 200) + "a" + strings.Repeat(")", 200), true},
		{strings.Repeat("(", 100000), false},
		{strings.Repeat("[", 100000) + strings.Repeat("]", 100000), false},
		{strings.Repeat("!", 100000) + "a", true},
	} {
		var fs finding.Faults
		expression(&fs, "at", tc.text)
		if (len(fs) == 0) != tc.fine {
			t.Errorf("%.40q: got %.200v, want fine %v", tc.text, fs, tc.fine)
		}
	}
}

func FuzzExpression(f *testing.F) {
	f.Add(`a.b(c)[1] ? "x" : {1: r'y'} in [b"""z"""] // 2`)
	f.Fuzz(func(t *testing.T, s string) {
		var fs finding.Faults
		expression(&fs, "at", s)
		if len(fs) > 0 {
			return
		}
		expression(&fs, "at", "("+s+"\n)")
		if len(fs) > 0 && strings.Count(s, "(")+strings.Count(s, "[")+strings.Count(s, "{")+strings.Count(s, "?") < celDepth-2 {
			t.Errorf("%q is an expression, got %v in parentheses", s, fs)
		}
	})
}
