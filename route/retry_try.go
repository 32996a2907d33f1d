package route

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync/atomic"
	"time"
)

// try is one try that has a limit of its own, or that has to be watched. It is also the cause that its context
// ends with, so that no other timeout is taken for it. A nil try has neither limit nor watch.
type try struct {
	cancel context.CancelCauseFunc // nil without a limit
	clock  clock
	late   chan struct{} // closed at the limit, where that does not end the try; nil otherwise

	seen atomic.Bool // the transport tells what it sends
	sent atomic.Bool // the request's headers were written
	told atomic.Bool // an informational response went to the caller
}

// Error says what the limit was.
func (t *try) Error() string {
	return "route: the time for one try, " + t.clock.limit.String() + ", has passed"
}

// Unwrap makes it an ErrTimeout.
func (t *try) Unwrap() error { return ErrTimeout }

// Timeout tells net/http that it is one.
func (t *try) Timeout() bool { return true }

// watch says what a try has to look out for.
type watch struct {
	limit time.Duration // the try's own; 0 is none
	sent  bool          // whether the request's headers were sent matters
	hints bool          // the caller is told of informational responses
	hedge bool          // the limit does not end the try
}

// newTry starts a try under the context. As with Envoy its time begins when it has a connection and the request,
// whose body may still come in, is there: waiting for a connection is not counted, where the transport tells of it.
func newTry(ctx context.Context, w watch, body *tape) (*try, context.Context) {
	t := &try{}
	trace := &httptrace.ClientTrace{}
	if w.sent {
		trace.GetConn = func(string) { t.seen.Store(true) }
		trace.WroteHeaders = func() { t.sent.Store(true) }
	}
	if w.hints {
		trace.Got1xxResponse = func(code int, _ textproto.MIMEHeader) error {
			if code != http.StatusContinue {
				t.told.Store(true)
			}
			return nil
		}
	}
	if w.limit > 0 {
		ctx, t.cancel = context.WithCancelCause(ctx)
		if w.hedge {
			t.late = make(chan struct{})
		}
		t.clock.limit, t.clock.body, t.clock.owner = w.limit, body, t
		trace.GetConn = func(string) {
			t.seen.Store(w.sent)
			t.clock.pause()
		}
		trace.GotConn = func(httptrace.GotConnInfo) { t.clock.start() }
		t.clock.start()
	}
	return t, httptrace.WithClientTrace(ctx, trace)
}

// giveUp ends the try at its limit, or has the call know of it.
func (t *try) giveUp() {
	if t.late != nil {
		close(t.late)
		return
	}
	t.cancel(t)
}

// settle stops the time, for the try has brought headers or an error; it tells whether it was too late.
func (t *try) settle() (late bool) { return t != nil && t.cancel != nil && t.clock.stop() }

// end lets go of the try's context.
func (t *try) end() {
	if t != nil && t.cancel != nil {
		t.clock.stop()
		t.cancel(context.Canceled)
	}
}

// untouched tells whether it is known that no headers were sent; without them no server acts.
func (t *try) untouched() bool { return t != nil && t.seen.Load() && !t.sent.Load() }

// informed tells whether the caller has seen a 1xx response of this try.
func (t *try) informed() bool { return t != nil && t.told.Load() }

// hears tells whether the caller wants to see informational responses.
func hears(ctx context.Context) bool {
	trace := httptrace.ContextClientTrace(ctx)
	return trace != nil && trace.Got1xxResponse != nil
}
