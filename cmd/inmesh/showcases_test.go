package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// showcases is where the manifests of the talk's demo are, in a checkout that has them beside it.
func showcases(t *testing.T) string {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "shared", "showcases")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the talk's manifests are not beside this checkout")
	}
	return dir
}

// variants are the files of a folder that stand for each other, and the flags for all the others.
func variants(t *testing.T, folder string, stand ...string) (alternatives, rest []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no manifest in %s: %v", folder, err)
	}
	for _, path := range all {
		if slices.Contains(stand, strings.TrimSuffix(filepath.Base(path), ".yaml")) {
			alternatives = append(alternatives, path)
		} else {
			rest = append(rest, path)
		}
	}
	if len(alternatives) != len(stand) {
		t.Fatalf("found %q, want %q", alternatives, stand)
	}
	return alternatives, rest
}

func helloVariants(t *testing.T) (alternatives, rest []string) {
	return variants(t, filepath.Join(showcases(t), "hello-istio"), "hello-istio-25-75", "hello-istio-50-50", "hello-istio-75-25",
		"hello-istio-user-agent", "hello-istio-user-cookie", "hello-istio-v1", "hello-istio-v2", "hello-istio-virtual-service")
}

func alphabetVariants(t *testing.T) (alternatives, rest []string) {
	return variants(t, filepath.Join(showcases(t), "alphabet"), "alphabet-service-delay", "alphabet-service-fault",
		"alphabet-service-virtual-service")
}

// TestShowcasesCheck applies each variant in turn, as kubectl would, and lets check say only what is true of them: old
// forms, Ingresses for one path, and Deployments that nobody reads.
func TestShowcasesCheck(t *testing.T) {
	for name, of := range map[string]func(*testing.T) ([]string, []string){"hello-istio": helloVariants, "alphabet": alphabetVariants} {
		alternatives, rest := of(t)
		for _, variant := range alternatives {
			t.Run(name+"/"+filepath.Base(variant), func(t *testing.T) {
				got := inmesh(t, append([]string{"check", "-o", "json", variant}, rest...)...)
				if got.code != exitOK {
					t.Fatalf("got %+v, want code 0", got)
				}
				deployments := 0
				for line := range strings.Lines(got.out) {
					var f struct{ Kind, Path, Severity, Code string }
					if err := json.Unmarshal([]byte(line), &f); err != nil {
						t.Fatal(err)
					}
					switch {
					case f.Kind == "Deployment" && f.Severity == "info" && f.Code == "MESH0007":
						deployments++
					case f.Code == "MESH0008" && f.Severity == "warning" && (strings.HasSuffix(f.Path, ".percent") || strings.HasSuffix(f.Path, ".consecutiveErrors")):
					case f.Kind == "Ingress" && f.Code == "MESH0018" && strings.HasSuffix(f.Path, ".path"): // "/" alone, as in Istio
					case f.Kind == "Ingress" && f.Severity == "warning" && strings.HasSuffix(f.Path, ".path"): // of no pathType, so exact
					default:
						t.Errorf("also said: %s", line)
					}
				}
				if deployments == 0 {
					t.Error("no note of the Deployments")
				}
			})
		}
	}
}

