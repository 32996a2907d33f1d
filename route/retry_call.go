package route

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// Sender makes the tries of a [Call].
type Sender interface {
	// Send makes the n-th try, counted from 1. It keeps to the contract of [http.RoundTripper]: it returns as
	// soon as it has the response's headers, it closes the request's body on every path, also where it refuses,
	// and an error means that there is no response. The request with its URL and Header is Send's own, and its
	// context ends when the try is given up. An error that carries an answer, as those of this module do, is
	// judged by its flag; any other by [Classify].
	Send(r *http.Request, n int) (*http.Response, error)
}

// LateSender is a [Sender] that wants to know of tries that have passed their own limit and go on all the same,
// because the call hedges.
type LateSender interface {
	Sender
	// Late is told of the n-th try, on the goroutine of [Call.Do].
	Late(n int)
}

// SenderFunc is a func that makes the tries.
type SenderFunc func(r *http.Request, n int) (*http.Response, error)

// Send calls f.
func (f SenderFunc) Send(r *http.Request, n int) (*http.Response, error) { return f(r, n) }

// Call takes one request through its tries under the route's timeout. Set the fields of the first group, call
// [Call.Begin] where that saves a copy, then [Call.Do], once; a Call is not used again. The tries may outlive Do:
// do not recycle it either.
//
// Tries follow one another on the goroutine of Do, unless the call hedges (see [RetryPolicy.Hedge]): then each
// runs on a goroutine of its own, Sender and release are called by several at once, and those that have lost end
// soon after Do has returned, with their contexts.
//
// The route's timeout starts when the whole request has come in from the caller. In a process that is at once for
// a request without a body or with a GetBody; a body that is read as it comes counts from its end, or from the
// point where the upstream takes no more of it. The timeout covers all tries, the pauses between them and the
// response with its body.
type Call struct {
	// Retry says what is tried again. Nil means nothing is, unless Overrides ask for it.
	Retry *RetryPolicy
	// Timeout is the route's; 0 is none.
	Timeout time.Duration
	// Overrides are what [TakeOverrides] found in the caller's headers.
	Overrides Overrides
	// Rand draws a number in [0, 1) for pauses. Nil means Retry's, else math/rand/v2.
	Rand func() float64
	// Permit asks for leave to retry, before the pause; a refusal ends the call with the failure at hand and the
	// flag UO. release, which may be nil, is called when the retry has brought headers or has failed. Nil means
	// that every retry has leave.
	Permit func() (release func(), ok bool)

	// Attempts is how many tries were made, when Do has returned. Answered is the number of the one that the
	// response is of: the last, unless tries ran side by side; 0 if there is none.
	Attempts, Answered int
	// Flags are Envoy's response flags that the call came to when Do has returned, joined with commas: those of
	// the error; "URX" or "UO" beside a response that would have been tried again; "DC" where the caller has
	// gone; empty for none.
	Flags string

	limits
	ctx     context.Context         // the tries': Begin's
	parent  context.Context         // the caller's
	cancel  context.CancelFunc      // ends ctx where its deadline is fixed; nil otherwise
	abandon context.CancelCauseFunc // ends ctx where its deadline moves; nil otherwise
	clock   *clock                  // the deadline that moves
	expired expiry
	started time.Time
	body    *tape // the request's body if it can be read only once and that matters
	current atomic.Pointer[try]
	release func() // gives the permit of the retry that is going on, or about to, back
}

// expiry is the cause that a call's context ends with at the route's timeout. Each call has its own, so that the
// timeout of a call around it is not taken for it.
type expiry struct{ limit time.Duration }

// Error says what the limit was.
func (e *expiry) Error() string {
	return "route: the route's timeout, " + e.limit.String() + ", has passed"
}

// Unwrap makes it a route.ErrTimeout.
func (e *expiry) Unwrap() error { return ErrTimeout }

// Timeout tells net/http that it is one.
func (e *expiry) Timeout() bool { return true }

// Begin starts the route's timeout for the request r, which is only looked at, and gives the context that the
// request for Do should have: ctx itself where there is no timeout. Do must follow.
func (c *Call) Begin(ctx context.Context, r *http.Request) context.Context {
	c.parent, c.ctx = ctx, ctx
	c.limits = limitsOf(c.Timeout, c.Retry, c.Overrides, r.Header)
	if r.Method == http.MethodConnect {
		c.total, c.perTry = 0, 0 // such a request never comes in whole
	}
	if c.total <= 0 {
		return ctx
	}
	c.expired.limit = c.total
	c.started = time.Now()
	if streams(r) || isUpgrade(r) {
		c.ctx, c.abandon = context.WithCancelCause(ctx)
		c.clock = &clock{limit: c.total, owner: c}
	} else {
		c.ctx, c.cancel = context.WithTimeoutCause(ctx, c.total, &c.expired)
	}
	return c.ctx
}

