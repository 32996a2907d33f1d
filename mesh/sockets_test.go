package mesh_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

// listen runs a handler on loopback, over HTTP/1.1 and HTTP/2 without TLS, and gives its address.
func listen(t testing.TB, h http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// proto answers with the protocol and the authority.
var proto = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, r.Proto+" "+r.Host+" "+r.URL.RequestURI())
})

func TestSocketsProtocols(t *testing.T) {
	addr := listen(t, proto)
	tests := []struct{ name, protocol, dr, contentType, want string }{
		{"http", "http", "", "", "HTTP/1.1"},
		{"http2", "http2", "", "", "HTTP/2.0"},
		{"grpc", "grpc", "", "", "HTTP/2.0"},
		{"grpc on a port named http", "http", "", "application/grpc", "HTTP/2.0"},
		{"asked to upgrade", "http", "trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}", "", "HTTP/2.0"},
		{"asked not to upgrade", "http", "trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: DO_NOT_UPGRADE}}}", "", "HTTP/1.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			docs := []string{entryPort("a.com", 80, tt.protocol, addr)}
			if tt.dr != "" {
				docs = append(docs, destination("a.com", tt.dr))
			}
			client := clientOf(open(t, rules(docs...), nil), nil)
			got := meshtest.Do(t, client, "GET", "http://a.com/x?y", "content-type: "+tt.contentType)
			if want := tt.want + " a.com /x?y"; got.Body != want {
				t.Errorf("got %q (%v), want %q", got.Body, got.Err, want)
			}
		})
	}
}

func TestSocketsPassthrough(t *testing.T) {
	addr := listen(t, proto)
	got := meshtest.Do(t, clientOf(open(t, "", nil), nil), "GET", "http://"+addr+"/x")
	if want := "HTTP/1.1 " + addr + " /x"; got.Body != want {
		t.Errorf("got %q (%v), want %q", got.Body, got.Err, want)
	}
}

func TestSocketsUnix(t *testing.T) {
	dir, err := os.MkdirTemp("", "s") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ln, err := net.Listen("unix", dir+"/app.sock")
	if err != nil {
		t.Skip("no unix sockets here:", err)
	}
	server := &httptest.Server{Listener: ln, Config: &http.Server{Handler: proto}}
	server.Start()
	t.Cleanup(server.Close)
	client := clientOf(open(t, entry("a.com", "unix://"+dir+"/app.sock"), nil), nil)
	if got := meshtest.Do(t, client, "GET", "http://a.com/x"); got.Body != "HTTP/1.1 a.com /x" {
		t.Errorf("got %q, %v", got.Body, got.Err)
	}
}

func TestSocketsConnectionRefused(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	m := open(t, rules(entry("a.com", ln.Addr().String()), virtual("a.com", "[{retries: {attempts: 0}, route: [{destination: {host: a.com}}]}]")), nil)
	got := meshtest.Do(t, clientOf(m, nil), "GET", "http://a.com/")
	if verdict(got.Err) != "503 UF" || !strings.Contains(got.Err.Error(), "refused") {
		t.Errorf("got %v", got.Err)
	}
}

// Connections are kept and used again; a limit of one request each is kept too.
func TestSocketsKeepAlive(t *testing.T) {
	for policy, want := range map[string]int32{"": 1, "trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 1}}}": 3} {
		var conns atomic.Int32
		server := httptest.NewUnstartedServer(proto)
		server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				conns.Add(1)
			}
		}
		server.Start()
		docs := []string{entry("a.com", server.Listener.Addr().String())}
		if policy != "" {
			docs = append(docs, destination("a.com", policy))
		}
		client := clientOf(open(t, rules(docs...), nil), nil)
		for range 3 {
			meshtest.Do(t, client, "GET", "http://a.com/")
		}
		if got := conns.Load(); got != want {
			t.Errorf("with %q: %d connections, want %d", policy, got, want)
		}
		client.CloseIdleConnections()
		server.Close()
	}
}

