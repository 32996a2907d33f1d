package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shop binds one service to a gateway; {PATH} is where it is found, {PORT} where it runs.
const shop = `
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
  - match: [{uri: {prefix: {PATH}}}]
    rewrite: {uri: /}
    route: [{destination: {host: carts.internal}}]
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

// carts runs the service. A request for /slow is told of, and waits to be let go.
func carts(t *testing.T) (port string, arrived, release chan struct{}) {
	t.Helper()
	arrived, release = make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(arrived)
			<-release
		}
		_, _ = io.WriteString(w, r.URL.Path+" of "+r.Host)
	}))
	t.Cleanup(s.Close)
	_, port, _ = net.SplitHostPort(s.Listener.Addr().String())
	return port, arrived, release
}

// running is the built command, serving.
type running struct {
	cmd            *exec.Cmd
	gateway, debug string // their addresses
	errors         *bytes.Buffer
	ended          chan struct{}
}

var onAddress = regexp.MustCompile(`^(gateway default/edge|debug pages) on http://(127\.0\.0\.1:[1-9][0-9]*)\n$`)

// start runs the built command until it says where it listens.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	r := &running{cmd: exec.Command(path, append([]string{"run", "-listen", "127.0.0.1:0", "-debug", "127.0.0.1:0"}, args...)...),
		errors: new(bytes.Buffer), ended: make(chan struct{})}
	r.cmd.Stderr = r.errors
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	for range 2 {
		line, err := lines.ReadString('\n')
		m := onAddress.FindStringSubmatch(line)
		if m == nil {
			_ = r.cmd.Process.Kill()
			_ = r.cmd.Wait()
			t.Fatalf("got %q, %v, want an address; errors: %s", line, err, r.errors)
		}
		if m[1] == "debug pages" {
			r.debug = m[2]
		} else {
			r.gateway = m[2]
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		_ = r.cmd.Wait()
		close(r.ended)
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		<-r.ended
	})
	return r
}

// client keeps no connection.
func client(t *testing.T) *http.Client {
	tr := &http.Transport{DisableKeepAlives: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// get asks an address for a path of a host, and returns status and body.
func get(t *testing.T, c *http.Client, address, host, path string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// eventually asks until the answer is as wanted.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for tick := time.Tick(20 * time.Millisecond); !ok(); {
		select {
		case <-tick:
		case <-ctx.Done():
			t.Fatal("in vain: ", what)
		}
	}
}

func rules(port, path string) string {
	return strings.NewReplacer("{PORT}", port, "{PATH}", path).Replace(shop)
}

// TestRun serves with the real command: requests, debug pages, a change of the files, a broken file, and the end.
func TestRun(t *testing.T) {
	port, arrived, release := carts(t)
	dir := folder(t, "shop.yaml", rules(port, "/cart/"))
	r, c := start(t, "-f", dir, "-watch"), client(t)

	for _, tt := range []struct {
		name, host, path string
		code             int
		body             string
	}{
		{"routed", "shop.example", "/cart/7", 200, "/7 of shop.example"},
		{"no route", "shop.example", "/other", 404, ""},
		{"no host", "other.example", "/cart/7", 404, ""},
	} {
		code, body, err := get(t, c, r.gateway, tt.host, tt.path)
		if err != nil || code != tt.code || body != tt.body {
			t.Errorf("%s: got %d %q, %v, want %d %q", tt.name, code, body, err, tt.code, tt.body)
		}
	}

	for _, page := range []string{"rules", "findings", "hosts", "clusters", "reloads", "graph",
		"explain?gateway=edge&url=http://shop.example/cart/1"} {
		code, body, err := get(t, c, r.debug, "", "/debug/mesh/"+page)
		if err != nil || code != 200 || !json.Valid([]byte(body)) {
			t.Errorf("%s: got %d %.200s, %v, want JSON", page, code, body, err)
		}
	}
	if code, body, err := get(t, c, r.debug, "", "/metrics"); err != nil || code != 200 || !strings.Contains(body, "istio_requests_total{") {
		t.Errorf("metrics: got %d %.200s, %v", code, body, err)
	}
	if code, body, err := get(t, c, r.debug, "", "/readyz"); err != nil || code != 200 {
		t.Errorf("readyz: got %d %s, %v, want 200", code, body, err)
	}

	write(t, dir, "shop.yaml", rules(port, "/basket/"))
	eventually(t, "the change of the rules", func() bool {
		code, _, _ := get(t, c, r.gateway, "shop.example", "/basket/7")
		return code == 200
	})
	write(t, dir, "shop.yaml", "kind: [")
	eventually(t, "the failed reload", func() bool {
		_, body, _ := get(t, c, r.debug, "", "/debug/mesh/reloads")
		return strings.Contains(body, "shop.yaml:1")
	})
	if code, body, err := get(t, c, r.gateway, "shop.example", "/basket/7"); err != nil || code != 200 {
		t.Errorf("after a broken file: got %d %s, %v, want the rules before", code, body, err)
	}

	if runtime.GOOS == "windows" {
		t.Skip("no SIGTERM on Windows")
	}
	answer := make(chan string, 1)
	go func() {
		_, body, err := get(t, c, r.gateway, "shop.example", "/basket/slow")
		if err != nil {
			body = err.Error()
		}
		answer <- body
	}()
	<-arrived
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "not ready", func() bool {
		code, _, _ := get(t, c, r.debug, "", "/readyz")
		return code == 503
	})
	eventually(t, "no new connections", func() bool {
		_, _, err := get(t, c, r.gateway, "shop.example", "/basket/7")
		return err != nil
	})
	select {
	case <-r.ended:
		t.Fatal("the command ended with a request under way")
	default:
	}
	close(release)
	if got := <-answer; got != "/slow of shop.example" {
		t.Errorf("the request under way got %q", got)
	}
	<-r.ended
	if code := r.cmd.ProcessState.ExitCode(); code != exitOK {
		t.Errorf("got exit code %d, want 0; errors: %s", code, r.errors)
	}
}

