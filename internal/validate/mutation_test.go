package validate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"sigs.k8s.io/yaml"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// TestMutations holds our verdicts against Istio's, as they were recorded: each line of the table changes one thing
// of a document that is valid.
func TestMutations(t *testing.T) {
	bases := baseDocuments(t)
	table, err := os.ReadFile(filepath.Join("testdata", "mutations.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimRight(string(table), "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		col := strings.Split(line, "\t")
		if len(col) != 5 {
			t.Fatalf("line %d: %d columns, want 5", i+1, len(col))
		}
		n, err := strconv.Atoi(col[0])
		if err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		got := judge(t, mutate(t, bases[n], col[1], col[2]))
		verdict, first := "accept", ""
		for _, f := range got {
			if f.Severity == finding.Error {
				verdict, first = "reject", f.Path
				break
			}
			if verdict == "accept" {
				verdict, first = "warn", f.Path
			}
		}
		want := strings.Replace(col[3], "note", "warn", 1)
		if verdict != want || first != col[4] {
			t.Errorf("line %d: %s %s: got %s at %q, want %s at %q: %v", i+1, col[1], col[2], verdict, first, want, col[4], got)
		}
		for _, f := range got {
			checkStyle(t, f)
		}
	}
}

// baseDocuments are the documents that the table changes.
func baseDocuments(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "bases.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, doc := range strings.Split(string(data), "\n---\n") {
		if got := judge(t, []byte(doc)); finding.HasErrors(got) {
			t.Errorf("document %d: got %v, want no errors", len(out), got)
		}
		out = append(out, doc)
	}
	return out
}

// judge reads the one object of a text and judges it.
func judge(t *testing.T, data []byte) []finding.Finding {
	t.Helper()
	objects, out := rule.Parse("rules.yaml", data)
	if len(objects) != 1 {
		t.Fatalf("got %d objects, want 1: %v\n%s", len(objects), out, data)
	}
	return append(out, Object(objects[0])...)
}

func mutate(t *testing.T, doc, path, op string) []byte {
	t.Helper()
	var o map[string]any
	if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
		t.Fatal(err)
	}
	var do func(any, []string) any
	do = func(at any, path []string) any {
		switch at := at.(type) {
		case map[string]any:
			key := path[0]
			if len(path) > 1 {
				at[key] = do(at[key], path[1:])
			} else if v, ok := changed(t, at[key], op); ok {
				at[key] = v
			} else {
				delete(at, key)
			}
			return at
		case []any:
			i, err := strconv.Atoi(path[0])
			if err != nil {
				t.Fatal(err)
			}
			if len(path) > 1 {
				at[i] = do(at[i], path[1:])
			} else if v, ok := changed(t, at[i], op); ok {
				at[i] = v
			} else {
				return append(at[:i:i], at[i+1:]...)
			}
			return at
		}
		t.Fatalf("nothing at %v", path)
		return nil
	}
	o["spec"] = do(o["spec"], splitPath(o["spec"], path))
	out, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// splitPath divides a path whose keys may hold slashes themselves.
func splitPath(at any, path string) []string {
	if m, ok := at.(map[string]any); ok {
		for key, v := range m {
			if rest, ok := strings.CutPrefix(path, key); ok && (rest == "" || rest[0] == '/') {
				if rest == "" {
					return []string{key}
				}
				if sub := splitPath(v, rest[1:]); sub != nil {
					return append([]string{key}, sub...)
				}
			}
		}
		return nil
	}
	list, _ := at.([]any)
	first, rest, more := strings.Cut(path, "/")
	i, err := strconv.Atoi(first)
	if err != nil || i >= len(list) {
		return nil
	}
	if !more {
		return []string{first}
	}
	if sub := splitPath(list[i], rest); sub != nil {
		return append([]string{first}, sub...)
	}
	return nil
}

// changed does to a value what the table says; false means that it goes.
func changed(t *testing.T, v any, op string) (any, bool) {
	t.Helper()
	if text, ok := strings.CutPrefix(op, "set "); ok {
		var out any
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			t.Fatal(err)
		}
		return out, true
	}
	list, _ := v.([]any)
	switch op {
	case "twice":
		return append(list[:len(list):len(list)], list...), true
	case "nullfirst":
		return append([]any{nil}, list...), true
	case "nulllast":
		return append(list[:len(list):len(list)], nil), true
	}
	return nil, false
}

// checkStyle wants messages as the house writes them, and places that can be looked up.
func checkStyle(t *testing.T, f finding.Finding) {
	t.Helper()
	// A value of an enum may come first, as it is written in the rules.
	if word, _, _ := strings.Cut(f.Message, " "); unicode.IsUpper(rune(word[0])) && word != strings.ToUpper(word) {
		t.Errorf("%q begins in upper case", f.Message)
	}
	if strings.HasSuffix(f.Message, ".") || strings.Contains(f.Message, "\n") || strings.Contains(f.Message, "%!") {
		t.Errorf("%q is not one line without full stop", f.Message)
	}
	if f.Line == 0 || f.File != "rules.yaml" {
		t.Errorf("%v has no place", f)
	}
	if f.Code == "" || f.Path == "" {
		t.Errorf("%v has no code or path", f)
	}
}
