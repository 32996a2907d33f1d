package structure_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// linked are the modules that the mesh links, its own left out.
func linked(t *testing.T) []string {
	t.Helper()
	all, err := list("./mesh")
	if err != nil {
		t.Fatal(err)
	}
	modules := map[string]bool{}
	for _, p := range all {
		if p.Module != nil && p.Module.Path != module {
			modules[p.Module.Path] = true
		}
	}
	return slices.Sorted(maps.Keys(modules))
}

// TestNothingHeavyIsLinked names what must never come back.
func TestNothingHeavyIsLinked(t *testing.T) {
	for _, m := range linked(t) {
		for _, heavy := range []string{"google.golang.org/grpc", "k8s.io/", "sigs.k8s.io/", "istio.io/istio", "istio.io/client-go", "connectrpc.com/"} {
			if m == strings.TrimSuffix(heavy, "/") || strings.HasPrefix(m, strings.TrimSuffix(heavy, "/")+"/") {
				t.Errorf("mesh links %s", m)
			}
		}
	}
}

var moduleName = regexp.MustCompile(`[a-z0-9-]+(?:\.[a-z0-9-]+)+/[\w./-]+`)

// TestDependenciesAreWrittenDown: what is linked is what the decision record names, each with its job and weight.
func TestDependenciesAreWrittenDown(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "adr", "0001-dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	decision, _, _ := strings.Cut(string(text), "## Turned down")
	var written []string
	for line := range strings.Lines(decision) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for i, c := range cells[1 : len(cells)-1] {
				if strings.TrimSpace(c) == "" {
					t.Errorf("%s: column %d is empty", strings.TrimSpace(line), i+1)
				}
			}
			written = append(written, moduleName.FindAllString(cells[1], -1)...)
		}
	}
	slices.Sort(written)
	if diff := cmp.Diff(linked(t), written); diff != "" {
		t.Errorf("docs/adr/0001-dependencies.md (-linked +written):\n%s", diff)
	}
}
