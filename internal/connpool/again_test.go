package connpool

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// raw is a server that speaks bytes: f gets each connection.
func raw(tb testing.TB, f func(n int, c net.Conn)) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer func() { _ = c.Close() }()
				f(n, c)
			})
		}
	})
	tb.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	return ln.Addr().String()
}

// answerOnce reads one request of HTTP/1, counts it and answers it.
func answerOnce(in *bufio.Reader, c net.Conn, seen *atomic.Int64) error {
	req, err := http.ReadRequest(in)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, req.Body)
	seen.Add(1)
	text := "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	if req.Method == "HEAD" {
		text = strings.TrimSuffix(text, "hello")
	}
	_, err = io.WriteString(c, text)
	return err
}

// unknown is a body that can be read once.
func unknown(s string) io.ReadCloser { return io.NopCloser(io.MultiReader(strings.NewReader(s))) }

// A server may close a connection at the moment that a request goes out on it. What may be sent twice is; what may have
// been acted on is not.
func TestServerGivesUpConnection(t *testing.T) {
	tests := []struct {
		name, method string
		header       string
		body         bool
		getBody      bool
		again        bool
	}{
		{name: "GET", method: "GET", again: true},
		{name: "HEAD", method: "HEAD", again: true},
		{name: "PUT", method: "PUT"},
		{name: "POST", method: "POST"},
		{name: "POST with a body", method: "POST", body: true, getBody: true},
		{name: "POST with a key", method: "POST", header: "Idempotency-Key", again: true},
		{name: "POST with a key and a body", method: "POST", header: "X-Idempotency-Key", body: true, getBody: true, again: true},
		{name: "POST with a key and a body that is read once", method: "POST", header: "Idempotency-Key", body: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var seen atomic.Int64
			address := raw(t, func(n int, c net.Conn) {
				in := bufio.NewReader(c)
				for i := 0; ; i++ {
					if n == 0 && i == 1 { // the second request on the first connection: read, never answered
						if _, err := http.ReadRequest(in); err == nil {
							seen.Add(1)
						}
						return
					}
					if answerOnce(in, c, &seen) != nil {
						return
					}
				}
			})
			p := open(t, Settings{}, address)
			if _, err := send(p, request(t, "GET", "")); err != nil {
				t.Fatal(err)
			}
			req := request(t, tt.method, "")
			if tt.body {
				req.Body, req.ContentLength = unknown("body"), 4
			}
			if tt.getBody {
				req.GetBody = func() (io.ReadCloser, error) { return unknown("body"), nil }
			}
			if tt.header != "" {
				req.Header[tt.header] = []string{"key"}
			}
			_, err := send(p, req)
			want := int64(2)
			if tt.again {
				want = 3
			}
			if got := seen.Load(); (err == nil) != tt.again || got != want {
				t.Errorf("got %v and %d requests, want %d", err, got, want)
			}
		})
	}
}

// A connection that the server closed while nobody used it costs nothing, whatever the request is.
func TestServerClosedIdleConnection(t *testing.T) {
	both(t, func(t *testing.T, proto Protocol) {
		s := serve(t, hello)
		p := open(t, Settings{Protocol: proto}, s.address)
		for range 20 {
			req := request(t, "POST", "")
			req.Body, req.ContentLength = unknown("body"), 4
			if got, err := send(p, req); got != "hello" || err != nil {
				t.Fatalf("got %q, %v", got, err)
			}
			s.CloseClientConnections()
			eventually(t, "the connection is gone", func() bool { return p.Counts().Connections == 0 })
		}
	})
}

// A server that is shut down says which requests it will not look at. None is lost.
func TestGoAway(t *testing.T) {
	const clients, each = 8, 50
	first, second := serve(t, hello), serve(t, hello)
	var at atomic.Pointer[server]
	at.Store(first)
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, at.Load().address)
	}
	p := open(t, Settings{Protocol: HTTP2, Dial: dial}, "a:80")
	var wg sync.WaitGroup
	var n atomic.Int64
	for range clients {
		wg.Go(func() {
			for range each {
				if got, err := send(p, request(t, "POST", "body")); got != "hello" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
				if n.Add(1) == clients*each/2 {
					at.Store(second)
					wg.Go(func() { _ = first.Config.Shutdown(t.Context()) })
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, s := range []*server{first, second} {
		for _, n := range s.perConn() {
			sum += n
		}
	}
	if sum != clients*each {
		t.Errorf("%d requests were served, want %d", sum, clients*each)
	}
}

// A body that breaks is the caller's failure: it is not sent again.
func TestBrokenBody(t *testing.T) {
	both(t, func(t *testing.T, proto Protocol) {
		s := serve(t, hello)
		p := open(t, Settings{Protocol: proto}, s.address)
		if _, err := send(p, request(t, "GET", "")); err != nil {
			t.Fatal(err)
		}
		broken := errors.New("broken")
		req := request(t, "POST", "")
		req.Body = io.NopCloser(io.MultiReader(strings.NewReader("some"), failing{broken}))
		req.Header.Set("Idempotency-Key", "k")
		req.GetBody = func() (io.ReadCloser, error) {
			t.Error("the body is asked for again")
			return nil, broken
		}
		if _, err := send(p, req); !errors.Is(err, broken) {
			t.Errorf("got %v, want the body's error", err)
		}
	})
}

type failing struct{ err error }

func (r failing) Read([]byte) (int, error) { return 0, r.err }