// reflect reads the whole body and answers with its size and hash, then sends as much back.
var reflectBody = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	n, _ := io.Copy(h, r.Body)
	w.Header().Set("Trailer", "X-Sum")
	for left := n; left > 0; {
		k := min(left, 32<<10)
		_, _ = w.Write(bytes.Repeat([]byte("x"), int(k)))
		left -= k
	}
	w.Header().Set("X-Sum", fmt.Sprintf("%x", h.Sum(nil)))
})

func TestSocketsBigBodies(t *testing.T) {
	const size = 8 << 20
	payload := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	want := fmt.Sprintf("%x", sha256.Sum256(payload))
	addr := listen(t, reflectBody)
	for _, protocol := range []string{"http", "grpc"} {
		m := open(t, rules(entryPort("a.com", 80, protocol, addr), virtual("a.com", "[{timeout: 1m, retries: {attempts: 2, retryOn: 5xx}, route: [{destination: {host: a.com}}]}]"),
			edge(`[{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]`), virtualNamed("in", "*", "gateways: [edge]", "[{route: [{destination: {host: a.com}}]}]")), nil)
		through := listen(t, m.Gateway("edge"))
		for _, target := range []string{"http://a.com/", "http://" + through + "/"} {
			for _, whole := range []bool{true, false} {
				var in io.Reader = bytes.NewReader(payload)
				if !whole {
					in = io.MultiReader(in) // of unknown length, and not to be read twice
				}
				resp, err := clientOf(m, nil).Do(newRequest(t, "POST", target, in))
				if err != nil {
					t.Fatal(err)
				}
				n, err := io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if n != size || err != nil || resp.Trailer.Get("X-Sum") != want {
					t.Errorf("%s %s whole %t: got %d bytes, %v, sum %s", protocol, target, whole, n, err, resp.Trailer.Get("X-Sum"))
				}
			}
		}
	}
}

// upgrade speaks a protocol of its own after the handshake: it echoes lines.
var upgrade = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "websocket" {
		http.Error(w, "no upgrade", http.StatusBadRequest)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n")
	_ = rw.Flush()
	for {
		line, err := rw.ReadString('\n')
		if err != nil {
			return
		}
		_, _ = rw.WriteString("echo " + line)
		_ = rw.Flush()
	}
})

func TestSocketsWebSocket(t *testing.T) {
	m := open(t, rules(entry("a.com", listen(t, upgrade)), virtual("a.com", "[{timeout: 200ms, retries: {attempts: 2, retryOn: 5xx, perTryTimeout: 100ms}, route: [{destination: {host: a.com}}]}]"),
		edge(`[{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]`),
		virtualNamed("in", "*", "gateways: [edge]", "[{timeout: 200ms, route: [{destination: {host: a.com}}]}]")), nil)
	through := listen(t, m.Gateway("edge"))
	for name, target := range map[string]string{"Transport": "http://a.com/ws", "Gateway": "http://" + through + "/ws"} {
		t.Run(name, func(t *testing.T) {
			resp, err := clientOf(m, nil).Do(newRequest(t, "GET", target, nil, "connection: Upgrade", "upgrade: websocket"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			if resp.StatusCode != 101 || resp.Header.Get("Sec-Websocket-Accept") != "x" {
				t.Fatalf("got %s %v", resp.Status, resp.Header)
			}
			conn, in := resp.Body.(io.ReadWriteCloser), bufio.NewReader(resp.Body)
			for i := range 3 {
				if i == 2 {
					time.Sleep(300 * time.Millisecond) // longer than the route's timeout, which ended with the handshake
				}
				_, _ = fmt.Fprintf(conn, "%d\n", i)
				if got, err := in.ReadString('\n'); got != fmt.Sprintf("echo %d\n", i) {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
}

// Events arrive as they are sent, not when the stream ends.
func TestSocketsServerSentEvents(t *testing.T) {
	next := make(chan struct{})
	m := open(t, rules(entry("a.com", listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := 0; ; i++ {
			_, _ = fmt.Fprintf(w, "data: %d\n", i)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	}))), edge(`[{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]`), virtualNamed("in", "*", "gateways: [edge]", "[{route: [{destination: {host: a.com}}]}]")), nil)
	through := listen(t, m.Gateway("edge"))
	for _, target := range []string{"http://a.com/", "http://" + through + "/"} {
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := clientOf(m, nil).Do(newRequest(t, "GET", target, nil).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(resp.Body)
		for i := range 3 {
			if want := fmt.Sprintf("data: %d", i); !lines.Scan() || lines.Text() != want {
				t.Errorf("%s: got %q (%v), want %q", target, lines.Text(), lines.Err(), want)
			}
			next <- struct{}{}
		}
		cancel() // reaches the upstream, through the gateway
		_ = resp.Body.Close()
	}
}

func TestSocketsEarlyHints(t *testing.T) {
	m := open(t, rules(entry("a.com", listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
	}))), edge(`[{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]`),
		virtualNamed("in", "*", "gateways: [edge]", "[{retries: {attempts: 2, retryOn: 5xx}, route: [{destination: {host: a.com}}]}]")), nil)
	through := listen(t, m.Gateway("edge"))
	for _, target := range []string{"http://a.com/", "http://" + through + "/"} {
		var got []string
		req := newRequest(t, "GET", target, nil)
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			got = append(got, fmt.Sprint(code, " ", h.Get("Link")))
			return nil
		}}))
		resp, err := clientOf(m, nil).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		drain(t, resp)
		if diff := cmp.Diff(got, []string{"103 </a.css>"}); diff != "" {
			t.Errorf("%s (-got +want):\n%s", target, diff)
		}
	}
}

