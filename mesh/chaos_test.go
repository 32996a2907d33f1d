package mesh_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-inmesh/inmesh/mesh"
)

// trouble is what may become of a connection.
type trouble int

const (
	fine    trouble = iota
	hung            // it takes everything and answers nothing
	reset           // it is reset before an answer, or amid one
	garbage         // something is written that is not HTTP
	halved          // one half of it is closed
	troubles
)

// troubled is a server's side of a connection. Its trouble comes after some of its bytes have gone out.
type troubled struct {
	net.Conn
	what  trouble
	after int
}

func (c *troubled) Write(b []byte) (int, error) {
	if c.what == fine || len(b) <= c.after {
		c.after -= len(b)
		return c.Conn.Write(b)
	}
	n := max(0, c.after)
	c.after = -1
	_, _ = c.Conn.Write(b[:n])
	tcp := c.Conn.(*net.TCPConn)
	switch c.what {
	case reset:
		_ = tcp.SetLinger(0)
		_ = tcp.Close()
		return n, net.ErrClosed
	case garbage:
		_, _ = c.Conn.Write([]byte("\x00\x01SSH-2.0-nonsense\r\n\r\n\xff\xff\xff"))
		_ = tcp.Close()
		return n, net.ErrClosed
	case halved:
		_ = tcp.CloseWrite()
	case fine, hung, troubles:
	}
	return len(b), nil // nobody will ever see it
}

// flaky accepts late at times, and makes trouble of the connections.
type flaky struct {
	net.Listener
	chance func(n int) int
	done   chan struct{}
}

func (l *flaky) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if l.chance(4) == 0 { // late
		select {
		case <-time.After(time.Duration(l.chance(20)) * time.Millisecond):
		case <-l.done:
		}
	}
	t := &troubled{Conn: c, what: trouble(l.chance(2 * int(troubles)))} // half of them are fine
	if t.what >= troubles {
		t.what = fine
	}
	t.after = l.chance(20) * l.chance(20) * l.chance(100) // many at once, some amid a long answer
	return t, nil
}

// victim is an endpoint that can be killed and comes back at the same port.
type victim struct {
	address string
	handler http.Handler
	chance  func(n int) int

	mu     sync.Mutex
	server *http.Server
	ln     *flaky
}

func (v *victim) start(t testing.TB) {
	v.mu.Lock()
	defer v.mu.Unlock()
	address := v.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Log("an endpoint stays away:", err) // somebody else has its port
		return
	}
	v.address = ln.Addr().String()
	v.ln = &flaky{ln, v.chance, make(chan struct{})}
	v.server = &http.Server{Handler: v.handler, Protocols: new(http.Protocols), ErrorLog: discard}
	v.server.Protocols.SetHTTP1(true)
	v.server.Protocols.SetUnencryptedHTTP2(true)
	go func(s *http.Server, ln net.Listener) { _ = s.Serve(ln) }(v.server, v.ln)
}

func (v *victim) kill() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.server != nil {
		close(v.ln.done)
		_ = v.server.Close()
		v.server = nil
	}
}

// watched is a request's body that can be read once, and must be closed.
type watched struct {
	io.Reader
	open *atomic.Int64
	once sync.Once
}

func (w *watched) Close() error {
	w.once.Do(func() { w.open.Add(-1) })
	return nil
}

// chaos is the state of one run.
type chaos struct {
	mesh   *mesh.Mesh
	chance func(n int) int

	ids, bodies, answered, refused, broken atomic.Int64
	mu                                     sync.Mutex
	seen                                   map[string]int // requests that must not be sent twice, by their number
}

func (c *chaos) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		c.mu.Lock()
		c.seen[r.Header.Get("Id")]++
		c.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, r.Body)
	if c.chance(10) == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Id", r.Header.Get("Id"))
	_, _ = w.Write(make([]byte, c.chance(30_000)))
}

// limit is how long a request may take. The routes allow less.
const limit = 2 * time.Second

