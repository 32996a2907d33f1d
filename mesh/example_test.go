package mesh_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing/fstest"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
	"github.com/go-inmesh/inmesh/route"
)

// exampleRules are the rules of the examples: version 2 for jason, version 1 for the others.
const exampleRules = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  ports: [{number: 9080, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints:
  - {address: 10.0.0.1, labels: {version: v1}}
  - {address: 10.0.0.2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}, {name: v3, labels: {version: v3}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews, shop.example.com]
  gateways: [mesh, edge]
  http:
  - name: jason
    match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: reviews, subset: v2}}]
  - name: soon
    match: [{uri: {prefix: /v3}}]
    route: [{destination: {host: reviews, subset: v3}}]
  - name: others
    route: [{destination: {host: reviews, subset: v1}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}]
`

// exampleFleet stands for the endpoints, so that nothing is sent: see package meshtest.
var exampleFleet = meshtest.Fleet{"10.0.0.1:9080": meshtest.Name("version 1"), "10.0.0.2:9080": meshtest.Name("version 2")}

// exampleOptions keeps warnings about rules out of the output.
var exampleOptions = &mesh.Options{Logger: slog.New(slog.DiscardHandler)}

func exampleMesh(o *mesh.Options) *mesh.Mesh {
	rules, err := mesh.Parse("reviews.yaml", []byte(exampleRules))
	if err != nil {
		panic(err)
	}
	m, err := mesh.New(rules, o)
	if err != nil {
		panic(err)
	}
	return m
}

func exampleGet(client *http.Client, url string, header ...string) (*http.Response, error) {
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return client.Do(req)
}

func ExampleNew() {
	rules, err := mesh.Parse("reviews.yaml", []byte(exampleRules)) // or mesh.Load("rules.d")
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := mesh.New(rules, exampleOptions)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	client := &http.Client{Transport: m.Transport(exampleFleet)} // nil in place of the fleet: the mesh's own connections
	resp, err := exampleGet(client, "http://reviews:9080/", "end-user", "jason")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(body))
	// Output: 200 version 2
}

// All that is wrong is told at once, each with its place.
func ExampleLoadFS() {
	_, err := mesh.LoadFS(fstest.MapFS{"reviews.yaml": {Data: []byte(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - timeuot: 5s
    fault: {abort: {httpStatus: 999, percentage: {value: 10}}}
    route: [{destination: {host: reviews}}]
`)}})
	var invalid *mesh.InvalidError
	if errors.As(err, &invalid) {
		for _, f := range invalid.Findings {
			fmt.Println(f.Position, f.Severity, f.Message)
		}
	}
	// Output: reviews.yaml:7:5 error unknown field "timeuot", did you mean timeout?
}

func ExampleMesh_Gateway() {
	m := exampleMesh(exampleOptions)
	defer m.Close()
	edge := m.Gateway("edge") // for an http.Server
	for _, host := range []string{"shop.example.com", "other.example.com"} {
		w := httptest.NewRecorder()
		edge.ServeHTTP(w, httptest.NewRequest("GET", "http://"+host+"/v3", nil))
		fmt.Println(host, w.Code, w.Body)
	}
	// Output:
	// shop.example.com 503 no healthy upstream
	// other.example.com 404
}

func ExampleMesh_Explain() {
	m := exampleMesh(exampleOptions)
	defer m.Close()
	req, _ := http.NewRequest("GET", "http://reviews:9080/", nil)
	e, err := m.Explain(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Outcome, e.VirtualService, e.Route.Name, e.Destinations[0].Cluster)
	for _, r := range e.Rejected {
		fmt.Println(r.Name, "lost:", r.Reason)
	}
	// Output:
	// route default/reviews others outbound|9080|v1|reviews.default.svc.cluster.local
	// jason lost: headers[end-user] exact "jason": missing
	// soon lost: uri prefix "/v3" does not match "/"
}

// An answer and an error both tell what the mesh decided.
func ExampleOutcome() {
	m := exampleMesh(exampleOptions)
	defer m.Close()
	client := &http.Client{Transport: m.Transport(exampleFleet)}
	resp, err := exampleGet(client, "http://reviews:9080/")
	if err == nil {
		defer resp.Body.Close()
	}
	call := mesh.Outcome(resp, err)
	fmt.Println(call.Route, call.Endpoint, call.Attempts)

	resp, err = exampleGet(client, "http://reviews:9080/v3")
	if err == nil {
		defer resp.Body.Close()
	}
	call = mesh.Outcome(resp, err)
	fmt.Println(call.Route, call.Flags, call.Code, errors.Is(err, route.ErrNoHealthyUpstream))
	// Output:
	// others 10.0.0.1:9080 1
	// soon UH 503 true
}

// The user's own aspect refuses what has no key, and knows the route that was chosen.
func ExampleAspects() {
	needsKey := func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			if call := mesh.CallFrom(req.Context()); req.Header.Get("x-api-key") == "" {
				if req.Body != nil {
					req.Body.Close()
				}
				return nil, fmt.Errorf("no key for route %s", call.Route)
			}
			return next.RoundTrip(req)
		})
	}
	m := exampleMesh(&mesh.Options{Logger: exampleOptions.Logger,
		Aspects: mesh.Aspects{Request: []func(http.RoundTripper) http.RoundTripper{needsKey}}})
	defer m.Close()
	client := &http.Client{Transport: m.Transport(exampleFleet)}
	_, err := exampleGet(client, "http://reviews:9080/")
	fmt.Println(err)
	resp, err := exampleGet(client, "http://reviews:9080/", "x-api-key", "k")
	if err == nil {
		defer resp.Body.Close()
		fmt.Println(resp.StatusCode)
	}
	// Output:
	// Get "http://reviews:9080/": no key for route others
	// 200
}

// exampleSource is a source of rules that has news one time.
type exampleSource struct{ text string }

func (s exampleSource) Watch(ctx context.Context, sink mesh.Sink) error {
	rules, err := mesh.Parse("rules.yaml", []byte(s.text))
	if err != nil {
		sink.Failed(err) // the rules before stay
		return nil
	}
	return sink.Update(rules)
}

// Any source of rules will do; mesh.Files watches files and folders.
func ExampleMesh_Watch() {
	m := exampleMesh(exampleOptions)
	defer m.Close()
	err := m.Watch(context.Background(), exampleSource{`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http: [{directResponse: {status: 200, body: {string: closed for today}}}]
`})
	fmt.Println(err)
	resp, err := exampleGet(&http.Client{Transport: m.Transport(exampleFleet)}, "http://reviews:9080/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(string(body))

	err = m.Watch(context.Background(), exampleSource{"kind: ["})
	reloads := m.Reloads()
	fmt.Println(err, len(reloads), reloads[2].Err)
	// Output:
	// <nil>
	// closed for today
	// <nil> 3 mesh: 1 invalid: rules.yaml:1:1: error: the document ends where a value is expected [MESH0001]
}
