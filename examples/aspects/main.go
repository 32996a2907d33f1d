// Command aspects shows the join points: a server that asks for an API key before authorization and keeps a quota for
// each key after it, and a client that adds the key to every attempt and says where it goes.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/go-inmesh/inmesh/mesh"
)

const rules = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api}
spec:
  hosts: [api.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, ports: {http: {PORT}}}]
`

// apiKey refuses requests without a key that is known.
func apiKey(known ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, k := range known {
				if r.Header.Get("X-Api-Key") == k {
					next.ServeHTTP(w, r)
					return
				}
			}
			http.Error(w, "no such key", http.StatusUnauthorized)
		})
	}
}

// quota lets each key in so many times.
func quota(limit int) func(http.Handler) http.Handler {
	var mu sync.Mutex
	used := map[string]int{}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			used[r.Header.Get("X-Api-Key")]++
			over := used[r.Header.Get("X-Api-Key")] > limit
			mu.Unlock()
			if over {
				http.Error(w, "quota used up", http.StatusTooManyRequests)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// errOffHours is how the client's own aspect refuses: RoundTrip returns it.
var errOffHours = errors.New("the API is closed")

// roundTripper is a func that is a transport.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// closed refuses requests to a path before anything is sent.
func closed(path string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == path {
				if r.Body != nil {
					_ = r.Body.Close()
				}
				return nil, errOffHours
			}
			return next.RoundTrip(r)
		})
	}
}

// withKey adds the key to each attempt, and says what the mesh has decided about it.
func withKey(key string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			call := mesh.CallFrom(r.Context())
			fmt.Printf("attempt %d of %s to %s\n", call.Attempts, r.URL.Path, call.Cluster)
			r.Header.Set("X-Api-Key", key) // the attempt's own header
			return next.RoundTrip(r)
		})
	}
}

func main() {
	guarded, err := mesh.New(nil, &mesh.Options{Aspects: mesh.Aspects{
		BeforeAuthorization: []func(http.Handler) http.Handler{apiKey("s3cret")},
		AfterAuthorization:  []func(http.Handler) http.Handler{quota(2)},
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = guarded.Close() }()
	server := httptest.NewServer(guarded.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") })))
	defer server.Close()

	port := server.URL[strings.LastIndexByte(server.URL, ':')+1:]
	loaded, err := mesh.Parse("rules.yaml", []byte(strings.ReplaceAll(rules, "{PORT}", port)))
	if err != nil {
		log.Fatal(err)
	}
	m, err := mesh.New(loaded, &mesh.Options{Aspects: mesh.Aspects{
		Request: []func(http.RoundTripper) http.RoundTripper{closed("/off")},
		Attempt: []func(http.RoundTripper) http.RoundTripper{withKey("s3cret")},
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	client := &http.Client{Transport: m.Transport(nil)}
	for _, path := range []string{"/a", "/b", "/c", "/off"} {
		resp, err := client.Get("http://api" + path)
		if err != nil {
			fmt.Println(path, err, errors.Is(err, errOffHours))
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		fmt.Println(path, resp.StatusCode, strings.TrimSpace(string(body)))
	}
}
