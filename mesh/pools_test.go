package mesh_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/internal/answer"
	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

// served is a server that counts its connections, and the requests of each.
type served struct {
	address string
	open    atomic.Int64
	names   atomic.Int64

	mu       sync.Mutex
	requests map[string]int // by connection
}

func (s *served) ServeHTTP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests[r.Context().Value(connKey{}).(string)]++
		s.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

type connKey struct{}

// name gives each connection its own name, which those in memory do not have.
func (s *served) name(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, fmt.Sprint(s.names.Add(1)))
}

func (s *served) counts() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n []int
	for _, v := range s.requests {
		n = append(n, v)
	}
	return n
}

func (s *served) state(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.open.Add(-1)
	}
}

// counting is listen, with counts; a certificate makes it TLS.
func counting(t testing.TB, h http.Handler, cert ...tls.Certificate) *served {
	t.Helper()
	s := &served{requests: map[string]int{}}
	server := httptest.NewUnstartedServer(s.ServeHTTP(h))
	server.Config.ErrorLog = discard
	server.Config.ConnState, server.Config.ConnContext = s.state, s.name
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetHTTP2(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	if len(cert) > 0 {
		server.EnableHTTP2 = true
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: cert}
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	s.address = server.Listener.Addr().String()
	return s
}

// near is a server without sockets, for tests in virtual time: its Dial is the mesh's.
type near struct {
	served
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func inMemory(t testing.TB, h http.Handler) *near {
	t.Helper()
	n := &near{conns: make(chan net.Conn), done: make(chan struct{})}
	n.requests = map[string]int{}
	server := &http.Server{Handler: n.ServeHTTP(h), ConnState: n.state, ConnContext: n.name, Protocols: new(http.Protocols), ErrorLog: discard}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = server.Serve(n) }()
	t.Cleanup(func() { _ = server.Close() })
	return n
}

func (n *near) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.done:
		return nil, net.ErrClosed
	}
}

func (n *near) Close() error {
	n.once.Do(func() { close(n.done) })
	return nil
}

func (n *near) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

func (n *near) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case n.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pooled is a mesh whose a.com has the connectionPool, given in flow style, and no retries.
func pooled(t testing.TB, protocol, pool, more string, dial func(context.Context, string, string) (net.Conn, error), addresses ...string) *mesh.Mesh {
	t.Helper()
	return open(t, rules(entryPort("a.com", 80, protocol, addresses...), destination("a.com", "trafficPolicy: {connectionPool: {"+pool+"}"+more+"}"),
		virtual("a.com", "[{retries: {attempts: 0}, "+to("a.com")+"}]")), &mesh.Options{Dial: dial})
}

const cluster = "outbound|80||a.com"

// eachProtocol runs a test for HTTP/1 and HTTP/2.
func eachProtocol(t *testing.T, f func(t *testing.T, protocol string)) {
	t.Helper()
	for _, p := range []string{"http", "http2"} {
		t.Run(p, func(t *testing.T) { f(t, p) })
	}
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = io.WriteString(w, "hello")
})

// The Nth request is the last on its connection, then there is a new one; no request is lost.
func TestPoolRequestsPerConnection(t *testing.T) {
	ca := newAuthority(t)
	for name, tt := range map[string]struct {
		protocol, more string
		certs          []tls.Certificate
	}{
		"http":           {"http", "", nil},
		"http2":          {"http2", "", nil},
		"TLS, HTTP/2":    {"http", ", tls: {mode: SIMPLE, caCertificates: " + ca.file + "}", []tls.Certificate{ca.issue(t, "a.com")}},
		"TLS, unshared":  {"http", ", tls: {mode: SIMPLE, caCertificates: " + ca.file + "}", []tls.Certificate{ca.issue(t, "a.com")}},
		"gRPC over http": {"grpc", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := counting(t, hello, tt.certs...)
			pool := "http: {maxRequestsPerConnection: 3"
			if name == "TLS, unshared" {
				pool += ", h2UpgradePolicy: DO_NOT_UPGRADE"
			}
			m := pooled(t, tt.protocol, pool+"}", tt.more, nil, s.address)
			client := clientOf(m, nil)
			for i := range 12 {
				req := newRequest(t, []string{"GET", "POST"}[i%2], "http://a.com/", nil)
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				if got := drain(t, resp); got != "hello" {
					t.Errorf("got %q", got)
				}
			}
			if got := s.counts(); !slices.Equal(got, []int{3, 3, 3, 3}) {
				t.Errorf("got %v requests by connection, want four times 3", got)
			}
			eventually(t, "all connections are closed", func() bool { return s.open.Load() == 0 && clusterCounts(t, m, cluster) == breaker.Counts{} })
		})
	}
}