// With Expect: 100-continue the body is not sent before the server wants it.
func TestSocketsExpectContinue(t *testing.T) {
	addr := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusExpectationFailed)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, n)
	}))
	m := open(t, entry("a.com", addr), nil)
	for _, host := range []string{"a.com", addr} {
		in := newBody("payload")
		req := newRequest(t, "PUT", "http://"+host+"/no", in, "expect: 100-continue")
		req.ContentLength = 7
		resp, err := clientOf(m, nil).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		drain(t, resp)
		if resp.StatusCode != 417 || in.reads.Load() != 0 {
			t.Errorf("%s: got %d, the body was read %d times, want none", host, resp.StatusCode, in.reads.Load())
		}
		eventually(t, "the body is closed", func() bool { return in.closes.Load() > 0 })
		req = newRequest(t, "PUT", "http://"+host+"/yes", strings.NewReader("payload"), "expect: 100-continue")
		resp, err = clientOf(m, nil).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := drain(t, resp); got != "7" {
			t.Errorf("%s: the server got %s bytes, want 7", host, got)
		}
	}
}

// A client that leaves ends the request upstream, and does not count against the endpoint.
func TestSocketsCancelReachesTheUpstream(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	m := open(t, rules(entry("a.com", listen(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		close(ended)
	}))), destination("a.com", "trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}}")), nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-began; cancel() }()
	resp, err := clientOf(m, nil).Do(newRequest(t, "GET", "http://a.com/", nil).WithContext(ctx))
	if err == nil {
		t.Fatalf("got %s", resp.Status)
	}
	<-ended
	e, err := m.Explain(newRequest(t, "GET", "http://a.com/", nil))
	if err != nil || len(e.Destinations[0].Ejected) > 0 {
		t.Errorf("%+v, %v: the endpoint is ejected because its client has left", e, err)
	}
}

// The mesh dials with what Options say.
func TestSocketsDial(t *testing.T) {
	addr := listen(t, proto)
	var dialled []string
	m := open(t, entry("a.com", "10.9.8.7"), &mesh.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		dialled = append(dialled, network+" "+address)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}})
	got := meshtest.Do(t, clientOf(m, nil), "GET", "http://a.com/x")
	if diff := cmp.Diff(dialled, []string{"tcp 10.9.8.7:80"}); diff != "" || got.Body != "HTTP/1.1 a.com /x" {
		t.Errorf("got %+v; dialled (-got +want):\n%s", got, diff)
	}
}
