package structure_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// leftOver is what no file may say: work that is not done, and paths of one machine.
var leftOver = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b|(^|[^\w.-])/(wo` + `rk|t` + `mp|ho` + `me)/`)

func TestNothingIsLeftOver(t *testing.T) {
	eachFile(t, func(path, text string) {
		n := 0
		for line := range strings.Lines(text) {
			if n++; leftOver.MatchString(line) {
				t.Errorf("%s:%d: %s", path, n, strings.TrimSpace(line))
			}
		}
	}, ".go", ".md", ".yaml", ".yml", ".json", "go.mod", "Makefile", ".ci/run")
}

// TestOneIdeaPerFile: a file that is longer has several.
func TestOneIdeaPerFile(t *testing.T) {
	eachFile(t, func(path, text string) {
		if n := strings.Count(text, "\n"); n > 600 {
			t.Errorf("%s has %d lines, expected at most 600", path, n)
		}
	}, ".go")
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinks: what documents point at is there.
func TestLinks(t *testing.T) {
	eachFile(t, func(path, text string) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(filepath.FromSlash(path)), filepath.FromSlash(target))); err != nil {
				t.Errorf("%s points at %s, which is not there", path, target)
			}
		}
	}, ".md")
}

// TestReadme: code by line 20, rules by line 40, the two commands, and every example.
func TestReadme(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for mark, by := range map[string]int{"```go\n": 20, "```yaml\n": 40} {
		before, _, ok := strings.Cut(text, mark)
		if n := strings.Count(before, "\n") + 2; !ok || n > by {
			t.Errorf("%q begins at line %d, expected by line %d", strings.TrimSpace(mark), n, by)
		}
	}
	for _, command := range []string{"go run ./examples/diet", "go test ./..."} {
		if !strings.Contains(text, "\n    "+command) {
			t.Errorf("no command %q", command)
		}
	}
	examples, err := os.ReadDir(filepath.Join(root, "examples"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range examples {
		if e.IsDir() && !strings.Contains(text, "](examples/"+e.Name()+")") {
			t.Errorf("the README does not point at examples/%s", e.Name())
		}
	}
}

func TestExamplesBuild(t *testing.T) {
	cmd := exec.Command("go", "build", "./examples/...")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