// TestRunRefuses: which gateway is meant has to be clear, and everything has to be there before it serves.
func TestRunRefuses(t *testing.T) {
	gateway := func(namespace, name string) string {
		return "---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: " + name + ", namespace: " + namespace + "}\n" +
			"spec: {servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [\"*\"]}]}\n"
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for _, tt := range []struct {
		name, rules string
		args        []string
		code        int
		want        string
	}{
		{"no gateway", clean, nil, exitUsage, "the rules have no Gateway and no Ingress"},
		{"two", gateway("default", "a") + gateway("default", "b"), nil, exitUsage, "choose one of the gateways with -gateway: default/a, default/b"},
		{"unknown", gateway("default", "a"), []string{"-gateway", "c"}, exitUsage, `no gateway "c" among default/a`},
		{"one name in two namespaces", gateway("one", "a") + gateway("two", "a"), []string{"-gateway", "a"}, exitUsage, `several gateways are called "a": choose one of one/a, two/a`},
		{"bad rules", typos, nil, exitInvalid, "rules.yaml:7:5: error: "},
		{"no rules", "", nil, exitInvalid, "no rule in the file"},
		{"address in use", gateway("default", "a"), []string{"-listen", taken.Addr().String()}, exitUsage, "address already in use"},
		{"no address", gateway("default", "a"), []string{"-listen", "nowhere"}, exitUsage, "missing port"},
		{"debug address in use", gateway("default", "a"), []string{"-listen", "127.0.0.1:0", "-debug", taken.Addr().String()}, exitUsage, "address already in use"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && strings.Contains(tt.want, "in use") {
				t.Skip("Windows says it in other words")
			}
			dir := folder(t, "rules.yaml", tt.rules)
			got := inmesh(t, append([]string{"run", "-f", dir}, tt.args...)...)
			if got.code != tt.code || !strings.Contains(got.errors, tt.want) {
				t.Errorf("got %+v, want code %d and %q", got, tt.code, tt.want)
			}
		})
	}
}

// TestRunChooses: a full name is taken, and a lone gateway needs none.
func TestRunChooses(t *testing.T) {
	for _, args := range [][]string{nil, {"-gateway", "edge"}, {"-gateway", "default/edge"}} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // it serves, and ends at once
		var out, errs bytes.Buffer
		code := execute(ctx, append([]string{"run", "-f", folder(t, "shop.yaml", rules("80", "/")), "-listen", "127.0.0.1:0"}, args...), &out, &errs)
		if code != exitOK || !strings.HasPrefix(out.String(), "gateway default/edge on http://127.0.0.1:") {
			t.Errorf("%q: got %d, %s%s, want code 0 and the gateway", args, code, out.String(), errs.String())
		}
	}
}
