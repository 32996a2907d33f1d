package mesh_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-inmesh/inmesh/mesh"
)

// seen is what a request looks like to the application.
type seen struct {
	Method, Host, Target string
	Header               http.Header
}

// mirror answers with what it has seen.
var mirror = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	_ = json.NewEncoder(w).Encode(seen{r.Method, r.Host, r.URL.RequestURI(), r.Header})
})

// at is a request that came in on a port.
func at(port int, method, target string, headers ...string) *http.Request {
	req := httptest.NewRequest(method, target, nil)
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Add(k, v)
	}
	return req.WithContext(context.WithValue(req.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: port})))
}

// ask sends a request to a handler and gives the answer in a line: code, location or body.
func ask(h http.Handler, req *http.Request) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Header().Get("Location"), strings.TrimSpace(w.Body.String())))
}

const allHTTP = `[{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]`

func TestGatewayHosts(t *testing.T) {
	m := open(t, rules(
		edge(`[{port: {number: 80, name: http, protocol: HTTP}, hosts: [a.com, "*.b.com"]}]`),
		virtualNamed("a", "a.com", "gateways: [edge]", `[{match: [{uri: {prefix: /api}}], directResponse: {status: 200, body: {string: a}}}]`),
		virtualNamed("b", "*.b.com", "gateways: [edge]", `[{directResponse: {status: 200, body: {string: b}}}]`),
		virtualNamed("c", "c.com", "gateways: [edge]", `[{directResponse: {status: 200, body: {string: "not on the gateway"}}}]`),
		virtualNamed("inside", "d.com", "", `[{directResponse: {status: 200, body: {string: "not on the gateway"}}}]`)), nil)
	g := m.Gateway("edge")
	tests := []struct{ url, want string }{
		{"http://a.com/api/x", "200 a"},
		{"http://A.COM/api", "200 a"},
		{"http://a.com:8080/api", "200 a"},
		{"http://a.com./api", "200 a"},
		{"http://a.com/other", "404"},
		{"http://x.b.com/", "200 b"},
		{"http://x.y.b.com/", "200 b"},
		{"http://b.com/", "404"},
		{"http://c.com/", "404"},
		{"http://d.com/", "404"},
	}
	for _, tt := range tests {
		if got := ask(g, at(80, "GET", tt.url)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.url, got, tt.want)
		}
	}
	for name, want := range map[string]string{"default/edge": "200 a", "other/edge": "404", "nowhere": "404"} {
		if got := ask(m.Gateway(name), at(80, "GET", "http://a.com/api")); got != want {
			t.Errorf("gateway %s: got %q, want %q", name, got, want)
		}
	}
}

func TestGatewayHTTPSRedirect(t *testing.T) {
	m := open(t, rules(edge(`[{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"], tls: {httpsRedirect: true}}]`),
		virtualNamed("a", "a.com", "gateways: [edge]", `[{directResponse: {status: 200, body: {string: a}}}]`)), nil)
	g := m.Gateway("edge")
	for _, tt := range []struct{ url, proto, want string }{
		{"http://a.com/x/y?q=1", "", "301 https://a.com/x/y?q=1"},
		{"http://a.com:80/", "", "301 https://a.com/"},
		{"http://[::1]:80/", "", "301 https://[::1]/"},
		{"http://a.com/", "http", "301 https://a.com/"},
		{"http://a.com/", "https", "200 a"},
	} {
		req := at(80, "GET", tt.url)
		if tt.proto != "" {
			req.Header.Set("X-Forwarded-Proto", tt.proto)
		}
		if got := ask(g, req); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.url, got, tt.want)
		}
	}
}

