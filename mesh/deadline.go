package mesh

import (
	"context"
	"net/http"

	"github.com/go-inmesh/inmesh/internal/answer"
	"github.com/go-inmesh/inmesh/route"
)

// ErrLate is the cause that a handler's context ends with when the request's caller waits no longer: it said so in
// x-envoy-expected-rq-timeout-ms or grpc-timeout. The context's error is context.DeadlineExceeded, and so is this one
// for errors.Is.
var ErrLate error = late{}

type late struct{}

func (late) Error() string { return "mesh: the caller's deadline has passed" }
func (late) Unwrap() error { return context.DeadlineExceeded }
func (late) Timeout() bool { return true }

// withDeadline gives the context the deadline of the request's caller, unless it has an earlier one. A connection that
// becomes something other than HTTP has none. ok is false where the deadline has passed.
func withDeadline(ctx context.Context, r *http.Request) (limited context.Context, cancel context.CancelFunc, ok bool) {
	left, said := route.TimeLeft(r.Header)
	if !said || r.Method == http.MethodConnect || len(r.Header["Upgrade"]) > 0 {
		return ctx, func() {}, true
	}
	if left <= 0 {
		return ctx, func() {}, false
	}
	limited, cancel = context.WithTimeoutCause(ctx, left, ErrLate)
	return limited, cancel, true
}

// inTime is a handler that does not begin what is late already.
func inTime(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ctx := r.Context(); ctx.Err() != nil && context.Cause(ctx) == ErrLate {
			tooLate.Write(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// tooLate is the answer to a request whose caller waits no longer: who reads it is a proxy between us, if anyone.
var tooLate = answer.Reply{Status: http.StatusGatewayTimeout, Body: "request deadline exceeded", GRPC: 4}
