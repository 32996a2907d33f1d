package route

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// How much of a response that nobody will see is read, and for how long, so that its connection can be used again.
const (
	drainLimit = 64 << 10
	drainTime  = 50 * time.Millisecond
)

// discard ends a response that is not handed on: a short rest is read, then the body is closed. Where the rest is
// long or slow the connection is given up, as Envoy resets the stream.
func discard(resp *http.Response) {
	if resp == nil || resp.Body == nil {
		return
	}
	if resp.Body == http.NoBody || resp.ContentLength > drainLimit {
		_ = resp.Body.Close()
		return
	}
	b := &once{ReadCloser: resp.Body}
	slow := time.AfterFunc(drainTime, b.giveUp)
	_, _ = io.CopyN(io.Discard, b, drainLimit)
	slow.Stop()
	_ = b.Close()
}

// once closes what it holds a single time.
type once struct {
	io.ReadCloser
	closed atomic.Bool
}

func (o *once) Close() error {
	if o.closed.Swap(true) {
		return nil
	}
	return o.ReadCloser.Close()
}

func (o *once) giveUp() { _ = o.Close() }

// guard is the body of a response whose call is still under a time limit. When the limit ends it, the reader gets
// the typed error; when it is closed, the limit's context goes with it.
type guard struct {
	io.ReadCloser
	call *Call
	try  *try // nil where the try had no context of its own
}

// Read names the route's timeout where that is what broke the body off.
func (g *guard) Read(b []byte) (int, error) {
	n, err := g.ReadCloser.Read(b)
	if err != nil && err != io.EOF && g.call.timedOut() {
		err = g.call.timeoutError("response_timeout")
	}
	return n, err
}

// Close closes the body and ends the call's contexts.
func (g *guard) Close() error {
	err := g.ReadCloser.Close()
	g.try.end()
	g.call.end()
	return err
}

// duplex is a guard for an upgraded connection, whose body is written to as well.
type duplex struct {
	guard
	io.Writer
}
