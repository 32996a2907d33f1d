package fault

import (
	"context"
	"errors"
	"net/http"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// Transport injects the faults into requests on their way to next; nil means [http.DefaultTransport]. An aborted
// request never reaches next: its body is closed and the abort is returned as a response. A request that is
// cancelled during its delay gets its context's error.
func (in *Injector) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{in, next}
}

type transport struct {
	in   *Injector
	next http.RoundTripper
}

// RoundTrip delays, then aborts or sends the request.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	d := t.in.Decide()
	if err := d.Wait(r.Context()); err != nil {
		closeBody(r)
		return nil, err
	}
	if reply, ok := d.Abort(); ok {
		closeBody(r)
		return reply.Response(r), nil
	}
	return t.next.RoundTrip(r)
}

// CloseIdleConnections passes the wish on to next.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

// Handler injects the faults into requests on their way to next; nil means [http.DefaultServeMux]. An aborted
// request never reaches next. If the request's context ends during the delay, next is not called either: the
// answer is 504 where a deadline passed, else 499, which the caller, who has left, does not see.
func (in *Injector) Handler(next http.Handler) http.Handler {
	if next == nil {
		next = http.DefaultServeMux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := in.Decide()
		if err := d.Wait(r.Context()); err != nil {
			reply := answer.Reply{Status: 499, GRPC: 1}
			if errors.Is(err, context.DeadlineExceeded) {
				reply = answer.Reply{Status: http.StatusGatewayTimeout, GRPC: 4}
			}
			reply.Write(w, r)
			return
		}
		if reply, ok := d.Abort(); ok {
			reply.Write(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
