package mesh_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

// rules puts documents together.
func rules(docs ...string) string { return strings.Join(docs, "\n---\n") + "\n" }

// entry is a ServiceEntry of static endpoints with one port, 80. An endpoint is "10.0.0.1", or "127.0.0.1:8080" where
// it has a port of its own, or "unix:///path", followed by labels: "10.0.0.1 version=v1".
func entry(host string, endpoints ...string) string { return entryPort(host, 80, "http", endpoints...) }

// entryPort is entry with another port, named for its protocol: "http", "grpc", "https".
func entryPort(host string, port int, protocol string, endpoints ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %s}
spec:
  hosts: [%s]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: %d, name: %s, protocol: %s}]
  endpoints:
`, strings.ReplaceAll(host, "*", "any"), host, port, protocol, strings.ToUpper(protocol))
	for _, e := range endpoints {
		b.WriteString("  - " + endpoint(e, protocol) + "\n")
	}
	if len(endpoints) == 0 {
		b.WriteString("  - {address: 10.255.255.255, labels: {nobody: here}}\n")
	}
	return b.String()
}

func endpoint(e, protocol string) string {
	address, labels, _ := strings.Cut(e, " ")
	var fields []string
	if host, port, err := net.SplitHostPort(address); err == nil && !strings.HasPrefix(address, "unix:") {
		fields = append(fields, "address: "+host, fmt.Sprintf("ports: {%s: %s}", protocol, port))
	} else {
		fields = append(fields, fmt.Sprintf("address: %q", address))
	}
	if labels != "" {
		fields = append(fields, "labels: {"+strings.ReplaceAll(labels, "=", ": ")+"}")
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// virtual is a VirtualService for a host; its http list is given in YAML's flow style.
func virtual(host, http string) string { return virtualNamed(host, host, "", http) }

// virtualNamed is virtual with further lines of the spec.
func virtualNamed(name, host, more, http string) string {
	return fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %s}
spec:
  hosts: [%q]
  %s
  http: %s
`, name, host, more, http)
}

// destination is a DestinationRule; the rest of its spec is given in flow style.
func destination(host, spec string) string {
	return fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: %s}\nspec: {host: %s, %s}\n", host, host, spec)
}

// edge is a Gateway named edge; its servers are given in flow style.
func edge(servers string) string {
	return "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: edge}\nspec: {servers: " + servers + "}\n"
}

// quiet drops what a mesh logs.
var quiet = slog.New(slog.DiscardHandler)

// open makes a mesh of the rules that logs nothing and is closed with the test.
func open(t testing.TB, rules string, o *mesh.Options) *mesh.Mesh {
	t.Helper()
	var opts mesh.Options
	if o != nil {
		opts = *o
	}
	if opts.Logger == nil {
		opts.Logger = quiet
	}
	return meshtest.NewWith(t, rules, &opts)
}

// clientOf is a client over the mesh that does not follow redirects.
func clientOf(m *mesh.Mesh, base http.RoundTripper) *http.Client {
	return &http.Client{Transport: m.Transport(base), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// newRequest makes a request with the test's context. Headers are "name: value".
func newRequest(t testing.TB, method, url string, body io.Reader, headers ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ":")
		if v = strings.TrimSpace(v); strings.EqualFold(k, "host") {
			req.Host = v
		} else {
			req.Header.Add(k, v)
		}
	}
	return req
}

// body is a request's body that knows whether it was read and closed. It is safe for concurrent use.
type body struct {
	io.Reader
	reads, closes atomic.Int32
}

func newBody(text string) *body { return &body{Reader: strings.NewReader(text)} }

func (b *body) Read(p []byte) (int, error) {
	b.reads.Add(1)
	return b.Reader.Read(p)
}

func (b *body) Close() error {
	b.closes.Add(1)
	return nil
}

// roundTripper is a func that is a transport.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// respond makes a response with a body.
func respond(r *http.Request, code int, text string) *http.Response {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return &http.Response{StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)), Request: r}
}

// eventually waits for a condition in real time.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// refusal is what every refusal of the mesh can tell.
type refusal interface {
	error
	ResponseFlag() string
	StatusCode() int
}

// verdict is a refusal in short: "503 UH", or "-" for an error that is none.
func verdict(err error) string {
	e, ok := errors.AsType[refusal](err)
	if !ok {
		return "-"
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", e.StatusCode(), e.ResponseFlag()))
}

// drain reads a body whole and closes it.
func drain(t testing.TB, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	_ = resp.Body.Close()
	return string(b)
}

// buffer is a bytes.Buffer that is safe for concurrent use.
type buffer struct {
	mu chan struct{}
	b  bytes.Buffer
}

func newBuffer() *buffer { return &buffer{mu: make(chan struct{}, 1)} }

func (b *buffer) Write(p []byte) (int, error) {
	b.mu <- struct{}{}
	defer func() { <-b.mu }()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu <- struct{}{}
	defer func() { <-b.mu }()
	return b.b.String()
}