func TestGatewayHeaders(t *testing.T) {
	m := open(t, rules(entry("a.com", listen(t, mirror)), edge(allHTTP),
		virtualNamed("a", "*", "gateways: [edge]", `[{route: [{destination: {host: a.com}}]}]`)), nil)
	req := at(80, "GET", "http://www.a.com:8080/a%2Fb//c?x=%zz;y&&", "X-Envoy-Max-Retries: 9", "X-Envoy-Upstream-Rq-Timeout-Ms: 1", "X-Forwarded-Client-Cert: By=me",
		"X-Request-Id: forged", "X-Forwarded-For: 1.1.1.1", "X-Forwarded-Proto: https", "Keep-Alive: timeout=5", "Connection: X-Hop", "X-Hop: 1", "X-Mine: 1", "X-Mine: 2", "Te: trailers")
	w := httptest.NewRecorder()
	m.Gateway("edge").ServeHTTP(w, req)
	var got seen
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(w.Code, w.Body, err)
	}
	id := got.Header.Get("X-Request-Id")
	if len(id) != 36 {
		t.Errorf("x-request-id %q, want a new one", id)
	}
	for _, k := range []string{"X-Request-Id", "Accept-Encoding", "User-Agent"} {
		delete(got.Header, k)
	}
	want := seen{"GET", "www.a.com:8080", "/a%2Fb//c?x=%zz;y&&", http.Header{
		"X-Forwarded-For": {"1.1.1.1, 192.0.2.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"www.a.com:8080"},
		"X-Mine": {"1", "2"}, "X-Envoy-Attempt-Count": {"1"}, "Te": {"trailers"},
	}}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if h := w.Header(); h.Get("X-Envoy-Upstream-Service-Time") == "" {
		t.Errorf("response headers %v", h)
	}
}

// The port that the connection came in on chooses the server.
func TestGatewayPorts(t *testing.T) {
	m := open(t, rules(
		edge(`[{port: {number: 8080, name: http-one, protocol: HTTP}, hosts: [a.com]}, {port: {number: 9090, name: http-two, protocol: HTTP}, hosts: [b.com]}]`),
		virtualNamed("a", "a.com", "gateways: [edge]", `[{match: [{port: 8080}], directResponse: {status: 200, body: {string: a}}}]`),
		virtualNamed("b", "b.com", "gateways: [edge]", `[{match: [{port: 9090}], directResponse: {status: 200, body: {string: b}}}]`)), nil)
	g := m.Gateway("edge")
	for _, tt := range []struct {
		port int
		url  string
		want string
	}{
		{8080, "http://a.com/", "200 a"},
		{8080, "http://b.com/", "404"},
		{9090, "http://b.com/", "200 b"},
		{9090, "http://a.com/", "404"},
	} {
		if got := ask(g, at(tt.port, "GET", tt.url)); got != tt.want {
			t.Errorf("%s on %d: got %q, want %q", tt.url, tt.port, got, tt.want)
		}
	}
}

