package mesh_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-inmesh/inmesh/breaker"
)

// What endpoints may do, and what comes of a request that cannot be sent again: an answer or an error with a type within
// the route's time. Its body is closed, and nothing of it is left in the pool.
func TestBadEndpoints(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
	tests := []struct {
		name, protocol string
		upstream       func(testing.TB) string
		want           string // the verdict, or the answer's status
		broken         bool   // the answer's body is
	}{
		{name: "refuses", upstream: closedPort, want: "503 UF"},
		{name: "refuses HTTP/2", protocol: "http2", upstream: closedPort, want: "503 UF"},
		{name: "hangs", upstream: spoken(silent), want: "504 UT"},
		{name: "hangs in HTTP/2, before its settings", protocol: "http2", upstream: spoken(silent), want: "504 UT"},
		{name: "closes at once", upstream: spoken(func(net.Conn) {}), want: "503 UC"},
		{name: "closes HTTP/2 at once", protocol: "http2", upstream: spoken(func(net.Conn) {}), want: "503 UC"},
		{name: "resets amid the body", upstream: spoken(func(c net.Conn) {
			wholeRequest(c)
			_, _ = io.WriteString(c, head+strings.Repeat("x", 50_000))
			_ = c.(*net.TCPConn).SetLinger(0)
		}), want: "200", broken: true},
		{name: "stalls amid the body", upstream: spoken(func(c net.Conn) {
			wholeRequest(c)
			_, _ = io.WriteString(c, head+strings.Repeat("x", 50_000))
			silent(c)
		}), want: "200", broken: true},
		{name: "closes its half before the answer", upstream: spoken(func(c net.Conn) {
			_ = c.(*net.TCPConn).CloseWrite()
			silent(c)
		}), want: "503 UC"},
		{name: "closes its half after the answer", upstream: spoken(func(c net.Conn) {
			request(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			_ = c.(*net.TCPConn).CloseWrite()
			silent(c)
		}), want: "200"},
		{name: "talks nonsense", upstream: spoken(func(c net.Conn) {
			wholeRequest(c)
			_, _ = io.WriteString(c, "\x00\x01\x02nonsense\r\n\r\n")
		}), want: "502 UPE"},
		{name: "talks HTTP/1 where HTTP/2 is spoken", protocol: "http2", upstream: spoken(func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			silent(c)
		}), want: "503 UC"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			protocol := tt.protocol
			if protocol == "" {
				protocol = "http"
			}
			m := open(t, rules(entryPort("a.com", 80, protocol, tt.upstream(t)), virtual("a.com", "[{timeout: 0.3s, retries: {attempts: 0}, "+to("a.com")+"}]"),
				destination("a.com", "trafficPolicy: {connectionPool: {tcp: {maxConnections: 1, connectTimeout: 1s}}}")), nil)
			for range 3 { // one after the other, over the one connection that there may be
				in := newBody("payload")
				began := time.Now()
				resp, err := clientOf(m, nil).Do(newRequest(t, "POST", "http://a.com/", in))
				got := verdict(err)
				if err == nil {
					got = resp.Status[:3]
					_, err := io.Copy(io.Discard, resp.Body)
					if _ = resp.Body.Close(); (err != nil) != tt.broken {
						t.Errorf("the answer's body: %v", err)
					}
				}
				if got != tt.want {
					t.Errorf("got %s (%v), want %s", got, err, tt.want)
				}
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("took %v", took)
				}
				eventually(t, "the request's body is closed", func() bool { return in.closes.Load() > 0 })
				if err == nil { // else the next request may meet its end
					eventually(t, "the connection is closed", func() bool { return clusterCounts(t, m, cluster).Connections == 0 })
				}
			}
			eventually(t, "nothing is under way", func() bool {
				got := clusterCounts(t, m, cluster)
				return got.Active == 0 && got.Pending == 0
			})
			_ = m.Close()
			eventually(t, "all connections are closed", func() bool { return clusterCounts(t, m, cluster) == breaker.Counts{} })
		})
	}
}

func wholeRequest(c net.Conn) {
	if req, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
		_, _ = io.Copy(io.Discard, req.Body)
	}
}

// An endpoint that is killed with connections open, and comes back, costs no request: those that nobody used are known
// to be closed.
func TestEndpointComesBack(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		v := &victim{handler: hello, chance: func(n int) int { return n - 1 }} // no trouble
		v.start(t)
		defer v.kill()
		m := open(t, rules(entryPort("a.com", 80, protocol, v.address), virtual("a.com", "[{retries: {attempts: 0}, "+to("a.com")+"}]")), nil)
		for range 20 {
			resp, err := clientOf(m, nil).Do(newRequest(t, "POST", "http://a.com/", newBody("payload")))
			if err != nil {
				t.Fatal(err)
			}
			drain(t, resp)
			v.kill()
			eventually(t, "the connection is gone", func() bool { return clusterCounts(t, m, cluster).Connections == 0 })
			v.start(t)
		}
	})
}

// An endpoint that accepts late is waited for, as long as the route allows.
func TestEndpointAcceptsLate(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	m := open(t, rules(entry("a.com", ln.Addr().String()), virtual("a.com", "[{timeout: 5s, "+to("a.com")+"}]")), nil)
	done := make(chan error, 1)
	go func() {
		resp, err := clientOf(m, nil).Do(newRequest(t, "GET", "http://a.com/", nil))
		if err == nil {
			err = resp.Body.Close()
		}
		done <- err
	}()
	// The kernel has taken the connection: the request is sent before anybody accepts it.
	eventually(t, "the request is under way", func() bool { return clusterCounts(t, m, cluster).Active == 1 })
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
		t.Error(err)
	}
	_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
	if err := <-done; err != nil {
		t.Error(err)
	}
	_ = c.Close()
}

// A request that was acted on is not sent again, when its connection breaks before the answer.
func TestEndpointBreaksAfterTheRequest(t *testing.T) {
	var seen atomic.Int64
	m := open(t, entry("a.com", speak(t, func(c net.Conn) { // retried by default: where nobody can have seen it
		in := bufio.NewReader(c)
		for i := range 2 {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			if seen.Add(1); i == 0 {
				_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
			}
		}
	})), nil)
	client := clientOf(m, nil)
	for n, want := range []string{"-", "503 UC"} {
		resp, err := client.Do(newRequest(t, "POST", "http://a.com/", strings.NewReader("payload")))
		if err == nil {
			err = resp.Body.Close()
		}
		if got := verdict(err); got != want || (err == nil) != (want == "-") {
			t.Errorf("request %d: got %v, want %s", n, err, want)
		}
	}
	if n := seen.Load(); n != 2 {
		t.Errorf("the endpoint has seen %d requests, want 2", n)
	}
}