// once sends one request and sees how it ends.
func (c *chaos) once(t *testing.T, client *http.Client) {
	id := strconv.FormatInt(c.ids.Add(1), 10)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if c.chance(20) == 0 { // the caller leaves
		time.AfterFunc(time.Duration(c.chance(20))*time.Millisecond, cancel)
	}
	method := []string{"GET", "POST", "PUT"}[c.chance(3)]
	req, err := http.NewRequestWithContext(ctx, method, []string{"http://one.com/", "http://two.com/"}[c.chance(2)], nil)
	if err != nil {
		t.Error(err)
		return
	}
	req.Header.Set("Id", id)
	if method != "GET" {
		c.bodies.Add(1)
		req.Body = &watched{Reader: io.LimitReader(zeros{}, int64(c.chance(20_000))), open: &c.bodies}
		req.ContentLength = -1
	}
	began := time.Now()
	resp, err := client.Do(req)
	if err == nil {
		if got := resp.Header.Get("Id"); got != "" && got != id { // nonsense may have eaten it
			t.Errorf("request %s got the answer of %s", id, got)
		}
		c.answered.Add(1)
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			c.broken.Add(1)
		}
		_ = resp.Body.Close()
	} else {
		c.refused.Add(1)
		if _, ok := errors.AsType[refusal](err); !ok && ctx.Err() == nil {
			t.Errorf("request %s: an error without a type: %v", id, err)
		}
	}
	if took := time.Since(began); took > limit+limit {
		t.Errorf("request %s took %v", id, took)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// TestChaos lets 16 clients at endpoints that are killed, hang, reset connections before and amid answers, refuse,
// close one half, accept late and talk nonsense, while endpoints and rules change: every request ends in an answer or
// an error with a type, in its time; nothing stays behind, and what must not be sent twice is not. INMESH_CHAOS=1 makes
// it twenty times as long.
func TestChaos(t *testing.T) {
	requests := 500
	if os.Getenv("INMESH_CHAOS") != "" {
		requests *= 20
	}
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 0))
	c := &chaos{seen: map[string]int{}, chance: func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n)
	}}
	victims := make([]*victim, 4)
	var addresses []string
	for i := range victims {
		victims[i] = &victim{handler: c, chance: c.chance}
		victims[i].start(t)
		t.Cleanup(victims[i].kill)
		addresses = append(addresses, victims[i].address)
	}
	c.mesh = open(t, chaosRules(40, addresses...), nil)
	client := clientOf(c.mesh, nil)

	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for c.ids.Load() < int64(requests) {
				c.once(t, client)
			}
		})
	}
	over := make(chan struct{})
	var rest sync.WaitGroup
	rest.Go(func() { c.disturb(t, victims, addresses, client, over) })
	wg.Wait()
	close(over)
	rest.Wait()

	t.Logf("%d answers, %d of them broken, %d errors", c.answered.Load(), c.broken.Load(), c.refused.Load())
	if c.answered.Load() == 0 || c.refused.Load() == 0 {
		t.Error("that was no chaos")
	}
	for id, n := range c.seen {
		if n > 1 {
			t.Errorf("request %s was sent %d times", id, n)
		}
	}
	eventually(t, "all request bodies are closed", func() bool { return c.bodies.Load() == 0 })
	for _, name := range []string{"outbound|80||one.com", "outbound|80||two.com"} {
		eventually(t, "nothing is under way in "+name, func() bool {
			got := clusterCounts(t, c.mesh, name)
			return got.Active == 0 && got.Pending == 0 && got.Retries == 0
		})
	}
	client.CloseIdleConnections()
	_ = c.mesh.Close()
	eventually(t, "all connections are closed", func() bool {
		return clusterCounts(t, c.mesh, "outbound|80||one.com").Connections+clusterCounts(t, c.mesh, "outbound|80||two.com").Connections == 0
	})
}

// disturb kills endpoints and brings them back, and changes endpoints and rules, as requests go by.
func (c *chaos) disturb(t *testing.T, victims []*victim, addresses []string, client *http.Client, over <-chan struct{}) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for at := c.ids.Load(); ; {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		if c.ids.Load() < at+50 {
			continue
		}
		at = c.ids.Load()
		v := victims[c.chance(len(victims))]
		switch c.chance(4) {
		case 0:
			v.kill()
			v.start(t)
		case 1:
			update(t, c.mesh, chaosRules(40+c.chance(3), addresses...))
		case 2:
			update(t, c.mesh, chaosRules(40, addresses[c.chance(3):]...))
		default:
			client.CloseIdleConnections()
		}
	}
}

// chaosRules are two services with pools that are small and connections that do not live long. What may be sent twice
// is retried; a POST is only where nobody can have seen it, as Istio does by default.
func chaosRules(attempt int, addresses ...string) string {
	var docs []string
	for host, protocol := range map[string]string{"one.com": "http", "two.com": "http2"} {
		docs = append(docs, entryPort(host, 80, protocol, addresses...), virtual(host, strings.ReplaceAll(fmt.Sprintf(`
  - match: [{method: {exact: POST}}]
    timeout: 0.3s
    route: [{destination: {host: HOST}}]
  - timeout: 0.4s
    retries: {attempts: 2, perTryTimeout: %dms, retryOn: "5xx,reset,connect-failure,refused-stream", backoff: 1ms}
    route: [{destination: {host: HOST}}]`, attempt), "HOST", host)), destination(host, `trafficPolicy: {
    connectionPool: {tcp: {maxConnections: 6, connectTimeout: 0.1s, maxConnectionDuration: 0.2s, idleTimeout: 0.05s},
      http: {http1MaxPendingRequests: 12, http2MaxRequests: 14, maxRequestsPerConnection: 7, maxConcurrentStreams: 5, maxRetries: 8,
        http2KeepAlive: {interval: 0.05s, timeout: 0.05s}}},
    outlierDetection: {consecutive5xxErrors: 5, interval: 0.02s, baseEjectionTime: 0.02s, maxEjectionPercent: 50}}`))
	}
	return rules(docs...)
}
