// Command client is the smallest client: an http.Client that obeys rules. It calls a server of its own, so that it can
// be run as it is.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/go-inmesh/inmesh/mesh"
)

// rules send requests for "greeter" to the place that stands in for {ADDRESS}, under another path.
const rules = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: greeter}
spec:
  hosts: [greeter.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: {PORT}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: greeter}
spec:
  hosts: [greeter]
  http:
  - match: [{uri: {prefix: /v1/}}]
    rewrite: {uri: /}
    timeout: 2s
    retries: {attempts: 2, perTryTimeout: 500ms}
    route: [{destination: {host: greeter}}]
`

func main() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello, you asked %s for %s", r.Host, r.URL.Path)
	}))
	defer server.Close()
	port := server.URL[strings.LastIndexByte(server.URL, ':')+1:]

	loaded, err := mesh.Parse("rules.yaml", []byte(strings.ReplaceAll(rules, "{PORT}", port)))
	if err != nil {
		log.Fatal(err)
	}
	m, err := mesh.New(loaded, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = m.Close() }()

	client := &http.Client{Transport: m.Transport(nil)}
	ask(client, "http://greeter/v1/hello")
	ask(client, "http://greeter/v2/hello") // the rule has no route for it
}

// ask prints the answer, and how the mesh came to it.
func ask(client *http.Client, url string) {
	resp, err := client.Get(url)
	call := mesh.Outcome(resp, err)
	if err != nil {
		fmt.Println(err)
		fmt.Println("flag:", call.Flags)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(string(body))
	fmt.Println("cluster:", call.Cluster)
	fmt.Println("rule:", call.VirtualService, "at", call.Rule, "- attempts:", call.Attempts)
}
