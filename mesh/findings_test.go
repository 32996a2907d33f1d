package mesh_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-inmesh/inmesh/mesh"
)

// TestUnreadable tells of a file in a folder that cannot be read, and of all that is wrong with the others.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("kind: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "b.yaml")); err != nil {
		t.Skip(err)
	}
	_, err := mesh.Load(dir)
	var invalid *mesh.InvalidError
	if !errors.As(err, &invalid) || !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Load: %v", err)
	}
	found, err := mesh.Check(dir)
	if err != nil || len(found) != 2 || len(invalid.Findings) != 2 || found[0].Code != "MESH0001" || found[1].Code != "MESH0012" {
		t.Errorf("Check: %v, %v; Load: %v", found, err, invalid.Findings)
	}
	if _, err := mesh.Load(filepath.Join(dir, "b.yaml")); !errors.Is(err, fs.ErrNotExist) || errors.As(err, &invalid) {
		t.Errorf("a path that was named: %v", err)
	}
}

// TestFindingsOnce shows what compiling finds beside what is known of the rules, and nothing twice.
func TestFindingsOnce(t *testing.T) {
	rules, err := mesh.Parse("a.yaml", []byte(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec: {hosts: [a.example.com], http: [{route: [{destination: {host: a.example.com, subset: v9}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b}
spec: {hosts: [a.example.com], http: [{route: [{destination: {host: b.example.com}}]}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	m, err := mesh.New(rules, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	w := httptest.NewRecorder()
	m.DebugHandler().ServeHTTP(w, httptest.NewRequest("GET", "/debug/mesh/findings", nil))
	var all []mesh.Finding
	if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	seen := map[string]bool{}
	for _, f := range all {
		key := strings.Join([]string{f.Kind, f.Namespace, f.Name, f.Path, f.Code}, " ")
		if seen[key] {
			t.Errorf("twice: %v", f)
		}
		seen[key] = true
	}
	if len(all) < len(rules.Findings()) || len(all) == 0 {
		t.Errorf("%d findings, of the rules alone %d", len(all), len(rules.Findings()))
	}
}