// VirtualServices of one host are joined, the oldest first, and what matches everything goes to the end.
func TestGatewayJoinsVirtualServices(t *testing.T) {
	m := open(t, rules(edge(allHTTP),
		virtualNamed("first", "a.com", "gateways: [edge]", `[{match: [{uri: {prefix: /x}}], directResponse: {status: 200, body: {string: first x}}}, {directResponse: {status: 200, body: {string: first rest}}}]`),
		virtualNamed("second", "a.com", "gateways: [edge]", `[{match: [{uri: {prefix: /x}}], directResponse: {status: 200, body: {string: second x}}}, {match: [{uri: {prefix: /y}}], directResponse: {status: 200, body: {string: second y}}}]`)), nil)
	for path, want := range map[string]string{"/x": "200 first x", "/y": "200 second y", "/z": "200 first rest"} {
		if got := ask(m.Gateway("edge"), at(80, "GET", "http://a.com"+path)); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func TestGatewayIngress(t *testing.T) {
	_, port, _ := net.SplitHostPort(listen(t, mirror))
	m := open(t, fmt.Sprintf(`apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80, targetPort: %[1]s}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: %[1]s}]
endpoints: [{addresses: [127.0.0.1]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: site}
spec:
  rules:
  - host: a.com
    http:
      paths:
      - {path: /app, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
`, port), nil)
	if got := ask(m.Gateway("site"), at(80, "GET", "http://a.com/app/x")); !strings.HasPrefix(got, `200 {"Method":"GET","Host":"a.com","Target":"/app/x"`) {
		t.Errorf("got %q", got)
	}
	if got := ask(m.Gateway("site"), at(80, "GET", "http://a.com/application")); got != "404" {
		t.Errorf("got %q, want 404", got)
	}
}

// Refusals are answered as a sidecar would, whatever Options say.
func TestGatewayRefusals(t *testing.T) {
	m := open(t, rules(edge(allHTTP), entry("a.com", "10.0.0.1"), entry("dead.com", dead(t)),
		virtualNamed("a", "*", "gateways: [edge]", `[
		  {match: [{uri: {exact: /abort}}], fault: {abort: {httpStatus: 418, percentage: {value: 100}}}, route: [{destination: {host: a.com}}]},
		  {match: [{uri: {exact: /subset}}], route: [{destination: {host: a.com, subset: v9}}]},
		  {match: [{uri: {exact: /dead}}], retries: {attempts: 0}, route: [{destination: {host: dead.com}}]},
		  {match: [{uri: {exact: /go}}], redirect: {authority: b.com, uri: /there}}]`)), nil)
	g := m.Gateway("edge")
	for path, want := range map[string]string{
		"/abort": "418 fault filter abort", "/subset": "503", "/none": "404", "/go": "301 http://b.com/there",
		"/dead": "503 upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: delayed connect error: Connection refused",
	} {
		if got := ask(g, at(80, "GET", "http://a.com"+path)); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, at(80, "POST", "http://a.com/abort", "Content-Type: application/grpc"))
	if w.Code != 200 || w.Header().Get("Grpc-Status") != "2" || w.Header().Get("Grpc-Message") != "fault filter abort" || w.Body.Len() != 0 {
		t.Errorf("gRPC: %d %v", w.Code, w.Header())
	}
	if got := ask(g, at(80, "CONNECT", "http://a.com/")); got != "404" {
		t.Errorf("CONNECT: got %q, want 404", got)
	}
}

// dead is an address that refuses connections.
func dead(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

// A request without a host is the client's fault.
func TestGatewayWithoutHost(t *testing.T) {
	m := open(t, rules(edge(allHTTP), entry("a.com", listen(t, mirror)), virtualNamed("a", "*", "gateways: [edge]", `[{route: [{destination: {host: a.com}}]}]`)), nil)
	conn, err := net.Dial("tcp", listen(t, m.Gateway("edge")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
	answer, _ := io.ReadAll(conn)
	if !bytes.Contains(answer, []byte(" 400 ")) {
		t.Errorf("got %q, want a 400", answer)
	}
}

func TestGatewayTrailers(t *testing.T) {
	m := open(t, rules(entry("a.com", listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("X-Sum", "got "+r.Trailer.Get("X-Sum"))
		w.Header().Set(http.TrailerPrefix+"X-Late", "late")
	}))), edge(allHTTP), virtualNamed("a", "*", "gateways: [edge]", `[{timeout: 1m, retries: {attempts: 2, retryOn: 5xx}, route: [{destination: {host: a.com}}]}]`)), nil)
	req := newRequest(t, "POST", "http://"+listen(t, m.Gateway("edge"))+"/", io.MultiReader(strings.NewReader("text")))
	req.Trailer = http.Header{"X-Sum": {"42"}}
	resp, err := clientOf(m, nil).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := drain(t, resp); got != "text" {
		t.Errorf("got %q", got)
	}
	if diff := cmp.Diff(resp.Trailer, http.Header{"X-Sum": {"got 42"}, "X-Late": {"late"}}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

// HTTP/2 without TLS comes in and goes out.
func TestGatewayHTTP2(t *testing.T) {
	m := open(t, rules(entryPort("a.com", 80, "grpc", listen(t, proto)), edge(`[{port: {number: 80, name: http2, protocol: HTTP2}, hosts: ["*"]}]`),
		virtualNamed("a", "*", "gateways: [edge]", `[{route: [{destination: {host: a.com}}]}]`)), nil)
	base := &http.Transport{Protocols: new(http.Protocols)}
	base.Protocols.SetUnencryptedHTTP2(true)
	defer base.CloseIdleConnections()
	addr := listen(t, m.Gateway("edge"))
	resp, err := (&http.Client{Transport: base}).Do(newRequest(t, "GET", "http://"+addr+"/x", nil))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := resp.Proto+" "+drain(t, resp), "HTTP/2.0 HTTP/2.0 "+addr+" /x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestGatewayEndsTLS: what comes over TLS goes on without it, unless a DestinationRule asks for TLS.
func TestGatewayEndsTLS(t *testing.T) {
	m := open(t, rules(entry("a.com", listen(t, proto)),
		edge(`[{port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: c}}]`),
		virtualNamed("a", "*", "gateways: [edge]", `[{route: [{destination: {host: a.com}}]}]`)), nil)
	server := httptest.NewTLSServer(m.Gateway("edge"))
	defer server.Close()
	req := newRequest(t, "GET", server.URL+"/x", nil)
	req.Host = "b.com"
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(resp.StatusCode, " ", drain(t, resp)), "200 HTTP/1.1 b.com /x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestGatewayChosenAddress: callers from outside do not choose the address by their Host header.
func TestGatewayChosenAddress(t *testing.T) {
	const wild = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wild}
spec: {hosts: ["*.wild.com"], ports: [{number: 80, name: http, protocol: HTTP}], resolution: NONE}
`
	static := entry("a.com", "10.0.0.1")
	passthrough := destination("a.com", "trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}")
	m := open(t, rules(wild, static, passthrough, edge(allHTTP), virtualNamed("a", "*", "gateways: [edge]", `[
  {match: [{uri: {prefix: /wild}}], route: [{destination: {host: "*.wild.com"}}]},
  {route: [{destination: {host: a.com}}]}]`)), nil)
	for _, path := range []string{"/wild", "/passthrough"} {
		if got, want := ask(m.Gateway("edge"), at(80, "GET", "http://"+listen(t, proto)+path)), "503 no healthy upstream"; got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func TestGatewayCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	m := open(t, rules(entry("a.com", listen(t, mirror)), edge(allHTTP),
		virtualNamed("a", "a.com", "gateways: [edge]", `[{match: [{uri: {prefix: /app}}], rewrite: {uri: /}, route: [{destination: {host: a.com}}]}]`)), nil)
	url := "http://" + listen(t, m.Gateway("edge"))
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-H", "Host: a.com", url + "/app"}, `"Target":"/"`},
		{[]string{"-H", "Host: a.com", "-d", "payload", url + "/app"}, `"Method":"POST"`},
		{[]string{"--http2-prior-knowledge", "-H", "Host: a.com", url + "/app"}, `"Target":"/"`},
		{[]string{"-o", "/dev/null", "-w", "%{http_code}", url + "/app"}, "404"},
		{[]string{"-I", "-H", "Host: a.com", url + "/app"}, "200 OK"},
	} {
		out, err := exec.CommandContext(t.Context(), curl, append([]string{"-s", "-S", "--max-time", "10"}, tt.args...)...).CombinedOutput()
		if strings.Contains(string(out), "does not support this") {
			t.Log(string(out))
			continue
		}
		if err != nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("curl %q: %v\n%s\nwant %s", tt.args, err, out, tt.want)
		}
	}
}

// A gateway's handler stays the same over updates, and obeys the rules of the moment.
func TestGatewayUpdate(t *testing.T) {
	m := open(t, "", nil)
	g := m.Gateway("edge")
	if got := ask(g, at(80, "GET", "http://a.com/")); got != "404" {
		t.Errorf("without rules: got %q", got)
	}
	for _, text := range []string{"one", "two"} {
		r, err := mesh.Parse("r", []byte(rules(edge(allHTTP), virtualNamed("a", "*", "gateways: [edge]", `[{directResponse: {status: 200, body: {string: `+text+`}}}]`))))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Update(r); err != nil {
			t.Fatal(err)
		}
		if got := ask(g, at(80, "GET", "http://a.com/")); got != "200 "+text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
	if diff := cmp.Diff(m.Gateways(), []string{"default/edge"}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}
