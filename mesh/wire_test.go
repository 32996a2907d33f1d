package mesh_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-inmesh/inmesh/mesh"
)

// speak runs a server that says nothing of its own: each connection is handed to f, and closed after it.
func speak(t testing.TB, f func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			f(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
	return ln.Addr().String()
}

// request reads a request's head.
func request(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil || strings.TrimSpace(line) == "" {
			return
		}
	}
}

// frame is an HTTP/2 frame.
func frame(kind, flags byte, stream byte, payload ...byte) []byte {
	return append([]byte{0, 0, byte(len(payload)), kind, flags, 0, 0, 0, stream}, payload...)
}

// resetting is an HTTP/2 server that resets every first stream with the code.
func resetting(code byte) func(net.Conn) {
	return func(c net.Conn) {
		preface := make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
		if _, err := io.ReadFull(c, preface); err != nil {
			return
		}
		_, _ = c.Write(frame(4, 0, 0)) // SETTINGS
		head := make([]byte, 9)
		for {
			if _, err := io.ReadFull(c, head); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, c, int64(head[0])<<16|int64(head[1])<<8|int64(head[2])); err != nil {
				return
			}
			switch head[3] {
			case 1: // HEADERS
				_, _ = c.Write(frame(3, 0, head[8], 0, 0, 0, code)) // RST_STREAM
			case 4:
				if head[4] == 0 {
					_, _ = c.Write(frame(4, 1, 0))
				}
			}
		}
	}
}

// wireCase is a failure on a real connection, and what a sidecar would have told of it.
type wireCase struct {
	name, protocol string
	upstream       func(testing.TB) string
	dr, http       string
	dial           func(context.Context, string, string) (net.Conn, error)
	code           int
	flags          string
	body           string // with TLS, how it begins
	details        string
	attempts       int
}

const before = "upstream connect error or disconnect/reset before headers. "

var wireCases = []wireCase{
	{name: "nobody listens", upstream: closedPort, code: 503, flags: "UF", attempts: 1,
		body:    before + "reset reason: remote connection failure, transport failure reason: delayed connect error: Connection refused",
		details: "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"},
	{name: "nobody listens, twice", upstream: closedPort, http: "retries: {attempts: 1, retryOn: connect-failure, backoff: 1ms}", code: 503, flags: "UF,URX", attempts: 2,
		body:    before + "retried and the latest reset reason: remote connection failure, transport failure reason: delayed connect error: Connection refused",
		details: "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"},
	{name: "no answer to SYN", upstream: closedPort, dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
	}, code: 503, flags: "UF", attempts: 1, body: before + "reset reason: connection timeout",
		details: "upstream_reset_before_response_started{connection_timeout}"},
	{name: "closed after the request", upstream: spoken(request), code: 503, flags: "UC", attempts: 1,
		body: before + "reset reason: connection termination", details: "upstream_reset_before_response_started{connection_termination}"},
	{name: "reset after the request", upstream: spoken(func(c net.Conn) {
		request(c)
		_ = c.(*net.TCPConn).SetLinger(0)
	}), code: 503, flags: "UC", attempts: 1, body: before + "reset reason: connection termination",
		details: "upstream_reset_before_response_started{connection_termination}"},
	{name: "half a head", upstream: spoken(func(c net.Conn) {
		request(c)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n")
	}), code: 503, flags: "UC", attempts: 1, body: before + "reset reason: connection termination",
		details: "upstream_reset_before_response_started{connection_termination}"},
	{name: "not HTTP", upstream: spoken(func(c net.Conn) {
		request(c)
		_, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.9\r\n\r\n")
	}), code: 502, flags: "UPE", attempts: 1, body: before + "reset reason: protocol error",
		details: "upstream_reset_before_response_started{protocol_error}"},
	{name: "a stream is reset", protocol: "http2", upstream: spoken(resetting(2)), code: 503, flags: "UR", attempts: 1,
		body: before + "reset reason: remote reset", details: "upstream_reset_before_response_started{remote_reset}"},
	{name: "a stream is refused", protocol: "http2", upstream: spoken(resetting(7)), code: 503, flags: "UR", attempts: 1,
		body: before + "reset reason: remote refused stream reset", details: "upstream_reset_before_response_started{remote_refused_stream_reset}"},
	{name: "a stream breaks the protocol", protocol: "http2", upstream: spoken(resetting(1)), code: 502, flags: "UPE", attempts: 1,
		body: before + "reset reason: protocol error", details: "upstream_reset_before_response_started{protocol_error}"},
	{name: "not TLS", upstream: spoken(func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
	}), dr: "trafficPolicy: {tls: {mode: SIMPLE}}", code: 503, flags: "UF", attempts: 1,
		body: before + "reset reason: remote connection failure, transport failure reason: TLS_error: "},
	{name: "no answer in time", upstream: spoken(silent), http: "timeout: 50ms, retries: {attempts: 0}", code: 504, flags: "UT", attempts: 1,
		body: "upstream request timeout", details: "response_timeout"},
	{name: "no answer to any attempt", upstream: spoken(silent), http: "retries: {attempts: 1, perTryTimeout: 50ms, retryOn: reset, backoff: 1ms}", code: 504, flags: "UT,URX", attempts: 2,
		body: "upstream request timeout", details: "upstream_per_try_timeout"},
	{name: "no endpoints", upstream: closedPort, dr: "subsets: [{name: none, labels: {version: v9}}]", http: "retries: {attempts: 0}, route: [{destination: {host: a.com, subset: none}}]",
		code: 503, flags: "UH", attempts: 1, body: "no healthy upstream", details: "no_healthy_upstream"},
	{name: "no such subset", upstream: closedPort, http: "route: [{destination: {host: a.com, subset: v9}}]", code: 503, flags: "NC", details: "cluster_not_found"},
	{name: "no such route", upstream: closedPort, http: "match: [{uri: {exact: /x}}], route: [{destination: {host: a.com}}]", code: 404, flags: "NR", details: "route_not_found"},
}

