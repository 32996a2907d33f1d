package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-inmesh/inmesh/mesh"
)

// steps are the files that stand for each other: the walk applies one after another.
var steps = []string{"alphabet-service-delay.yaml", "alphabet-service-fault.yaml", "alphabet-service-virtual-service.yaml",
	"hello-istio-25-75.yaml", "hello-istio-50-50.yaml", "hello-istio-75-25.yaml", "hello-istio-user-agent.yaml",
	"hello-istio-user-cookie.yaml", "hello-istio-v1.yaml", "hello-istio-v2.yaml", "hello-istio-virtual-service.yaml"}

// TestManifests: our own and, where they are, the talk's load; each variant is found, and holds with the rest.
func TestManifests(t *testing.T) {
	for name, folder := range map[string]string{"built in": "", "the talk's": filepath.Join("..", "..", "..", "shared", "showcases")} {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat(folder); folder != "" && err != nil {
				t.Skip("the talk's manifests are not beside this checkout")
			}
			all, err := readManifests(folder)
			if err != nil {
				t.Fatal(err)
			}
			got := slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(name string) bool { return !all.isVariant(name) })
			if diff := cmp.Diff(got, steps); diff != "" {
				t.Errorf("variants (-got +want):\n%s", diff)
			}
			for _, step := range steps {
				if lines := all[step].routes(); len(lines) == 0 || !strings.HasPrefix(lines[0], "- ") {
					t.Errorf("%s: got the routes %q, want the lines of its http list", step, lines)
				}
				rules, err := all.with(step)
				if err != nil {
					t.Errorf("%s: %v", step, err)
					continue
				}
				for _, f := range rules.Findings() {
					if f.Severity == mesh.SeverityError {
						t.Errorf("%s: %v", step, f)
					}
				}
			}
			if _, err := all.with("none.yaml"); err == nil {
				t.Error("got no error for a file that is not there")
			}
		})
	}
}

func TestManifestsOfAFolderWithoutAny(t *testing.T) {
	if _, err := readManifests(t.TempDir()); err == nil {
		t.Error("got no error for an empty folder")
	}
	if _, err := readManifests(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("got no error for a folder that is not there")
	}
}

// TestTown starts everything and asks each service once, under whatever name a client may use.
func TestTown(t *testing.T) {
	all, err := readManifests("")
	if err != nil {
		t.Fatal(err)
	}
	town, err := startTown(all, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer town.stop()
	if err := town.apply("hello-istio-v2.yaml", "alphabet-service-virtual-service.yaml"); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"http://hello-istio.cloud/api/hello":        `"v2"`,
		"http://127.0.0.1/api/hello":                `"v2"`,
		"http://spelling.cloud/api/spell?word=abcz": "Bravo",
		"http://127.0.0.1/api/spell?word=abcz":      "Bravo",
		"http://127.0.0.1/debug/mesh/clusters":      "outbound|8080|v1|alphabet-service.default.svc.cluster.local",
	} {
		code, body, err := town.get(t.Context(), url)
		if err != nil || code != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: got %d %s, %v, want %q in it", url, code, body, err, want)
		}
	}
	if _, err := startTown(all, town.gateway); err == nil {
		t.Error("got no error for an address in use")
	}
}
