// Command gateway is an ingress in thirty lines. It sends one request through itself and prints the answer; with an
// address as its argument it stays up there.
//
//	go run ./examples/gateway
//	go run ./examples/gateway 127.0.0.1:8080 & curl -H 'Host: shop.example' http://127.0.0.1:8080/cart/7
package main

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"strings"
	"time"

	"github.com/go-inmesh/inmesh/mesh"
)

const rules = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: [shop.example]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example]
  gateways: [edge]
  http:
  - match: [{uri: {prefix: /cart/}}]
    rewrite: {uri: /carts/}
    headers: {response: {set: {x-served-by: "%UPSTREAM_HOST%"}}}
    route: [{destination: {host: carts.internal}}]
  - redirect: {uri: /cart/, redirectCode: 302}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: carts}
spec:
  hosts: [carts.internal]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: {PORT}}}]
`

func main() {
	carts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s for %s, asked of %s\n", r.URL.Path, r.Header.Get("X-Forwarded-For"), r.Host)
	}))
	defer carts.Close()
	port := carts.URL[strings.LastIndexByte(carts.URL, ':')+1:]

	loaded, err := mesh.Parse("rules.yaml", []byte(strings.ReplaceAll(rules, "{PORT}", port)))
	if err != nil {
		log.Fatal(err)
	}
	m, err := mesh.New(loaded, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	edge := m.Gateway("edge")

	if len(os.Args) > 1 {
		server := &http.Server{Addr: os.Args[1], Handler: edge, ReadHeaderTimeout: 10 * time.Second}
		log.Fatal(server.ListenAndServe())
	}
	for _, path := range []string{"/cart/7", "/"} {
		req := httptest.NewRequest(http.MethodGet, "http://shop.example"+path, nil)
		w := httptest.NewRecorder()
		edge.ServeHTTP(w, req)
		dump, _ := httputil.DumpResponse(w.Result(), true)
		fmt.Printf("GET %s\n%s\n", path, dump)
	}
}