func closedPort(t testing.TB) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	return ln.Addr().String()
}

func spoken(f func(net.Conn)) func(testing.TB) string {
	return func(t testing.TB) string { return speak(t, f) }
}

// silent takes what comes and says nothing, until the client goes.
func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// mesh is one in which a.com fails so, for clients and at a gateway named edge.
func (tt *wireCase) mesh(t *testing.T, log io.Writer, local bool) *mesh.Mesh {
	protocol := tt.protocol
	if protocol == "" {
		protocol = "http"
	}
	http := tt.http
	if http == "" {
		http = "retries: {attempts: 0}"
	}
	if !strings.Contains(http, "route:") {
		http += ", " + to("a.com")
	}
	docs := []string{entryPort("a.com", 80, protocol, tt.upstream(t)), edge(`[{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]`),
		virtualNamed("a.com", "a.com", "gateways: [mesh, edge]", "[{"+http+"}]")}
	if tt.dr != "" {
		docs = append(docs, destination("a.com", tt.dr))
	}
	return open(t, rules(docs...), &mesh.Options{LocalReplies: local, Dial: tt.dial, AccessLog: slog.New(slog.NewJSONHandler(log, nil))})
}

// told is what an access log has of a request.
type told struct {
	Code    int    `json:"response_code"`
	Flags   string `json:"response_flags"`
	Details string `json:"response_code_details"`
}

// TestWire holds every failure against what a sidecar tells of it: in errors, in local replies, at gateways, in
// outcomes and in the access log.
func TestWire(t *testing.T) {
	for _, tt := range wireCases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			log := newBuffer()
			check := func(how, flags, body string, code int) {
				t.Helper()
				whole := tt.details != "" || tt.body == ""
				if code != tt.code || flags != tt.flags || !strings.HasPrefix(body, tt.body) || whole && body != tt.body {
					t.Errorf("%s: got %d %s %q, want %d %s %q", how, code, flags, body, tt.code, tt.flags, tt.body)
				}
			}
			outcome := func(how string, resp *http.Response, err error) string {
				t.Helper()
				o := mesh.Outcome(resp, err)
				if o == nil || o.Code != tt.code || o.Attempts != tt.attempts || o.Err == nil {
					t.Fatalf("%s: outcome %+v", how, o)
				}
				return o.Flags
			}

			m := tt.mesh(t, log, false)
			_, err := clientOf(m, nil).Do(newRequest(t, "GET", "http://a.com/", nil))
			e, ok := errors.AsType[refusal](err)
			if !ok {
				t.Fatalf("got %v, want a refusal", err)
			}
			check("error", e.ResponseFlag(), tt.body, e.StatusCode())
			outcome("error", nil, err)

			local := tt.mesh(t, log, true)
			resp, err := clientOf(local, nil).Do(newRequest(t, "GET", "http://a.com/", nil))
			if err != nil {
				t.Fatal(err)
			}
			check("local reply", outcome("local reply", resp, nil), drain(t, resp), resp.StatusCode)

			w := httptest.NewRecorder()
			m.Gateway("edge").ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "http://a.com/", nil))
			check("gateway", tt.flags, w.Body.String(), w.Code)

			eventually(t, "three lines in the access log", func() bool { return strings.Count(log.String(), "\n") == 3 })
			var got []told
			for line := range strings.Lines(log.String()) {
				var r told
				if err := json.Unmarshal([]byte(line), &r); err != nil {
					t.Fatal(err)
				}
				if tt.details == "" {
					r.Details = ""
				}
				got = append(got, r)
			}
			want := told{tt.code, tt.flags, tt.details}
			if diff := cmp.Diff(got, []told{want, want, want}); diff != "" {
				t.Errorf("access log (-got +want):\n%s", diff)
			}
		})
	}
}

