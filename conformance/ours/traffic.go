package ours

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/go-inmesh/inmesh/conformance/world"
)

// Exchange is what came of a request that was really sent.
type Exchange struct {
	Code    int
	Header  http.Header
	Body    string
	Err     error
	Arrived []Sent // at endpoints
}

// respond gives an upstream's answer the probe's header.
func respond(h http.Header) {
	for k, v := range world.Probe() {
		h.Set(k, v)
	}
	h.Set("Content-Type", world.Probe()["content-type"])
}

// Send sends the request with a real http.Client, over the mesh's transport or through its gateway on loopback. Every
// draw of the mesh gives rnd.
func (c *Client) Send(r world.Request, rnd float64) Exchange {
	c.rand = rnd
	req, err := request(r)
	if err != nil {
		return Exchange{Err: err}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var arrived func() []Sent
	if c.client.Gateway == "" {
		rec := &recorder{}
		client.Transport, arrived = c.Transport(rec), rec.take
	} else {
		edge := newEdge(c.Gateway(c.client.Gateway), r.Port, r.TLS)
		defer edge.close()
		client.Transport, arrived = edge.transport(), c.fleet.take
	}
	resp, err := client.Do(req)
	if err != nil {
		return Exchange{Err: err, Arrived: arrived()}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return Exchange{Code: resp.StatusCode, Header: resp.Header, Body: string(body), Err: err, Arrived: arrived()}
}

// recorder is a fake fleet: a base transport that answers for all endpoints.
type recorder struct {
	mu   sync.Mutex
	sent []Sent
}

func (f *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	f.mu.Lock()
	f.sent = append(f.sent, Sent{req.URL.Host, host, req.URL.RequestURI(), req.Header.Clone()})
	f.mu.Unlock()
	h := http.Header{}
	respond(h)
	return &http.Response{StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, Body: http.NoBody, Request: req}, nil
}

func (f *recorder) take() []Sent {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent
}

// edge is a gateway on loopback that believes to listen on the rule's port.
type edge struct {
	server *httptest.Server
}

func newEdge(h http.Handler, port int, secure bool) *edge {
	e := &edge{server: httptest.NewUnstartedServer(h)}
	e.server.Listener = &listener{e.server.Listener, port}
	if secure {
		e.server.StartTLS()
	} else {
		e.server.Start()
	}
	return e
}

func (e *edge) close() { e.server.Close() }

// transport leads every host to the gateway.
func (e *edge) transport() *http.Transport {
	return &http.Transport{
		DisableCompression: true, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", e.server.Listener.Addr().String())
		},
	}
}

type listener struct {
	net.Listener
	port int
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{c, l.port}, nil
}

type conn struct {
	net.Conn
	port int
}

func (c *conn) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: c.port} }
