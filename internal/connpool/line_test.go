package connpool

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// slow answers after a second.
var slow = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	time.Sleep(time.Second)
	_, _ = io.WriteString(w, r.URL.Path)
})

// Those who wait for the one connection get it in order.
func TestLineIsFair(t *testing.T) {
	both(t, func(t *testing.T, proto Protocol) {
		synctest.Test(t, func(t *testing.T) {
			pipes, n := listen(t, slow)
			l := &limits{maxConnections: 1}
			p := open(t, Settings{Protocol: proto, MaxStreams: 1, Dial: pipes.dial, Limits: l}, "a:80")
			var mu sync.Mutex
			var order []int
			var wg sync.WaitGroup
			for i := range 10 {
				wg.Go(func() {
					if _, err := send(p, request(t, "GET", "")); err != nil {
						t.Error(err)
					}
					mu.Lock()
					order = append(order, i)
					mu.Unlock()
				})
				synctest.Wait()
			}
			if got := l.String(); got != "1 connections, 9 pending, 1 requests" {
				t.Errorf("got %s", got)
			}
			began := time.Now()
			wg.Wait()
			if !slices.IsSorted(order) || n.Load() != 1 {
				t.Errorf("got %v over %d connections", order, n.Load())
			}
			if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
				t.Errorf("took %v", took)
			}
			p.Retire()
			synctest.Wait()
			if got := l.String(); got != "0 connections, 0 pending, 0 requests" {
				t.Errorf("got %s", got)
			}
		})
	})
}

// Who leaves gives up its place, with the cause of its context; the others move up.
func TestLineDrainsOnCancel(t *testing.T) {
	both(t, func(t *testing.T, proto Protocol) {
		synctest.Test(t, func(t *testing.T) {
			pipes, _ := listen(t, slow)
			l := &limits{maxConnections: 1}
			p := open(t, Settings{Protocol: proto, MaxStreams: 1, Dial: pipes.dial, Limits: l}, "a:80")
			reason := errors.New("reason")
			ctx, cancel := context.WithCancelCause(t.Context())
			var wg sync.WaitGroup
			var done atomic.Int64
			for i := range 9 {
				wg.Go(func() {
					req := request(t, "GET", "")
					if i%2 == 1 {
						req = req.WithContext(ctx)
					}
					switch _, err := send(p, req); {
					case i%2 == 1 && err != reason:
						t.Errorf("got %v, want the cause", err)
					case i%2 == 0 && err != nil:
						t.Error(err)
					case err == nil:
						done.Add(1)
					}
				})
				synctest.Wait()
			}
			cancel(reason)
			synctest.Wait()
			if got := l.String(); got != "1 connections, 4 pending, 1 requests" {
				t.Errorf("got %s", got)
			}
			began := time.Now()
			wg.Wait()
			if took := time.Since(began); done.Load() != 5 || took > 6*time.Second {
				t.Errorf("%d were answered after %v, want 5 after 5s", done.Load(), took)
			}
			p.Retire()
			synctest.Wait()
			if got := l.String(); got != "0 connections, 0 pending, 0 requests" {
				t.Errorf("got %s", got)
			}
		})
	})
}

func TestOverflow(t *testing.T) {
	both(t, func(t *testing.T, proto Protocol) {
		synctest.Test(t, func(t *testing.T) {
			pipes, _ := listen(t, slow)
			l := &limits{maxConnections: 1, maxPending: 1}
			p := open(t, Settings{Protocol: proto, MaxStreams: 1, Dial: pipes.dial, Limits: l}, "a:80")
			var over atomic.Int64
			for range 3 {
				for range 4 {
					go func() {
						body := &closing{}
						req := request(t, "POST", "")
						req.Body = body
						if _, err := send(p, req); errors.Is(err, errOver) {
							over.Add(1)
						} else if err != nil {
							t.Error(err)
						}
						if !body.closed.Load() {
							t.Error("the request's body is not closed")
						}
					}()
				}
				synctest.Wait()
			}
			// One waits while the connection is made, and one while it is used.
			if got := over.Load(); got != 3+3+4 {
				t.Errorf("%d refused, want 10", got)
			}
			time.Sleep(time.Minute)
			p.Retire()
			synctest.Wait()
			if got := l.String(); got != "0 connections, 0 pending, 0 requests" {
				t.Errorf("got %s", got)
			}
		})
	})
}

