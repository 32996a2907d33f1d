package observe_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/go-inmesh/inmesh/observe"
)

// told is what became of the one request that the registry counts.
func told(t *testing.T, reg *prometheus.Registry) string {
	t.Helper()
	lines := samples(t, reg, "istio_requests_total")
	if len(lines) != 1 {
		t.Fatalf("got %d series, want 1: %s", len(lines), strings.Join(lines, "\n"))
	}
	return labels(t, lines[0], "response_code", "response_flags")
}

func TestResponseBodies(t *testing.T) {
	broken := errors.New("broken")
	body := func(r io.Reader) *http.Response {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(r), ContentLength: -1}
	}
	tests := []struct {
		name string
		resp *http.Response
		read func(t *testing.T, resp *http.Response, cancel func())
		want string
		sent int64
	}{
		{name: "read to the end", resp: body(strings.NewReader("hello")), sent: 5, want: "200 - via_upstream",
			read: func(t *testing.T, resp *http.Response, _ func()) { _, _ = io.ReadAll(resp.Body) }},
		{name: "read to the end, closed twice", resp: body(strings.NewReader("hello")), sent: 5, want: "200 - via_upstream",
			read: func(t *testing.T, resp *http.Response, _ func()) {
				_, _ = io.ReadAll(resp.Body)
				_, _ = resp.Body.Close(), resp.Body.Close()
			}},
		{name: "data and end at once", resp: body(iotest.DataErrReader(strings.NewReader("hello"))), sent: 5,
			want: "200 - via_upstream",
			read: func(t *testing.T, resp *http.Response, _ func()) { _, _ = io.ReadAll(resp.Body) }},
		{name: "closed early", resp: body(strings.NewReader("hello")), sent: 2, want: "200 - via_upstream",
			read: func(t *testing.T, resp *http.Response, _ func()) {
				_, _ = io.ReadFull(resp.Body, make([]byte, 2))
				_ = resp.Body.Close()
			}},
		{name: "left", resp: body(strings.NewReader("hello")), sent: 2, want: "200 DC downstream_remote_disconnect",
			read: func(t *testing.T, resp *http.Response, cancel func()) {
				_, _ = io.ReadFull(resp.Body, make([]byte, 2))
				cancel()
				_ = resp.Body.Close()
			}},
		{name: "broken", resp: body(io.MultiReader(strings.NewReader("he"), iotest.ErrReader(broken))), sent: 2,
			want: "200 UC upstream_reset_after_response_started{connection_termination}",
			read: func(t *testing.T, resp *http.Response, _ func()) {
				if _, err := io.ReadAll(resp.Body); !errors.Is(err, broken) {
					t.Errorf("got %v, want %v", err, broken)
				}
				_ = resp.Body.Close()
			}},
		{name: "known length, left after the last byte", want: "200 - via_upstream", sent: 5,
			resp: &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("hello")), ContentLength: 5},
			read: func(t *testing.T, resp *http.Response, cancel func()) {
				_, _ = io.ReadFull(resp.Body, make([]byte, 5))
				cancel()
				_ = resp.Body.Close()
			}},
		{name: "none", resp: &http.Response{StatusCode: 204}, want: "204 - via_upstream",
			read: func(t *testing.T, resp *http.Response, _ func()) {
				if resp.Body == nil {
					t.Error("got no body, want one to close")
				}
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			reg := prometheus.NewRegistry()
			o := newObserver(t, &observe.Options{Registerer: reg})
			e := &ender{}
			c := &observe.Call{Ended: e}
			o.StartClient(c, newRequest(t, "GET", "http://a/", nil).WithContext(ctx))
			c.Response(tt.resp)
			tt.read(t, tt.resp, cancel)
			c.Settle(broken) // settled already
			r := c.Record
			line := strings.Fields(observe.Line(&r))
			if got := strings.Join(line[4:7], " "); got != tt.want || r.BytesSent != tt.sent || e.n != 1 {
				t.Errorf("got %s, %d bytes, ended %d times; want %s, %d bytes, once", got, r.BytesSent, e.n, tt.want, tt.sent)
			}
			_ = told(t, reg)
		})
	}
}

type ender struct{ n int }

func (e *ender) CallEnded(c *observe.Call, _ error) { e.n++ }

func TestRequestBody(t *testing.T) {
	reg := prometheus.NewRegistry()
	o := newObserver(t, &observe.Options{Registerer: reg})
	c := &observe.Call{}
	if got := c.RequestBody(nil); got != nil {
		t.Errorf("got %v, want nil", got)
	}
	if got := c.RequestBody(http.NoBody); got != http.NoBody {
		t.Errorf("got %v, want http.NoBody", got)
	}
	o.StartClient(c, newRequest(t, "POST", "http://a/", nil))
	body := c.RequestBody(io.NopCloser(strings.NewReader("0123456789")))
	_, _ = io.CopyN(io.Discard, body, 7)
	c.Fail(io.EOF)
	_, _ = io.ReadAll(body) // too late to count
	if c.Record.BytesReceived != 7 {
		t.Errorf("got %d bytes, want 7", c.Record.BytesReceived)
	}
}

