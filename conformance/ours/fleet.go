package ours

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
)

// fleet stands for all endpoints: one server on loopback, which knows for each connection whom it was meant for.
type fleet struct {
	once   sync.Once
	server *httptest.Server

	mu      sync.Mutex
	meant   map[string]string // our end of a connection → the endpoint
	arrived []Sent
}

// Sent is a request as it came to an endpoint.
type Sent struct {
	Endpoint string
	Host     string
	Path     string
	Header   http.Header
}

func newFleet() *fleet { return &fleet{meant: map[string]string{}} }

func (f *fleet) dial(ctx context.Context, network, address string) (net.Conn, error) {
	f.once.Do(func() {
		f.server = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
		f.server.Config.Protocols = new(http.Protocols)
		f.server.Config.Protocols.SetHTTP1(true)
		f.server.Config.Protocols.SetUnencryptedHTTP2(true)
		f.server.Start()
	})
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", f.server.Listener.Addr().String())
	if err == nil {
		f.mu.Lock()
		f.meant[conn.LocalAddr().String()] = address
		f.mu.Unlock()
	}
	return conn, err
}

func (f *fleet) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.arrived = append(f.arrived, Sent{f.meant[r.RemoteAddr], r.Host, r.RequestURI, r.Header})
	f.mu.Unlock()
	respond(w.Header())
}

// take gives what has arrived, and forgets it.
func (f *fleet) take() []Sent {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.arrived
	f.arrived = nil
	return out
}

func (f *fleet) close() {
	if f.server != nil {
		f.server.Close()
	}
}
