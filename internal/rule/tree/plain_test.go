package tree

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// samples are documents in many styles; those that end in true are read without the library.
var samples = []struct {
	name, text string
	plain      bool
}{
	{"block", "a: 1\nb:\n  c: x\n  d:\n  - e\n  - f\n", true},
	{"indented list", "a:\n  - b: 1\n    c: 2\n  - d\n", true},
	{"marker and comment", "--- # hello\n# world\na: b # c\n\n# d\nc: d#e\n", true},
	{"quotes", "a: 'b: c'\n\"d e\": \"f # g\" # h\n", true},
	{"flow", "a: {b: [c, 1, {d: \"e, f\"}], g: []}\nh: {}\n", true},
	{"null", "a:\nb: ~\nc:\n- \n-\nd:\n", true},
	{"list at root", "- a: b\n  c: d\n- e\n", true},
	{"dash alone", "a:\n-\n  b: c\n-\n  - d\n", true},
	{"utf-8 in a comment", "a: b # größer — “x”\n# ü\n", true},
	{"yaml 1.1", "a: on\nb: 010\nc: 0x1F\nd: 1_000\ne: 2020-01-01\n8080: y\non: off\n", true},
	{"colon in value", "a: http://x:80/y\n", true},
	{"no newline at the end", "a: b", true},
	{"empty", "--- # x\n\n# y\n", true},
	{"comments", "# x\n  # y", true},
	{"nothing", "", true},
	{"blank in flow scalar", "a: {b: c d}\n", false},
	{"continued", "a: b\n  c\n", false},
	{"continued in list", "- b\n c\n", false},
	{"literal", "a: |\n  b\n  c\n", false},
	{"anchor", "a: &x {b: c}\nd: *x\n", false},
	{"merge", "a: &x {b: c, e: f}\nd:\n  <<: *x\n  b: g\n", false},
	{"escapes", "a: \"b\\n\"\nc: 'd''e'\n", false},
	{"utf-8", "a: größer\n", false},
	{"windows", "a: b\r\nc:\r\n- d\r\n", false},
	{"flow over lines", "a: [b,\n  c]\n", false},
	{"tag", "a: !!str 1\nb: !!int \"2\"\nc: !x y\n", false},
	{"nested dashes", "- - a\n  - b\n", false},
	{"wrong indent", "a:\n    b: c\n  d: e\n", false},
	{"list under a value", "a: b\n- c\n", false},
	{"mapping in a value", "a: b: c\n", false},
	{"tab", "a:\n\tb: c\n", false},
	{"next to another", "a: \"b\"c\n", false},
	{"complex key", "? a\n: b\n", false},
	{"line separator", "a: b # c\u2028d: e\n", false},
	{"bad utf-8", "a: b # \xff\n", false},
	{"control", "a: b # \x01\n", false},
	{"directive", "%YAML 1.1\n---\na: b\n", false},
	{"end marker", "a: b\n...\n", false},
}

func TestPlainReader(t *testing.T) {
	for _, test := range samples {
		t.Run(test.name, func(t *testing.T) {
			if ok := comparePlain(t, test.text); ok != test.plain {
				t.Errorf("read without the library: %t, want %t", ok, test.plain)
			}
		})
	}
}

// comparePlain holds plainReader against the library.
func comparePlain(t *testing.T, text string) bool {
	p := part{[]byte(text), 2}
	got, ok := new(plainReader).read(p)
	if !ok {
		return false
	}
	want, err := readYAML(p)
	if err != nil {
		t.Fatalf("read %q, the library says %v", text, err)
	}
	if d := cmp.Diff(unplaced(want), unplaced(got)); d != "" {
		t.Fatalf("%q: -library +got\n%s", text, d)
	}
	return true
}

// unplaced forgets where nulls stand: the library puts those without text at whatever comes next.
func unplaced(n Node) Node {
	if n.Kind == Null {
		n.Line, n.Column = 0, 0
	}
	n.Kids = append([]Kid(nil), n.Kids...)
	for i := range n.Kids {
		k := &n.Kids[i]
		k.Value = unplaced(k.Value)
		if k.Key == "" && k.Value.Kind == Null {
			k.Line, k.Column = 0, 0
		}
	}
	return n
}

func FuzzPlainReader(f *testing.F) {
	for _, s := range samples {
		f.Add(s.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range split([]byte(text)) {
			comparePlain(t, string(p.text))
		}
	})
}