// A connection whose time is up ends when its requests have; there is a new one for others.
func TestPoolConnectionDuration(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		synctest.Test(t, func(t *testing.T) {
			s := inMemory(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/long" {
					time.Sleep(5 * time.Minute)
				}
			}))
			m := pooled(t, protocol, "tcp: {maxConnectionDuration: 60s}", "", s.dial, "10.0.0.1")
			defer func() { _ = m.Close() }()
			client := clientOf(m, nil)
			done := make(chan error)
			go func() { done <- meshtest.Do(t, client, "GET", "http://a.com/long").Err }()
			for range 5 {
				time.Sleep(40 * time.Second)
				if got := meshtest.Do(t, client, "GET", "http://a.com/"); got.Code != 200 {
					t.Errorf("got %+v", got)
				}
			}
			if n := len(s.counts()); n < 2 {
				t.Errorf("%d connections, want several", n)
			}
			if err := <-done; err != nil {
				t.Errorf("the long one: %v", err)
			}
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if n := s.open.Load(); n != 0 {
				t.Errorf("%d connections are open, want none", n)
			}
		})
	})
}

func TestPoolIdleTimeout(t *testing.T) {
	for pool, want := range map[string]time.Duration{
		"tcp: {idleTimeout: 60s}":                           time.Minute,
		"http: {idleTimeout: 60s}":                          time.Minute,
		"tcp: {idleTimeout: 1s}, http: {idleTimeout: 60s}":  time.Minute,
		"tcp: {idleTimeout: 10h}, http: {idleTimeout: 60s}": time.Minute,
		"http: {maxRetries: 7}":                             time.Hour,
		"tcp: {idleTimeout: 0s}":                            0,
	} {
		t.Run(pool, func(t *testing.T) {
			eachProtocol(t, func(t *testing.T, protocol string) {
				synctest.Test(t, func(t *testing.T) {
					s := inMemory(t, hello)
					m := pooled(t, protocol, pool, "", s.dial, "10.0.0.1")
					defer func() { _ = m.Close() }()
					meshtest.Do(t, clientOf(m, nil), "GET", "http://a.com/")
					if want == 0 {
						time.Sleep(100 * time.Hour)
						synctest.Wait()
						if s.open.Load() != 1 {
							t.Error("closed")
						}
						return
					}
					time.Sleep(want - time.Second)
					synctest.Wait()
					before := s.open.Load()
					time.Sleep(2 * time.Second)
					synctest.Wait()
					if after := s.open.Load(); before != 1 || after != 0 {
						t.Errorf("%d connections before and %d after, want 1 and 0", before, after)
					}
				})
			})
		})
	}
}

// As in Istio's task: one connection, one request that waits for it, and the rest is told that there are too many. A
// request waits while its own connection is made, too.
func TestPoolOverflow(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		synctest.Test(t, func(t *testing.T) {
			s := inMemory(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) }))
			m := pooled(t, protocol, "tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1, maxConcurrentStreams: 1}", "", s.dial, "10.0.0.1")
			defer func() { _ = m.Close() }()
			client := clientOf(m, nil)
			var ok, over atomic.Int64
			for range 4 {
				go func() {
					req := newRequest(t, "GET", "http://a.com/", nil)
					resp, err := client.Do(req)
					switch {
					case err == nil:
						ok.Add(1)
						_ = resp.Body.Close()
					case errors.Is(err, breaker.ErrOverflow) && verdict(err) == "503 UO":
						over.Add(1)
					default:
						t.Errorf("got %v", err)
					}
				}()
				synctest.Wait()
			}
			if got, want := clusterCounts(t, m, cluster), (breaker.Counts{Active: 1, Connections: 1, Pending: 1, Overflow: 2}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			time.Sleep(3 * time.Second)
			if ok.Load() != 2 || over.Load() != 2 || len(s.counts()) != 1 {
				t.Errorf("%d answered and %d refused over %d connections, want 2, 2 and 1", ok.Load(), over.Load(), len(s.counts()))
			}
			if got, want := clusterCounts(t, m, cluster), (breaker.Counts{Connections: 1, Overflow: 2}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	})
}

