package registry

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// The demo's manifests have Services and Deployments, but no pods: there are services, and nowhere to go yet.
func TestShowcases(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/showcases/*/*.yaml")
	if len(files) == 0 {
		t.Skip("the showcases are not here")
	}
	var objects []*rule.Object
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		o, _ := rule.Parse(f, data)
		objects = append(objects, o...)
	}
	set, _ := rule.NewSet(objects)
	r, found := Build(set, "")
	if finding.HasErrors(found) {
		t.Error(found)
	}
	for _, hostname := range []string{"hello-istio.default.svc.cluster.local", "a-service.default.svc.cluster.local"} {
		s := r.Lookup(hostname, "default")
		if s == nil {
			t.Errorf("%s is not there", hostname)
			continue
		}
		for _, p := range s.Ports {
			if !p.Protocol.IsHTTP() {
				t.Errorf("%s: port %d speaks %q", hostname, p.Number, p.Protocol)
			}
			if eps := r.Endpoints(s, p.Number); len(eps) != 0 {
				t.Errorf("%s: endpoints %v", hostname, eps)
			}
		}
	}
}