// TestWireOverflow has a second request find the pool full.
func TestWireOverflow(t *testing.T) {
	log := newBuffer()
	tt := wireCase{upstream: spoken(silent), dr: "trafficPolicy: {connectionPool: {http: {http2MaxRequests: 1}}}", http: "timeout: 2s"}
	m := tt.mesh(t, log, true)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://a.com/", nil)
		if resp, err := clientOf(m, nil).Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}()
	eventually(t, "a request under way", func() bool {
		w := httptest.NewRecorder()
		m.DebugHandler().ServeHTTP(w, httptest.NewRequest("GET", "/debug/mesh/clusters", nil))
		return strings.Contains(w.Body.String(), `"active": 1`)
	})
	resp, err := clientOf(m, nil).Do(newRequest(t, "GET", "http://a.com/", nil))
	if err != nil {
		t.Fatal(err)
	}
	if got := drain(t, resp); resp.StatusCode != 503 || got != before+"reset reason: overflow" || resp.Header.Get("X-Envoy-Overloaded") != "true" || mesh.Outcome(resp, nil).Flags != "UO" {
		t.Errorf("got %d %q %v %+v", resp.StatusCode, got, resp.Header, mesh.Outcome(resp, nil))
	}
	cancel()
	<-done
	eventually(t, "overflow in the access log", func() bool {
		return strings.Contains(log.String(), `"response_code_details":"upstream_reset_before_response_started{overflow}"`)
	})
}

// TestWireGRPC retries by the gRPC status that comes with the headers, over HTTP/2; one that comes after data is the
// caller's.
func TestWireGRPC(t *testing.T) {
	tests := []struct {
		name, retryOn, header string
		trailersOnly          bool
		status                string
		attempts              int
	}{
		{"unavailable by default", "", "", true, "14", 3},
		{"cancelled by default", "", "", true, "1", 3},
		{"internal is not", "", "", true, "13", 1},
		{"internal is asked for", "retryOn: internal", "", true, "13", 3},
		{"the caller asks", "", "x-envoy-retry-grpc-on: resource-exhausted,deadline-exceeded", true, "8", 3},
		{"after data", "", "", false, "14", 1},
		{"ok", "", "", true, "0", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tries := 0
			addr := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tries++
				w.Header().Set("Content-Type", "application/grpc")
				if tt.trailersOnly {
					w.Header().Set("Grpc-Status", tt.status)
					return
				}
				_, _ = w.Write([]byte{0, 0, 0, 0, 0})
				w.Header().Set(http.TrailerPrefix+"Grpc-Status", tt.status)
			}))
			policy := ""
			if tt.retryOn != "" {
				policy = "retries: {attempts: 2, backoff: 1ms, " + tt.retryOn + "}, "
			}
			m := open(t, rules(entryPort("a.com", 80, "grpc", addr), virtual("a.com", "[{"+policy+to("a.com")+"}]")), nil)
			header := []string{"content-type: application/grpc", "te: trailers"}
			if tt.header != "" {
				header = append(header, tt.header)
			}
			resp, err := clientOf(m, nil).Do(newRequest(t, "POST", "http://a.com/pkg.Service/Method", strings.NewReader("\x00\x00\x00\x00\x00"), header...))
			if err != nil {
				t.Fatal(err)
			}
			drain(t, resp)
			status := resp.Header.Get("Grpc-Status")
			if !tt.trailersOnly {
				status = resp.Trailer.Get("Grpc-Status")
			}
			if tries != tt.attempts || mesh.Outcome(resp, nil).Attempts != tt.attempts || status != tt.status || resp.ProtoMajor != 2 {
				t.Errorf("%d tries, status %s over %s; want %d, %s", tries, status, resp.Proto, tt.attempts, tt.status)
			}
		})
	}
}
