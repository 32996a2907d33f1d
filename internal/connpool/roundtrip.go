package connpool

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"time"
)

// RoundTrip sends the request to the endpoint, whatever its URL says. Errors before there is a connection are the
// context's cause, the refusal of the limits, or a net.OpError of "dial".
//
// A request that was sent on a connection that the server had given up is sent again on another one: if nothing of it
// was written or the server says that it was not processed, or if it is idempotent and was not answered, as
// [http.Transport] does.
func (p *Pool) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	trace := httptrace.ContextClientTrace(ctx)
	out := newOutgoing(req)
	for n := 0; ; n++ {
		if trace != nil && trace.GetConn != nil {
			trace.GetConn(p.address)
		}
		c, err := p.acquire(ctx)
		if err != nil {
			out.close()
			return nil, err
		}
		if err := p.way.settings.Limits.Start(); err != nil {
			c.unused()
			out.close()
			return nil, err
		}
		if trace != nil && trace.GotConn != nil {
			trace.GotConn(c.got())
		}
		resp, err := out.send(c)
		if err == nil {
			return resp, nil
		}
		if n >= mostTries || !out.again(c, err) {
			out.close()
			return nil, err
		}
	}
}

// mostTries is how many connections that the server has given up a request meets at most.
const mostTries = 32

// got is what a trace is told of the connection.
func (c *conn) got() httptrace.GotConnInfo {
	info := httptrace.GotConnInfo{Conn: c.Conn, Reused: c.served.Load() > 1}
	if info.Reused && c.on.Load() <= 1 {
		info.WasIdle = true
		info.IdleTime = c.pool.way.now() - time.Duration(c.idleSince.Load())
	}
	return info
}

// outgoing is a request on its way, over several connections if need be.
type outgoing struct {
	orig *http.Request
	req  *http.Request // as it is sent
	body *sentBody     // nil without a body

	sent, heard int64 // what the connection had written and read before
}

func newOutgoing(req *http.Request) outgoing {
	o := outgoing{orig: req, req: req}
	if req.Body != nil && req.Body != http.NoBody {
		o.body = &sentBody{ReadCloser: req.Body}
		o.req = req.WithContext(req.Context())
		o.req.Body = o.body
	}
	return o
}

// close closes the request's body, if net/http has not.
func (o *outgoing) close() {
	if o.body != nil && !o.body.closed.Load() {
		_ = o.body.Close()
	}
}

// send sends the request on the connection. It ends when the answer's body does.
func (o *outgoing) send(c *conn) (*http.Response, error) {
	a := &answer{conn: c}
	req := o.req
	if !c.multiplexed {
		o.sent, o.heard = c.sent.Load(), c.heard.Load()
		if ctx := req.Context(); ctx.Done() != nil {
			// net/http leaves what it hangs on the context there, where it fails.
			ctx, a.cancel = context.WithCancel(ctx)
			req = req.WithContext(ctx)
		}
		if c.spent() && !req.Close {
			if req == o.orig {
				req = req.WithContext(req.Context())
			}
			req.Close = req.Header.Get("Upgrade") == "" // the server should know
		}
	}
	resp, err := c.cc.RoundTrip(req)
	if err != nil {
		a.end()
		return nil, err
	}
	resp.Request = o.orig
	if c.tls != nil {
		resp.TLS = c.tls
	}
	a.hold(resp)
	return resp, nil
}
