package connpool

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
)

// dial makes a connection for those who wait. The context brings what the one who asked for it wants to be told.
func (p *Pool) dial(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.way.settings.Life, func() { cancel(context.Cause(p.way.settings.Life)) })()
	c, err := p.connect(ctx)
	p.dialled(c, err)
}

// connect makes a connection within the connect timeout. Whatever goes wrong is a failure to connect: its error is, or
// wraps what is the cause in, a net.OpError of "dial".
func (p *Pool) connect(ctx context.Context) (*conn, error) {
	s := &p.way.settings
	if s.ConnectTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.ConnectTimeout)
		defer cancel()
	}
	raw, err := s.Dial(ctx, p.network, p.address)
	if err != nil {
		return nil, p.failed(err)
	}
	c := &conn{Conn: raw, pool: p, raw: raw, multiplexed: s.Protocol == HTTP2}
	c.made = p.way.now()
	if s.TLS != nil {
		if err := c.secure(ctx, p.way.secured(p.address)); err != nil {
			_ = c.Close()
			return nil, p.failed(err)
		}
	}
	speak := p.way.http1
	if c.multiplexed {
		speak = p.way.http2
	}
	c.cc, err = speak.NewClientConn(context.WithValue(ctx, handedOver{}, c), "http", "endpoint:0")
	if err != nil {
		_ = c.Close()
		return nil, p.failed(err)
	}
	return c, nil
}

// secure does the TLS handshake.
func (c *conn) secure(ctx context.Context, conf *tls.Config) error {
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart()
	}
	secured := tls.Client(c.raw, conf)
	err := secured.HandshakeContext(ctx)
	state := secured.ConnectionState()
	if trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(state, err)
	}
	if err != nil {
		return handshakeError{err}
	}
	c.Conn, c.tls, c.multiplexed = secured, &state, state.NegotiatedProtocol == "h2"
	return nil
}

// handshakeError is why there is no TLS.
type handshakeError struct{ error }

func (e handshakeError) Error() string { return "TLS handshake: " + e.error.Error() }
func (e handshakeError) Unwrap() error { return e.error }

// Timeout tells whether the time was up.
func (e handshakeError) Timeout() bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](e.error)
	return ok && t.Timeout()
}

// failed is the error of a connection that did not come about.
func (p *Pool) failed(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return err
	}
	return &net.OpError{Op: "dial", Net: p.network, Addr: address{p.network, p.address}, Err: err}
}

// address is where a connection was to go.
type address struct{ network, text string }

func (a address) Network() string { return a.network }
func (a address) String() string  { return a.text }
