package rule

import (
	"strings"
	"testing"
	"time"
)

// TestWide finds places in a list of very many entries without looking through it each time, and the first of keys
// that stand twice.
func TestWide(t *testing.T) {
	const n = 200_000
	text := "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts:\n" + strings.Repeat("  - a\n", n)
	objects, findings := Parse("a.yaml", []byte(text))
	if len(findings) != 0 || len(objects) != 1 {
		t.Fatal(findings)
	}
	began := time.Now()
	for i := range 20_000 {
		if got := objects[0].At("spec.hosts[199999]").Line; got != n+5 {
			t.Fatalf("%d: line %d, want %d", i, got, n+5)
		}
	}
	if got := objects[0].At("spec.hosts[200000]").Line; got != 5 {
		t.Errorf("beyond the end: line %d, want that of the list, 5", got)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("20,000 lookups took %s", took)
	}
}

// TestMany keeps an error among very many faults, and not all of them.
func TestMany(t *testing.T) {
	head := "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [a]\n  http:\n"
	legacy := strings.Repeat("  - websocketUpgrade: true\n    route: [{destination: {host: a}}]\n", 3000)
	objects, findings := Parse("a.yaml", []byte(head+legacy))
	if len(objects) != 1 || len(findings) != 1001 {
		t.Errorf("warnings: %d objects, %d findings, want 1, 1001", len(objects), len(findings))
	}
	objects, findings = Parse("a.yaml", []byte(head+legacy+"  - nonsense: 1\n"))
	if len(objects) != 0 || len(findings) != 1001 || findings[1000].Path != "spec.http[3000].nonsense" {
		t.Errorf("an error among them: %d objects, %d findings, last %v", len(objects), len(findings), findings[len(findings)-1])
	}
}