func TestTransportLeavesTheRequestAlone(t *testing.T) {
	o := newObserver(t, nil)
	req := newRequest(t, "POST", "http://a/", strings.NewReader("x"))
	req.Header = nil
	body := req.Body
	var seen *http.Request
	resp, err := o.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		seen = r
		return &http.Response{StatusCode: 200}, r.Body.Close()
	})).RoundTrip(req)
	if err != nil || resp.Body == nil {
		t.Fatalf("got %v, %v", resp, err)
	}
	if req.Header != nil || req.Body != body || seen.Header.Get("X-Request-Id") == "" {
		t.Errorf("got %v sent, %v kept", seen.Header, req.Header)
	}
	idle := &idler{}
	c := http.Client{Transport: o.Transport(idle)}
	c.CloseIdleConnections()
	if !idle.closed {
		t.Error("CloseIdleConnections was not passed on")
	}
	want := errors.New("no URL")
	if _, err := o.Transport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, want })).RoundTrip(
		&http.Request{}); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

type idler struct {
	http.RoundTripper
	closed bool
}

func (i *idler) CloseIdleConnections() { i.closed = true }

// TestOverTheWire has both sides count real requests, by HTTP/1.1 and HTTP/2.
func TestOverTheWire(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprint("http2=", http2), func(t *testing.T) {
			source, destination := prometheus.NewRegistry(), prometheus.NewRegistry()
			inner := newObserver(t, &observe.Options{Registerer: destination, Workload: reviews})
			s := httptest.NewUnstartedServer(inner.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				_, _ = io.Copy(io.Discard, req.Body)
				w.Header().Set("Trailer", "Grpc-Status")
				w.WriteHeader(http.StatusEarlyHints)
				w.WriteHeader(200)
				_, _ = io.WriteString(w, "hello")
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Error(err)
				}
				w.Header().Set("Grpc-Status", "7")
			})))
			s.EnableHTTP2 = http2
			s.StartTLS()
			defer s.Close()
			base := s.Client().Transport.(*http.Transport)
			base.ForceAttemptHTTP2 = http2
			o := newObserver(t, &observe.Options{Registerer: source, Workload: productpage})
			req := newRequest(t, "POST", s.URL, strings.NewReader("1234567"))
			req.Header.Set("Content-Type", "application/grpc")
			resp, err := o.Transport(base).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			base.CloseIdleConnections()
			s.Close() // waits for the handler
			if string(got) != "hello" || resp.ProtoMajor == 2 != http2 {
				t.Errorf("got %q by %s", got, resp.Proto)
			}
			for name, reg := range map[string]*prometheus.Registry{"source": source, "destination": destination} {
				line := samples(t, reg, "istio_requests_total")
				want := "reporter=" + name + " response_code=200 grpc_response_status=7 request_protocol=grpc 1"
				if got := labels(t, line[0], "reporter", "response_code", "grpc_response_status", "request_protocol"); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		})
	}
}

// TestUpgrade sends bytes both ways after 101 Switching Protocols.
func TestUpgrade(t *testing.T) {
	source, destination := prometheus.NewRegistry(), prometheus.NewRegistry()
	inner := newObserver(t, &observe.Options{Registerer: destination})
	done := make(chan struct{})
	h := inner.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString(line)
		_ = rw.Flush()
	}))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		defer close(done)
		h.ServeHTTP(w, req)
	}))
	defer s.Close()
	o := newObserver(t, &observe.Options{Registerer: source})
	req := newRequest(t, "GET", s.URL, nil)
	req.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"echo"}}
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	resp, err := o.Transport(base).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("got a body of type %T, want one to write to", resp.Body)
	}
	_, _ = io.WriteString(conn, "hello\n")
	if got, _ := bufio.NewReader(conn).ReadString('\n'); got != "hello\n" {
		t.Errorf("got %q, want hello", got)
	}
	_ = conn.Close()
	<-done
	for _, reg := range []*prometheus.Registry{source, destination} {
		if got := told(t, reg); got != "response_code=101 response_flags=- 1" {
			t.Errorf("got %s, want 101", got)
		}
	}
}

// TestCloseDuringRead closes a body that another goroutine reads, as net/http allows.
func TestCloseDuringRead(t *testing.T) {
	reg := prometheus.NewRegistry()
	o := newObserver(t, &observe.Options{Registerer: reg})
	for range 100 {
		c := &observe.Call{}
		req := newRequest(t, "POST", "http://a/", nil)
		req.Header.Set("Content-Type", "application/grpc")
		o.StartClient(c, req)
		resp := &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("hello")),
			Trailer: http.Header{"Grpc-Status": {"0"}}}
		c.Response(resp)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = io.Copy(io.Discard, resp.Body) })
		wg.Go(func() { _ = resp.Body.Close() })
		wg.Wait()
	}
	if got := sum(o.Graph()); got != 100 {
		t.Errorf("got %d requests, want 100", got)
	}
}

func TestRefusedConnection(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	reg := prometheus.NewRegistry()
	o := newObserver(t, &observe.Options{Registerer: reg})
	req := newRequest(t, "GET", "http://"+ln.Addr().String(), nil)
	if _, err := o.Transport(&http.Transport{}).RoundTrip(req); err == nil {
		t.Fatal("got an answer of nobody")
	}
	if diff := cmp.Diff(told(t, reg), "response_code=503 response_flags=UF 1"); diff != "" {
		t.Errorf("-got +want:\n%s", diff)
	}
}
