package tree

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// outline shows a tree in one line: {a@1:1: b@1:4}.
func outline(n *Node) string {
	at := fmt.Sprintf("@%d:%d", n.Line, n.Column)
	var parts []string
	for i := range n.Kids {
		k := &n.Kids[i]
		s := outline(&k.Value)
		if n.Kind == Map {
			s = fmt.Sprintf("%s@%d:%d %s", k.Key, k.Line, k.Column, s)
		}
		parts = append(parts, s)
	}
	switch n.Kind {
	case Map:
		return "{" + strings.Join(parts, ", ") + "}" + at
	case List:
		return "[" + strings.Join(parts, ", ") + "]" + at
	case Null:
		return "null"
	}
	return fmt.Sprintf("%s(%s)%s", strings.TrimPrefix(n.Kind.String(), "a "), n.Text, at)
}

func TestRead(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // per document: the outline, or the error
	}{
		{"documents", "a: b\n---\nc: d\n", []string{"{a@1:1 string(b)@1:4}@1:1", "{c@3:1 string(d)@3:4}@3:1"}},
		{"empty documents", "---\n# nothing\n---\n\n---\na: b\n---\n", []string{"{a@6:1 string(b)@6:4}@6:1"}},
		{"marker with content", "--- {a: b}\n--- # x\nc: d", []string{"{a@1:6 string(b)@1:9}@1:5", "{c@3:1 string(d)@3:4}@3:1"}},
		{"end marker and directive", "a: b\n...\n%YAML 1.1\n---\nc: d\n...\n", []string{"{a@1:1 string(b)@1:4}@1:1", "{c@5:1 string(d)@5:4}@5:1"}},
		{"no marker", "a: b\n--- x\nc: d\n---x: y\n", []string{"{a@1:1 string(b)@1:4}@1:1", "3:1: a colon that no key can have here: wrong indentation, or a value with a colon that is not quoted"}},
		{"dashes in block text", "a: |\n  ---\n  b\n---\nc: d\n", []string{"{a@1:1 string(---\nb\n)@1:4}@1:1", "{c@5:1 string(d)@5:4}@5:1"}},
		{"a broken document", "a: b\n---\nc: [\n---\nd: e\n", []string{"{a@1:1 string(b)@1:4}@1:1", "3:1: the document ends where a value is expected", "{d@5:1 string(e)@5:4}@5:1"}},
		{"windows", "a: b\r\n---\r\nc:\r\n  - d\r\n", []string{"{a@1:1 string(b)@1:4}@1:1", "{c@3:1 [string(d)@4:5]@4:3}@3:1"}},
		{"byte order mark", "\ufeffa: b\n", []string{"{a@1:1 string(b)@1:4}@1:1"}},
		{"utf-16", "\xff\xfea\x00", []string{"1:1: the text is UTF-16, expected UTF-8"}},
		{"not utf-8", "a: b\n---\nc: x\xffy\n---\nd: e\n", []string{"{a@1:1 string(b)@1:4}@1:1", "3:5: byte 0xff is not UTF-8", "{d@5:1 string(e)@5:4}@5:1"}},
		{"columns are characters", "ä: {ö: ü}\n", []string{"{ä@1:1 {ö@1:5 string(ü)@1:8}@1:4}@1:1"}},
		{"tab", "a:\n\tb: c\n", []string{"2:1: a tab indents this line, expected spaces"}},
		{"template", "a: b\nc: {{ .Values.c }}\n", []string{"2:5: a key that is a mapping, expected a string: is it a template that is not filled in?"}},
		{"alias", "a: &x {b: c}\nd: *x\n", []string{"{a@1:1 {b@1:8 string(c)@1:11}@1:4, d@2:1 {b@1:8 string(c)@1:11}@2:4}@1:1"}},
		{"merge", "a: &x {b: c, d: e}\nf:\n  b: g\n  <<: *x\n", []string{"{a@1:1 {b@1:8 string(c)@1:11, d@1:14 string(e)@1:17}@1:4, f@2:1 {b@3:3 string(g)@3:6, d@1:14 string(e)@1:17}@3:3}@1:1"}},
		{"merge list", "<<: [{a: 1}, {a: 2, b: 3}]\n", []string{"{a@1:7 number(1)@1:10, b@1:21 number(3)@1:24}@1:1"}},
		{"merge scalar", "<<: a\n", []string{"1:1: a merge key (<<) with a string, expected a mapping"}},
		{"quoted merge", "\"<<\": a\n", []string{"{<<@1:1 string(a)@1:7}@1:1"}},
		{"cycle", "a: &x\n  b: *x\n", []string{"2:6: the alias *x stands within its own anchor"}},
		{"no anchor", "a: 1\nb: *x\n", []string{"2:1: the alias *x has no anchor before it"}},
		{"tags", "a: !!str 1\nb: !!int \"2\"\nc: !!binary aGk=\nd: !!float 3\ne: !mine 4\n", []string{"{a@1:1 string(1)@1:4, b@2:1 number(2)@2:4, c@3:1 string(hi)@3:4, d@4:1 number(3)@4:4, e@5:1 string(4)@5:4}@1:1"}},
		{"wrong tag", "a: !!int b\n", []string{`1:4: "b" is not what the tag !!int says`}},
		{"null key", "~: a\n", []string{"1:1: a key that is null, expected a string"}},
		{"json", "{\"a\": [1, true, null],\n \"b\" : \"\\u00e4\\/\"}", []string{"{a@1:2 [number(1)@1:8, boolean(true)@1:11, null]@1:7, b@2:2 string(ä/)@2:8}@1:1"}},
		{"json values", "{\"a\":\t1}\n{\"b\":2}\n", []string{"{a@1:2 number(1)@1:7}@1:1", "{b@2:2 number(2)@2:6}@2:1"}},
		{"json string of digits", "{\"a\": \"1\", \"on\": \"on\"}", []string{"{a@1:2 string(1)@1:7, on@1:12 string(on)@1:18}@1:1"}},
		{"broken json", "{\"a\": 1,\n\"b\" 2}", []string{"2:5: not JSON: invalid character '2' after object key"}},
		{"cut json", "{\"a\": 1,\n", []string{"2:1: the text ends within a JSON value"}},
		{"yaml like json", "{\"a\": b}", []string{"{a@1:2 string(b)@1:7}@1:1"}},
		{"deep json", strings.Repeat("[", 200) + strings.Repeat("]", 200), []string{"1:102: nested deeper than 100 levels"}},
		{"deep yaml", "a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), []string{"1:104: nested deeper than 100 levels"}},
		{"very deep yaml", strings.Repeat("[", 20_000), []string{"1:102: nested deeper than 100 levels"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, doc := range Read([]byte(test.text)) {
				if doc.Err != nil {
					got = append(got, doc.Err.Error())
				} else {
					got = append(got, outline(&doc.Root))
				}
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

func TestReadIsBounded(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 30; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [*a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d]\n", i, i, i-1)
	}
	merges := "a0: &a0 {x: 1}\n"
	for i := 1; i < 200; i++ {
		merges += fmt.Sprintf("a%d: &a%d {<<: *a%d, k%d: 1}\n", i, i, i-1, i)
	}
	tests := []struct {
		name, text string
		fails      bool
	}{
		{"alias bomb", bomb, true},
		{"merges", merges, false},
		{"comments", strings.Repeat("# x\n", 1<<18), false},
		{"markers", strings.Repeat("---\n", 1<<18), false},
		{"open brackets", strings.Repeat("[", 1<<20), true},
		{"open braces", strings.Repeat("{", 1<<20), true},
		{"dashes", strings.Repeat("- ", 1<<18), true},
		{"one large document", "a:\n" + strings.Repeat("- {b: c, d: [e, f]}\n", 1<<15), false},
		{"large text", "a: |\n" + strings.Repeat("  lorem ipsum dolor\n", 1<<15), false},
		{"many keys", "a:\n" + manyKeys(1<<15), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			begin := time.Now()
			failed := false
			for _, doc := range Read([]byte(test.text)) {
				failed = failed || doc.Err != nil
			}
			if failed != test.fails {
				t.Errorf("failed: %t, want %t", failed, test.fails)
			}
			if d := time.Since(begin); d > 20*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  k%d: v\n", i)
	}
	return b.String()
}

func TestResolve(t *testing.T) {
	tests := []struct {
		text string
		want Kind
		key  string
	}{
		{"", Null, ""}, {"~", Null, ""}, {"null", Null, ""}, {"nULL", String, "nULL"},
		{"true", Bool, "true"}, {"on", Bool, "true"}, {"y", Bool, "true"}, {"OFF", Bool, "false"}, {"No", Bool, "false"},
		{"0", Int, "0"}, {"-1", Int, "-1"}, {"+1", Int, "1"}, {"010", Int, "8"}, {"0o10", Int, "8"}, {"0x50", Int, "80"},
		{"0b11", Int, "3"}, {"1_000", Int, "1000"}, {"18446744073709551615", Int, "18446744073709551615"},
		{"99999999999999999999", Float, "1e+20"}, {"09", Float, "9"},
		{"1.0", Float, "1"}, {"1e3", Float, "1000"}, {".5", Float, "0.5"}, {"1.", Float, "1"}, {".inf", Float, ".inf"}, {"-.INF", Float, "-.inf"},
		{"1.2.3", String, "1.2.3"}, {"5s", String, "5s"}, {"5xx", String, "5xx"}, {"1:30", String, "1:30"}, {"2026-01-01", String, "2026-01-01"},
		{".", String, "."}, {"-", String, "-"}, {"v1", String, "v1"}, {"0x", String, "0x"}, {"e1", String, "e1"},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			got := resolve(test.text)
			if got != test.want {
				t.Errorf("kind %d, want %d", got, test.want)
			}
			if k, _ := key(got, test.text); k != test.key {
				t.Errorf("as a key %q, want %q", k, test.key)
			}
		})
	}
}
