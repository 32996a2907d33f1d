package analyze_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what is said of the examples into docs/findings.md")

const page = "../../docs/findings.md"

// TestDocs takes every example of docs/findings.md for what it is: rules, of which the library says the text beneath.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)^([A-Z0-9]+): .*?\n```yaml\n(.*?)```\n\n```text\n(.*?)```\n$")
	sections := strings.Split(string(text), "\n## ")
	for i, section := range sections {
		parts := example.FindStringSubmatch(section)
		if parts == nil {
			continue
		}
		said := ""
		for _, f := range check(t, parts[2]) {
			if f.Code == parts[1] {
				said += f.String() + "\n"
			}
		}
		if said == "" {
			t.Errorf("%s is not said of its example: %v", parts[1], check(t, parts[2]))
		}
		head, _, _ := strings.Cut(section, "```text\n")
		sections[i] = head + "```text\n" + said + "```\n"
	}
	want := strings.Join(sections, "\n## ")
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("docs/findings.md is not what is said, run go test ./internal/analyze -update:\n%s", diff)
	}
}

// TestCodes compares the page with the codes that there are: our own constants, and Istio's in the sources.
func TestCodes(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^## ([A-Z0-9]+):`).FindAllStringSubmatch(string(text), -1) {
		got = append(got, m[1])
	}
	codes := map[string]bool{}
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING && regexp.MustCompile(`^"(IST|MESH)\d{4}"$`).MatchString(s.Value) {
				codes[strings.Trim(s.Value, `"`)] = true
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := slices.SortedFunc(maps.Keys(codes), func(a, b string) int { return strings.Compare(b[:1]+a, a[:1]+b) }) // MESH before IST
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/findings.md does not have the codes of the sources, in order (-sources +page):\n%s", diff)
	}
}
