package breaker

import (
	"io"
	"net/http"
	"sync/atomic"
)

type transport struct {
	breaker *Breaker
	next    http.RoundTripper
}

// RoundTrip sends the request if the policy lets it.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	s, permit, err := t.admit(req)
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	sent := false
	defer func() {
		if !sent { // an error, or a panic
			permit.Release()
		}
	}()
	resp, err := t.next.RoundTrip(req)
	s.host.Report(ResultOf(resp, err))
	if err != nil {
		return nil, err
	}
	sent = true
	resp.Body = hold(resp.Body, permit)
	return resp, nil
}

func (t *transport) admit(req *http.Request) (*site, Permit, error) {
	s, err := t.breaker.site(req.URL)
	if err != nil {
		return nil, Permit{}, err
	}
	if s.host.Ejected() {
		return nil, Permit{}, ejectedHost
	}
	permit, err := s.pool.Acquire(req.Context(), &s.lane, HTTP1)
	return s, permit, err
}

// CloseIdleConnections passes the call on.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// hold ties the permit to the body: it is released at the body's end, at an error or at Close, once.
func hold(b io.ReadCloser, permit Permit) io.ReadCloser {
	if b == nil || b == http.NoBody {
		permit.Release()
		return http.NoBody
	}
	if w, ok := b.(io.Writer); ok { // 101 Switching Protocols
		return &duplex{body: body{ReadCloser: b, permit: permit}, Writer: w}
	}
	return &body{ReadCloser: b, permit: permit}
}

type body struct {
	io.ReadCloser
	permit   Permit
	released atomic.Bool
}

type duplex struct {
	body
	io.Writer
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.release()
	}
	return n, err
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.release()
	return err
}

func (b *body) release() {
	if b.released.CompareAndSwap(false, true) {
		b.permit.Release()
	}
}
