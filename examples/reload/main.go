// Command reload shows rules that change while requests run: it writes a file, changes it, breaks it, and mends it, and
// prints what requests meet meanwhile.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

const services = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web}
spec:
  hosts: [web.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints:
  - {address: 10.0.0.1, labels: {version: v1}}
  - {address: 10.0.0.2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
`

const web = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - route: [{destination: {host: web, subset: %s}}]
`

func main() {
	dir, err := os.MkdirTemp("", "rules")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			log.Fatal(err)
		}
	}
	write("services.yaml", services)
	write("web.yaml", fmt.Sprintf(web, "v1"))

	rules, err := mesh.Load(dir)
	if err != nil {
		log.Fatal(err)
	}
	m, err := mesh.New(rules, &mesh.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Watch(ctx, mesh.Files(dir)) }()

	client := &http.Client{Transport: m.Transport(meshtest.Fleet{"10.0.0.1:80": meshtest.Name("v1"), "10.0.0.2:80": meshtest.Name("v2")})}
	ask := func() string {
		resp, err := client.Get("http://web/")
		if err != nil {
			return err.Error()
		}
		defer func() { _ = resp.Body.Close() }()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	// next waits for the mesh to have looked at the files once more.
	next := func(seen int) {
		for deadline := time.Now().Add(20 * time.Second); len(m.Reloads()) <= seen && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
	}
	next(1) // Watch reads the files as it starts
	fmt.Println("at first:", ask())

	seen := len(m.Reloads())
	write("web.yaml", fmt.Sprintf(web, "v2"))
	next(seen)
	fmt.Println("after the change:", ask())

	seen = len(m.Reloads())
	write("web.yaml", "kind: VirtualService\nspec: {hosts: [web}\n")
	next(seen)
	fmt.Println("with a broken file:", ask())
	fmt.Println(" ", m.Reloads()[len(m.Reloads())-1].Err)

	seen = len(m.Reloads())
	write("web.yaml", fmt.Sprintf(web, "v1"))
	next(seen)
	fmt.Println("mended:", ask())
	cancel()
	if err := <-done; err != nil {
		log.Fatal(err)
	}
}