func TestMaxRequestsInFlight(t *testing.T) {
	both(t, func(t *testing.T, proto Protocol) {
		synctest.Test(t, func(t *testing.T) {
			pipes, _ := listen(t, slow)
			l := &limits{maxRequests: 2}
			p := open(t, Settings{Protocol: proto, Dial: pipes.dial, Limits: l}, "a:80")
			var over atomic.Int64
			for range 5 {
				go func() {
					if _, err := send(p, request(t, "GET", "")); errors.Is(err, errOver) {
						over.Add(1)
					}
				}()
				synctest.Wait()
			}
			if got := over.Load(); got != 3 {
				t.Errorf("%d refused, want 3", got)
			}
			time.Sleep(2 * time.Second)
			if _, err := send(p, request(t, "GET", "")); err != nil {
				t.Error(err)
			}
			p.Retire()
			synctest.Wait()
			if got := l.String(); got != "0 connections, 0 pending, 0 requests" {
				t.Errorf("got %s", got)
			}
		})
	})
}

// closing is an empty body that knows whether it was closed.
type closing struct{ closed atomic.Bool }

func (*closing) Read([]byte) (int, error) { return 0, io.EOF }
func (c *closing) Close() error {
	c.closed.Store(true)
	return nil
}

// Where a connection of HTTP/2 has as many requests as it may, by our word or the server's, there is another one.
func TestMaxStreams(t *testing.T) {
	for name, tt := range map[string]struct {
		ours   int64
		theirs int
		conns  int
	}{
		"ours":   {3, 100, 4},
		"theirs": {0, 3, 4},
		"none":   {0, 100, 1},
	} {
		t.Run(name, func(t *testing.T) {
			arrived, leave := make(chan struct{}, 100), make(chan struct{})
			s := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				arrived <- struct{}{}
				<-leave
			}), func(s *httptest.Server) { s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: tt.theirs} })
			l := &limits{}
			p := open(t, Settings{Protocol: HTTP2, MaxStreams: tt.ours, Limits: l}, s.address)
			var wg sync.WaitGroup
			for range 10 {
				// One after the other, so that the server's settings are known.
				wg.Go(func() {
					if _, err := send(p, request(t, "GET", "")); err != nil {
						t.Error(err)
					}
				})
				<-arrived
			}
			if got := len(s.perConn()); got != tt.conns {
				t.Errorf("%d connections, want %d", got, tt.conns)
			}
			for _, n := range s.perConn() {
				if tt.conns > 1 && n > 3 {
					t.Errorf("%d requests at once, want at most 3", n)
				}
			}
			close(leave)
			wg.Wait()
		})
	}
}

// With one connection alone, requests wait for the server's limit, and none is lost.
func TestServersStreamsAndOneConnection(t *testing.T) {
	s := serve(t, hello, func(s *httptest.Server) { s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 2} })
	l := &limits{maxConnections: 1}
	p := open(t, Settings{Protocol: HTTP2, Limits: l}, s.address)
	if _, err := send(p, request(t, "GET", "")); err != nil { // the server's settings are known
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 20 {
				if got, err := send(p, request(t, "POST", "body")); got != "hello" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
	if got := s.perConn(); len(got) != 1 || got[0] != 321 {
		t.Errorf("got %v", got)
	}
}

// One failure to connect is borne by one of those who wait for a connection each, or by all where nothing else is left.
func TestConnectFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
		var dials atomic.Int64
		l := &limits{maxConnections: 1}
		p := open(t, Settings{Limits: l, Dial: func(context.Context, string, string) (net.Conn, error) {
			time.Sleep(time.Duration(dials.Add(1)) * time.Second)
			return nil, refused
		}}, "a:80")
		began := time.Now()
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, err := send(p, request(t, "GET", "")); err != refused {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(began); took != time.Second || dials.Load() != 1 {
			t.Errorf("took %v and %d dials, want 1s and one for all", took, dials.Load())
		}
		l.maxConnections = 0
		dials.Store(0)
		for range 3 {
			wg.Go(func() { _, _ = send(p, request(t, "GET", "")) })
		}
		time.Sleep(1500 * time.Millisecond)
		if got := p.Counts().Waiting; got != 2 {
			t.Errorf("%d wait, want 2", got)
		}
		wg.Wait()
		if got := l.String(); got != "0 connections, 0 pending, 0 requests" {
			t.Errorf("got %s", got)
		}
	})
}

// A server that closes each connection at once is no reason to connect for ever.
func TestClosedAtOnce(t *testing.T) {
	both(t, func(t *testing.T, proto Protocol) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ln.Close() }()
		var accepted atomic.Int64
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				accepted.Add(1)
				_ = c.Close()
			}
		}()
		l := &limits{}
		p := open(t, Settings{Protocol: proto, Limits: l}, ln.Addr().String())
		for range 20 {
			if _, err := send(p, request(t, "POST", "body")); err == nil {
				t.Error("got an answer")
			}
		}
		if n := accepted.Load(); n > 60 {
			t.Errorf("%d connections for 20 requests", n)
		}
		eventually(t, "everything is given back", func() bool { return l.String() == "0 connections, 0 pending, 0 requests" })
	})
}