// streams tells whether the request's body can only be read as it comes.
func streams(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.GetBody == nil
}

// isUpgrade tells whether the connection is to become something other than HTTP.
func isUpgrade(r *http.Request) bool {
	return r.Method == http.MethodConnect || len(r.Header["Upgrade"]) > 0
}

// Hedges tells, after Begin, whether tries may run side by side.
func (c *Call) Hedges() bool { return c.hedge && c.perTry > 0 }

// Do makes the tries and returns the response of the last one, or what kept it from coming: an *answer.Error with
// a sidecar's flag, status and body, or the caller's own error where the caller has given up or its body failed.
// r belongs to the call, with its Header and URL; its context is Begin's.
func (c *Call) Do(r *http.Request, s Sender) (*http.Response, error) {
	if c.ctx == nil {
		if ctx := r.Context(); c.Begin(ctx, r) != ctx {
			r = r.WithContext(c.ctx)
		}
	}
	retries, on := c.plan(r)
	switch {
	case on != nil && retries > 0 && c.hedge && c.perTry > 0:
		return c.race(r, s, retries, on)
	case on != nil || c.total > 0 || c.perTry > 0:
		c.hedge = false
		return c.loop(r, s, retries, on)
	}
	c.Attempts = 1
	r.Header[headerAttempt] = attemptValue(1)
	if deadline, ok := c.parent.Deadline(); ok {
		c.announce(r.Header, 0, deadline)
	}
	resp, err := s.Send(r, 1)
	if err != nil {
		return nil, c.fail(err, true)
	}
	c.Answered = 1
	return resp, nil
}

// plan is what the rule and the caller's headers ask for together: how many retries, and on what. on is nil if
// nothing is ever tried again. A caller that asks where the rule does not gets one retry, as from Envoy.
func (c *Call) plan(r *http.Request) (retries int, on *retryOn) {
	p, x := c.Retry, c.Overrides.x
	if isUpgrade(r) || p == nil && x == nil {
		return 0, nil
	}
	if x == nil {
		return p.retries, &p.on
	}
	on, retries = &retryOn{}, 1
	if p != nil {
		*on, retries = p.on, p.retries
	}
	on.conditions |= x.conditions
	on.codes = slices.Concat(on.codes, x.codes)
	on.headers = slices.Concat(on.headers, x.headers)
	if x.maxRetries >= 0 {
		retries = x.maxRetries
	}
	if on.conditions == 0 {
		return 0, nil
	}
	return retries, on
}

// fail is the error of a call whose one try, without limits, ended with err.
func (c *Call) fail(err error, wrote bool) error {
	if c.parent.Err() != nil {
		c.Flags = answer.DownstreamTerminated
		return err
	}
	e := Classify(err, wrote)
	c.Flags = e.Flag
	return e
}

// giveUp ends the call at the route's timeout, where the deadline moves.
func (c *Call) giveUp() { c.abandon(&c.expired) }

// end lets go of the context and the timer.
func (c *Call) end() {
	switch {
	case c.cancel != nil:
		c.cancel()
	case c.abandon != nil:
		c.clock.stop()
		c.abandon(context.Canceled)
	}
}

// timedOut tells whether the route's timeout, and not the caller, has ended the call.
func (c *Call) timedOut() bool {
	return c.total > 0 && c.ctx.Err() != nil && context.Cause(c.ctx) == error(&c.expired)
}

// Limit is the timeout of the whole call as Begin made it out of the rule, the gRPC client's and the caller's
// headers; 0 is none.
func (c *Call) Limit() time.Duration { return c.total }

// timeoutError is the answer to a timeout: 504, or the 204 that the caller asked for in its place.
func (c *Call) timeoutError(details string) *answer.Error {
	e := &answer.Error{
		Sentinel: ErrTimeout, Flag: answer.UpstreamTimeout, Status: http.StatusGatewayTimeout,
		Details: details, Body: timeoutText,
	}
	if x := c.Overrides.x; x != nil && x.noContent {
		e.Status, e.Body = http.StatusNoContent, ""
	}
	return e
}

// attemptValues are the usual values of x-envoy-attempt-count; they are only read.
var attemptValues = [...][]string{{"0"}, {"1"}, {"2"}, {"3"}, {"4"}, {"5"}}

func attemptValue(n int) []string {
	if n < len(attemptValues) {
		return attemptValues[n]
	}
	return []string{strconv.Itoa(n)}
}