// Those who wait for a connection get it in order; who leaves gives up the place, and is told why by its own context.
func TestPoolQueue(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		synctest.Test(t, func(t *testing.T) {
			s := inMemory(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) }))
			m := pooled(t, protocol, "tcp: {maxConnections: 1}, http: {maxConcurrentStreams: 1}", "", s.dial, "10.0.0.1")
			defer func() { _ = m.Close() }()
			client := clientOf(m, nil)
			ctx, cancel := context.WithCancel(t.Context())
			var mu sync.Mutex
			var order []int
			var wg sync.WaitGroup
			for i := range 9 {
				wg.Go(func() {
					req := newRequest(t, "GET", "http://a.com/", nil)
					if i%3 == 1 {
						req = req.WithContext(ctx)
					}
					resp, err := client.Do(req)
					if i%3 == 1 {
						if !errors.Is(err, context.Canceled) {
							t.Errorf("request %d: got %v", i, err)
						}
						return
					}
					if err != nil {
						t.Errorf("request %d: %v", i, err)
						return
					}
					_ = resp.Body.Close()
					mu.Lock()
					order = append(order, i)
					mu.Unlock()
				})
				synctest.Wait()
			}
			cancel()
			synctest.Wait()
			if got := clusterCounts(t, m, cluster).Pending; got != 5 {
				t.Errorf("%d wait, want 5", got)
			}
			wg.Wait()
			if !slices.Equal(order, []int{0, 2, 3, 5, 6, 8}) {
				t.Errorf("got %v", order)
			}
			if got, want := clusterCounts(t, m, cluster), (breaker.Counts{Connections: 1}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	})
}

// Where a connection of HTTP/2 has its requests, another one is opened, as far as maxConnections allows.
func TestPoolStreams(t *testing.T) {
	for pool, want := range map[string]struct{ conns, waiting int }{
		"http: {http2MaxRequests: 100}":                              {1, 0},
		"http: {maxConcurrentStreams: 2}":                            {5, 0},
		"tcp: {maxConnections: 3}, http: {maxConcurrentStreams: 2}":  {3, 4},
		"tcp: {maxConnections: 1}, http: {maxConcurrentStreams: 10}": {1, 0},
	} {
		t.Run(pool, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := inMemory(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(time.Second) }))
				m := pooled(t, "http2", pool, "", s.dial, "10.0.0.1")
				defer func() { _ = m.Close() }()
				var wg sync.WaitGroup
				for range 10 {
					wg.Go(func() {
						if got := meshtest.Do(t, clientOf(m, nil), "GET", "http://a.com/"); got.Code != 200 {
							t.Errorf("got %+v", got)
						}
					})
				}
				synctest.Wait()
				if got := clusterCounts(t, m, cluster); int(got.Connections) != want.conns || int(got.Pending) != want.waiting {
					t.Errorf("got %+v, want %+v", got, want)
				}
				wg.Wait()
			})
		})
	}
}

// A gateway follows its client's protocol where the rule says so.
func TestPoolClientProtocol(t *testing.T) {
	for _, follow := range []bool{true, false} {
		for _, protocol := range []string{"http", "http2"} {
			s := counting(t, proto)
			m := open(t, rules(entryPort("a.com", 80, protocol, s.address), edge(`[{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]`),
				destination("a.com", fmt.Sprintf("trafficPolicy: {connectionPool: {http: {useClientProtocol: %t, maxRetries: 3}}}", follow)),
				virtualNamed("a.com", "a.com", "gateways: [mesh, edge]", "[{"+to("a.com")+"}]")), nil)
			through := listen(t, m.Gateway("edge"))
			for _, http2 := range []bool{false, true} {
				tr := &http.Transport{Protocols: new(http.Protocols)}
				tr.Protocols.SetHTTP1(!http2)
				tr.Protocols.SetUnencryptedHTTP2(http2)
				want := map[bool]string{false: "HTTP/1.1 a.com /", true: "HTTP/2.0 a.com /"}
				got := meshtest.Do(t, &http.Client{Transport: tr}, "GET", "http://"+through+"/", "host: a.com")
				if w := want[follow && http2 || !follow && protocol == "http2"]; got.Body != w {
					t.Errorf("follow %t, port %s, client of HTTP/2 %t: got %q, want %q", follow, protocol, http2, got.Body, w)
				}
				tr.CloseIdleConnections()
			}
			// A client has no connection to follow.
			if got := meshtest.Do(t, clientOf(m, nil), "GET", "http://a.com/"); follow && got.Body != "HTTP/1.1 a.com /" {
				t.Errorf("a client's own: got %q", got.Body)
			}
		}
	}
}