// TestShowcasesExplain names the route, the cluster, and why earlier routes lost.
func TestShowcasesExplain(t *testing.T) {
	const (
		v1   = "outbound|8080|v1|hello-istio.default.svc.cluster.local"
		v2   = "outbound|8080|v2|hello-istio.default.svc.cluster.local"
		both = "outbound|8080||hello-istio.default.svc.cluster.local"
	)
	alternatives, rest := helloVariants(t)
	for _, tt := range []struct {
		name, variant string
		headers       []string
		path          string
		outcome       string
		index         float64
		clusters      map[string]float64 // with their weights
		rejected      string             // why the route before lost
	}{
		{"exact URI", "virtual-service", nil, "/api/hello", "route", 0, map[string]float64{both: 0}, ""},
		{"another URI", "virtual-service", nil, "/api/hello2", "noRoute", 0, nil, `uri exact "/api/hello"`},
		{"v1", "v1", nil, "/", "route", 0, map[string]float64{v1: 0}, ""},
		{"v2", "v2", nil, "/", "route", 0, map[string]float64{v2: 0}, ""},
		{"the file called 25-75 has 75 for v1", "25-75", nil, "/", "route", 0, map[string]float64{v1: 75, v2: 25}, ""},
		{"50-50", "50-50", nil, "/", "route", 0, map[string]float64{v1: 50, v2: 50}, ""},
		{"75-25", "75-25", nil, "/", "route", 0, map[string]float64{v1: 25, v2: 75}, ""},
		{"Chrome", "user-agent", []string{"User-Agent: Mozilla/5.0 Chrome/130.0"}, "/", "route", 0, map[string]float64{v2: 0}, ""},
		{"Firefox", "user-agent", []string{"User-Agent: Mozilla/5.0 Firefox/130.0"}, "/", "route", 1, map[string]float64{v1: 0}, `headers[user-agent] regex ".*Chrome.*"`},
		{"leander", "user-cookie", []string{"Cookie: a=b;user=leander"}, "/", "route", 0, map[string]float64{v2: 0}, ""},
		{"somebody else", "user-cookie", []string{"Cookie: user=leanders"}, "/", "route", 1, map[string]float64{v1: 0}, `headers[cookie] regex "^(.*?;)?(user=leander)(;.*)?$"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := slices.IndexFunc(alternatives, func(p string) bool { return strings.HasSuffix(p, "hello-istio-"+tt.variant+".yaml") })
			args := []string{"-gateway", "hello-istio-gateway", "-f", alternatives[i]}
			for _, path := range rest {
				args = append(args, "-f", path)
			}
			for _, h := range tt.headers {
				args = append(args, "-H", h)
			}
			e := explained(t, append(args, "http://hello-istio.cloud"+tt.path)...)
			if e["outcome"] != tt.outcome || e["virtualService"] != "default/hello-istio" {
				t.Errorf("got %v of %v, want %s of default/hello-istio", e["outcome"], e["virtualService"], tt.outcome)
			}
			if r, ok := e["route"].(map[string]any); ok && r["index"] != tt.index {
				t.Errorf("got route %v, want %v", r["index"], tt.index)
			}
			destinations, _ := e["destinations"].([]any)
			if len(destinations) != len(tt.clusters) {
				t.Errorf("got %v, want %v", destinations, tt.clusters)
			}
			for _, d := range destinations {
				d := d.(map[string]any)
				weight, _ := d["weight"].(float64)
				if want, ok := tt.clusters[d["cluster"].(string)]; !ok || weight != want {
					t.Errorf("got %v, want one of %v", d, tt.clusters)
				}
			}
			reason := ""
			if rejected, ok := e["rejected"].([]any); ok {
				reason = rejected[0].(map[string]any)["reason"].(string)
			}
			if (tt.rejected == "") != (reason == "") || !strings.HasPrefix(reason, tt.rejected) {
				t.Errorf("got reason %q, want %q", reason, tt.rejected)
			}
		})
	}
}

// TestShowcasesFaults: half of the calls to the alphabet service are delayed, and half are aborted.
func TestShowcasesFaults(t *testing.T) {
	alternatives, rest := alphabetVariants(t)
	i := slices.IndexFunc(alternatives, func(p string) bool { return strings.HasSuffix(p, "-fault.yaml") })
	args := []string{"-f", alternatives[i]}
	for _, path := range rest {
		args = append(args, "-f", path)
	}
	got := inmesh(t, append([]string{"explain"}, append(args, "http://alphabet-service:8080/z")...)...)
	for _, want := range []string{"delay            2s for 50 %", "abort            500 for 50 %", "outbound|8080|v1|alphabet-service.default.svc.cluster.local"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%q is not in\n%s%s", want, got.out, got.errors)
		}
	}
}
