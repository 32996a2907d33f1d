package connpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain fails the suite if a pool, or a test, leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a server that knows its connections.
type server struct {
	*httptest.Server
	address string

	mu       sync.Mutex
	requests map[string]int // by connection, as the client's address
	open     atomic.Int64
}

func (s *server) perConn() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n []int
	for _, v := range s.requests {
		n = append(n, v)
	}
	return n
}

// serve runs a handler on loopback, over HTTP/1.1 and HTTP/2 without TLS.
func serve(tb testing.TB, h http.Handler, change ...func(*httptest.Server)) *server {
	tb.Helper()
	s := &server{requests: map[string]int{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests[r.RemoteAddr]++
		s.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetHTTP2(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			s.open.Add(-1)
		}
	}
	for _, f := range change {
		f(s.Server)
	}
	if s.TLS != nil {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	s.address = s.Listener.Addr().String()
	tb.Cleanup(s.Close)
	return s
}

// open makes a pool that is closed with the test.
func open(tb testing.TB, s Settings, address string) *Pool {
	tb.Helper()
	p := NewWay(s).Pool("tcp", address)
	tb.Cleanup(p.Retire)
	return p
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = io.WriteString(w, "hello")
})

func request(tb testing.TB, method, body string) *http.Request {
	tb.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(tb.Context(), method, "http://a.com/", in)
	if err != nil {
		tb.Fatal(err)
	}
	return req
}

// send gives the answer's body, or the error.
func send(p *Pool, req *http.Request) (string, error) {
	resp, err := p.RoundTrip(req)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return string(b), err
}

// limits count what is out, and refuse what is over.
type limits struct {
	maxConnections, maxPending, maxRequests int64
	connections, pending, requests          atomic.Int64
}

var errOver = errors.New("over")

func (l *limits) Connect(first bool) bool {
	if l.connections.Add(1) > l.maxConnections && l.maxConnections > 0 && !first {
		l.connections.Add(-1)
		return false
	}
	return true
}
func (l *limits) Disconnect() { l.connections.Add(-1) }

func (l *limits) Queue() error {
	if l.pending.Add(1) > l.maxPending && l.maxPending > 0 {
		l.pending.Add(-1)
		return errOver
	}
	return nil
}
func (l *limits) Unqueue() { l.pending.Add(-1) }

func (l *limits) Start() error {
	if l.requests.Add(1) > l.maxRequests && l.maxRequests > 0 {
		l.requests.Add(-1)
		return errOver
	}
	return nil
}
func (l *limits) End() { l.requests.Add(-1) }

func (l *limits) String() string {
	return fmt.Sprintf("%d connections, %d pending, %d requests", l.connections.Load(), l.pending.Load(), l.requests.Load())
}

// eventually waits for a condition in real time.
func eventually(tb interface {
	Helper()
	Fatalf(string, ...any)
}, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("still not: %s", what)
		}
	}
}

// pipes are a listener and its dialler without sockets, for tests in virtual time.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}
func (l *pipes) Addr() net.Addr { return address{"pipe", "pipe"} }

func (l *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// listen serves over pipes.
func listen(tb testing.TB, h http.Handler) (*pipes, *atomic.Int64) {
	tb.Helper()
	l, open := newPipes(), new(atomic.Int64)
	s := &http.Server{Handler: h, Protocols: new(http.Protocols), ErrorLog: log.New(io.Discard, "", 0)}
	s.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = s.Serve(l) }()
	tb.Cleanup(func() { _ = s.Close() })
	return l, open
}

// both runs a test for HTTP/1 and HTTP/2.
func both(t *testing.T, f func(*testing.T, Protocol)) {
	t.Helper()
	for _, p := range []Protocol{HTTP1, HTTP2} {
		t.Run(fmt.Sprintf("HTTP%d", p+1), func(t *testing.T) { f(t, p) })
	}
}
