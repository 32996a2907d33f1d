package connpool

import (
	"io"
	"net/http"
	"sync/atomic"
)

// sentBody is a request's body that knows what became of it.
type sentBody struct {
	io.ReadCloser
	read, broken, closed atomic.Bool
}

func (b *sentBody) Read(p []byte) (int, error) {
	b.read.Store(true)
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.broken.Store(true)
	}
	return n, err
}

func (b *sentBody) Close() error {
	b.closed.Store(true)
	return b.ReadCloser.Close()
}

// again tells whether the request may be sent once more after the error, and makes it ready for that.
func (o *outgoing) again(c *conn, err error) bool {
	if o.orig.Context().Err() != nil || o.body != nil && o.body.broken.Load() {
		return false
	}
	switch {
	case c.multiplexed:
		if !unprocessed(err) {
			return false
		}
		c.drain()
	case c.served.Load() <= 1:
		return false // there is no reason why the server should have given up a fresh connection
	case c.sent.Load() == o.sent: // nothing was written
	case c.heard.Load() != o.heard || !idempotent(o.orig):
		return false
	}
	return o.rewind()
}

// unprocessed tells whether an error of HTTP/2 says that the server has not looked at the request. These errors of
// net/http have no name.
func unprocessed(err error) bool {
	switch err.Error() {
	case "http2: client conn not usable", "http2: Transport received Server's graceful shutdown GOAWAY":
		return true
	}
	return false
}

// idempotent tells whether it does no harm to send the request twice, as net/http sees it.
func idempotent(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	// An empty list sends nothing and says that the caller knows.
	_, ok := req.Header["Idempotency-Key"]
	_, x := req.Header["X-Idempotency-Key"]
	return ok || x
}

// rewind makes the body ready to be sent once more, if it can be.
func (o *outgoing) rewind() bool {
	if o.body == nil || !o.body.read.Load() && !o.body.closed.Load() {
		return true
	}
	if o.orig.GetBody == nil {
		return false
	}
	body, err := o.orig.GetBody()
	if err != nil {
		return false
	}
	o.close()
	o.body = &sentBody{ReadCloser: body}
	o.req = o.orig.WithContext(o.orig.Context())
	o.req.Body = o.body
	return true
}