// Over TLS, what the server offers is spoken, unless the rule does not want HTTP/2.
func TestPoolUpgradePolicyOverTLS(t *testing.T) {
	ca := newAuthority(t)
	s := counting(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }), ca.issue(t, "a.com"))
	for _, tt := range []struct{ protocol, policy, header, want string }{
		{"http", "DEFAULT", "", "HTTP/2.0"},
		{"http", "UPGRADE", "", "HTTP/2.0"},
		{"http", "DO_NOT_UPGRADE", "", "HTTP/1.1"},
		{"http", "DO_NOT_UPGRADE", "content-type: application/grpc", "HTTP/2.0"},
		{"grpc", "DO_NOT_UPGRADE", "", "HTTP/2.0"},
		{"http2", "DEFAULT", "upgrade: websocket", "HTTP/1.1"},
	} {
		m := pooled(t, tt.protocol, "http: {maxRetries: 3, h2UpgradePolicy: "+tt.policy+"}", ", tls: {mode: SIMPLE, caCertificates: "+ca.file+"}", nil, s.address)
		var headers []string
		if tt.header != "" {
			headers = []string{tt.header}
		}
		if got := meshtest.Do(t, clientOf(m, nil), "GET", "http://a.com/", headers...); got.Body != tt.want {
			t.Errorf("%+v: got %q, %v", tt, got.Body, got.Err)
		}
	}
}

// The connect timeout holds for the handshake, too; both are failures to connect.
func TestPoolConnectTimeout(t *testing.T) {
	hung := func(context.Context, string, string) (net.Conn, error) {
		c, _ := net.Pipe()
		return c, nil
	}
	slow := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, tt := range map[string]struct {
		dial func(context.Context, string, string) (net.Conn, error)
		more string
	}{
		"dial":      {slow, ""},
		"handshake": {hung, ", tls: {mode: SIMPLE}"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := pooled(t, "http", "tcp: {connectTimeout: 3s}", tt.more, tt.dial, "10.0.0.1")
				defer func() { _ = m.Close() }()
				began := time.Now()
				got := meshtest.Do(t, clientOf(m, nil), "GET", "http://a.com/")
				if verdict(got.Err) != "503 UF" || time.Since(began) != 3*time.Second || !strings.Contains(replyOf(got.Err), "reset reason: connection timeout") {
					t.Errorf("got %v (%q) after %v", got.Err, replyOf(got.Err), time.Since(began))
				}
			})
		})
	}
}

// A connection of HTTP/2 that is silent is asked whether it lives.
func TestPoolKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() { _, _ = theirs.Write(frame(4, 0, 0)) }() // SETTINGS, and not a word more
			go silent(theirs)
			return ours, nil
		}
		m := pooled(t, "http2", "http: {http2KeepAlive: {interval: 30s, timeout: 5s}}", "", dial, "10.0.0.1")
		defer func() { _ = m.Close() }()
		began := time.Now()
		got := meshtest.Do(t, clientOf(m, nil), "GET", "http://a.com/")
		if verdict(got.Err) != "503 UC" || time.Since(began) != 35*time.Second {
			t.Errorf("got %v after %v", got.Err, time.Since(began))
		}
		synctest.Wait()
		if got := clusterCounts(t, m, cluster); got != (breaker.Counts{}) {
			t.Errorf("got %+v", got)
		}
	})
}

// Connections to endpoints that go are closed: at once where nobody uses them, else after their requests.
func TestPoolEndpointGoes(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol string) {
		began, end := make(chan struct{}), make(chan struct{})
		handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/long" {
				began <- struct{}{}
				<-end
			}
		})
		first, second := counting(t, handler), counting(t, handler)
		m := pooled(t, protocol, "http: {maxRetries: 3}", "", nil, first.address)
		client := clientOf(m, nil)
		var wg sync.WaitGroup
		if protocol == "http" { // one in use, and one not
			wg.Go(func() { meshtest.Do(t, client, "GET", "http://a.com/") })
		}
		wg.Go(func() {
			if got := meshtest.Do(t, client, "GET", "http://a.com/long"); got.Code != 200 {
				t.Errorf("the request under way: got %+v", got)
			}
		})
		<-began
		meshtest.Do(t, client, "GET", "http://a.com/")
		at := func(s *served) mesh.Endpoint {
			host, port, _ := net.SplitHostPort(s.address)
			var n int
			_, _ = fmt.Sscan(port, &n)
			return mesh.Endpoint{Address: host, Port: n}
		}
		if err := m.UpdateEndpoints(mesh.ServiceRef{Host: "a.com", Port: 80}, []mesh.Endpoint{at(second)}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "one connection is left", func() bool { return first.open.Load() == 1 })
		if got := meshtest.Do(t, client, "GET", "http://a.com/"); got.Code != 200 || len(second.counts()) != 1 {
			t.Errorf("got %+v", got)
		}
		close(end)
		wg.Wait()
		eventually(t, "none is left", func() bool { return first.open.Load() == 0 })
		eventually(t, "one is counted", func() bool { return clusterCounts(t, m, cluster).Connections == 1 })
	})
}

// replyOf is the text that a sidecar would have answered.
func replyOf(err error) string {
	if e, ok := errors.AsType[*answer.Error](err); ok {
		return e.Body
	}
	return fmt.Sprint(err)
}

// discard drops what a server logs.
var discard = log.New(io.Discard, "", 0)
