package compile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// TestShowcases compiles the real manifests of a demo, one of its VirtualServices after the other.
func TestShowcases(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "showcases")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the showcases are not here: ", err)
	}
	read := func(names ...string) []string {
		var docs []string
		for _, n := range names {
			b, err := os.ReadFile(filepath.Join(dir, n))
			if err != nil {
				t.Fatal(err)
			}
			docs = append(docs, "---\n"+string(b)+"\n")
		}
		return docs
	}
	const prefix = "outbound|8080|"
	hello := []string{"hello-istio/hello-istio.yaml", "hello-istio/hello-istio-destination.yaml", "hello-istio/hello-istio-gateway.yaml"}
	split := prefix + "v1|hello-istio.default.svc.cluster.local -> " + prefix + "v2|hello-istio.default.svc.cluster.local"
	for _, c := range []struct {
		name    string
		files   []string
		gateway string
		request request
	}{
		{"exact URI", append(hello, "hello-istio/hello-istio-virtual-service.yaml"), "default/hello-istio-gateway",
			request{host: "hello-istio.cloud", path: "/api/hello", want: "default/hello-istio[0]  -> " + prefix + "|hello-istio.default.svc.cluster.local"}},
		{"other URI", append(hello, "hello-istio/hello-istio-virtual-service.yaml"), "default/hello-istio-gateway",
			request{host: "hello-istio.cloud", path: "/", want: "404"}},
		{"25/75", append(hello, "hello-istio/hello-istio-25-75.yaml"), "default/hello-istio-gateway",
			request{host: "hello-istio.cloud", path: "/api/hello", want: "default/hello-istio[0]  -> " + split}},
		{"75/25", append(hello, "hello-istio/hello-istio-75-25.yaml"), "default/hello-istio-gateway",
			request{host: "hello-istio.cloud", path: "/api/hello", want: "default/hello-istio[0]  -> " + split}},
		{"Chrome", append(hello, "hello-istio/hello-istio-user-agent.yaml"), "default/hello-istio-gateway",
			request{host: "hello-istio.cloud", path: "/api/hello", headers: map[string]string{"User-Agent": "Mozilla Chrome/1 Safari"},
				want: "default/hello-istio[0]  -> " + prefix + "v2|hello-istio.default.svc.cluster.local"}},
		{"cookie", append(hello, "hello-istio/hello-istio-user-cookie.yaml"), "default/hello-istio-gateway",
			request{host: "hello-istio.cloud", path: "/api/hello", headers: map[string]string{"Cookie": "user=leander"},
				want: "default/hello-istio[0]  -> " + prefix + "v2|hello-istio.default.svc.cluster.local"}},
		{"Ingress", []string{"hello-istio/hello-istio.yaml", "hello-istio/hello-istio-ingress.yaml"}, "default/hello-istio",
			request{host: "hello-istio.cloud", path: "/", want: "default/hello-istio[0]  -> " + prefix + "|hello-istio.default.svc.cluster.local"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, findings := compileDocs(t, Workload{Namespace: "default"}, read(c.files...)...)
			if finding.HasErrors(findings) {
				t.Fatal(messages(findings))
			}
			if got := out.through(c.gateway, false, c.request); got != c.request.want {
				t.Errorf("\n got %s\nwant %s", got, c.request.want)
			}
		})
	}
	t.Run("alphabet", func(t *testing.T) {
		files, err := filepath.Glob(filepath.Join(dir, "alphabet", "*.yaml"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		var names []string
		for _, f := range files {
			names = append(names, filepath.Join("alphabet", filepath.Base(f)))
		}
		out, findings := compileDocs(t, Workload{Namespace: "default"}, read(names...)...)
		if finding.HasErrors(findings) {
			t.Fatal(messages(findings))
		}
		for _, s := range []string{"a-service", "b-service", "c-service", "alphabet-service"} {
			vh := out.Mesh.Lookup(s, 8080)
			if vh == nil || vh.Object == nil {
				t.Errorf("%s: no rule on port 8080", s)
				continue
			}
			if got := describe(vh, request{host: s}, 8080); strings.Contains(got, "missing") {
				t.Errorf("%s: %s", s, got)
			}
		}
	})
}
