package route

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// outcome is how a try ended: with a response, a failure, or an error of the caller's own.
type outcome struct {
	resp  *http.Response
	fail  *answer.Error
	err   error
	again bool   // the policy would try again
	flag  string // what kept it from that, if anything did
}

// loop makes the tries of a call that has limits, or something to try again.
func (c *Call) loop(r *http.Request, s Sender, retries int, on *retryOn) (*http.Response, error) {
	defer c.giveBack()
	c.hold(r, retries > 0)
	var wait *pauses
	for {
		c.Attempts++
		req, t, err := c.prepare(r, on)
		if err != nil {
			return c.conclude(outcome{err: err}, t)
		}
		resp, err := s.Send(req, c.Attempts)
		c.giveBack()
		o := c.judge(resp, err, t, t.settle(), on)
		if o.again && !t.informed() && c.repeatable(r) {
			if o.flag = c.leave(retries); o.flag == "" && c.rewind() {
				discard(o.resp)
				t.end()
				if wait == nil {
					wait = c.newPauses()
				}
				if o = c.pause(wait.next()); o.again {
					continue
				}
			}
		}
		return c.conclude(o, t)
	}
}

// hold takes the request's body over where it can be read only once, and starts the deadline that waits for it.
func (c *Call) hold(r *http.Request, record bool) {
	if streams(r) {
		c.body = newTape(r, record)
		c.body.onDone = c.arrived
	}
	if c.clock != nil {
		c.clock.body = c.body
		c.clock.start()
	}
}

// arrived starts the limits anew, for the whole request has come in.
func (c *Call) arrived() {
	if c.clock != nil {
		c.clock.start()
	}
	if t := c.current.Load(); t != nil && t.cancel != nil {
		t.clock.start()
	}
}

// prepare makes the request of the next try. The first is r itself; each further one has a header, URL and body of
// its own, for the transport may still be busy with the last; so has the first where others may run beside it. An
// error is that of the caller's body.
func (c *Call) prepare(r *http.Request, on *retryOn) (*http.Request, *try, error) {
	ctx := c.ctx
	var t *try
	w := watch{limit: c.perTry, hedge: c.hedge}
	if on != nil {
		w.sent, w.hints = on.conditions&onResetBeforeRequest != 0, hears(ctx)
	}
	if w.limit > 0 || w.sent || w.hints {
		t, ctx = newTry(ctx, w, c.body)
		c.current.Store(t)
	}
	n := c.Attempts
	if t != nil || n > 1 {
		again := r.WithContext(ctx)
		if n > 1 || c.hedge {
			u := *r.URL
			again.URL, again.Header = &u, r.Header.Clone()
			if n > 1 && c.body == nil && r.GetBody != nil {
				body, err := r.GetBody()
				if err != nil {
					return nil, t, err
				}
				again.Body = body
			}
		}
		r = again
	}
	if c.body != nil {
		var body io.ReadCloser
		if n > 1 && c.hedge {
			body = c.body.beside()
		}
		if body == nil {
			body = c.body.next()
		}
		if body == nil {
			return nil, t, errTryOver
		}
		r.Body = body
	}
	r.Header[headerAttempt] = attemptValue(n)
	if deadline, ok := c.parent.Deadline(); ok || c.total > 0 || c.perTry > 0 {
		var elapsed time.Duration
		if n > 1 && c.total > 0 {
			elapsed = time.Since(c.started)
		}
		c.announce(r.Header, elapsed, deadline)
	}
	return r, t, nil
}

// judge says how the try ended, and whether the policy would try again. late is true for a try that was given up at
// its own limit.
func (c *Call) judge(resp *http.Response, err error, t *try, late bool, on *retryOn) outcome {
	switch {
	case c.timedOut():
		discard(resp)
		return outcome{fail: c.timeoutError("response_timeout")}
	case late:
		discard(resp)
		return outcome{fail: c.timeoutError("upstream_per_try_timeout"), again: on != nil && on.lost(lossReset, true)}
	case err == nil:
		return outcome{resp: resp, again: on != nil && on.response(resp)}
	case c.parent.Err() != nil, c.body != nil && c.body.failure() != nil:
		return outcome{err: err}
	}
	fail := Classify(err, !t.untouched())
	l := lossOf(fail)
	return outcome{fail: fail, again: on != nil && on.lost(l, l != lossConnect && !t.untouched())}
}

// repeatable tells whether the request can be sent once more.
func (c *Call) repeatable(r *http.Request) bool {
	if c.body != nil {
		return c.body.repeatable()
	}
	return r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
}

// rewind takes the request's body from the try that is lost; it tells whether it was in time.
func (c *Call) rewind() bool {
	if c.body == nil || c.body.rewind() {
		return true
	}
	c.giveBack()
	return false
}

// leave tells what forbids another try: "URX" if all were made, "UO" if too many are going on, "" if nothing.
func (c *Call) leave(retries int) string {
	if c.Attempts > retries {
		return answer.RetriesExhausted
	}
	if c.Permit != nil {
		release, ok := c.Permit()
		if !ok {
			return answer.UpstreamOverflow
		}
		c.release = release
	}
	return ""
}

// giveBack returns the permit of the retry that has ended.
func (c *Call) giveBack() {
	if release := c.release; release != nil {
		c.release = nil
		release()
	}
}

// newPauses starts the pauses of this call.
func (c *Call) newPauses() *pauses {
	base, draw := defaultBackoff, c.Rand
	if p := c.Retry; p != nil {
		base = p.base
		if draw == nil {
			draw = p.Rand
		}
	}
	return newPauses(base, draw)
}

// pause waits before a retry. It is cut short by the route's timeout and by the caller: then there is no retry.
func (c *Call) pause(d time.Duration) outcome {
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-c.ctx.Done():
		}
	}
	switch {
	case c.ctx.Err() == nil:
		return outcome{again: true}
	case c.timedOut():
		return outcome{fail: c.timeoutError("response_timeout")}
	}
	return outcome{err: context.Cause(c.ctx)}
}

// conclude ends the call with the last outcome.
func (c *Call) conclude(o outcome, t *try) (*http.Response, error) {
	if o.resp != nil {
		c.Flags = o.flag
		if c.Answered == 0 {
			c.Answered = c.Attempts
		}
		c.deliver(o.resp, t)
		return o.resp, nil
	}
	t.end()
	c.end()
	if c.body != nil {
		c.body.close()
	}
	if o.err != nil {
		c.Flags = answer.DownstreamTerminated
		return nil, o.err
	}
	e := o.fail
	if c.Attempts > 1 || o.flag != "" {
		last := *e
		if c.Attempts > 1 {
			last.Body = strings.Replace(e.Body, resetText+"reset", resetText+"retried and the latest reset", 1)
		}
		if o.flag != "" {
			last.Flag += "," + o.flag
		}
		e = &last
	}
	c.Flags = e.Flag
	return nil, e
}

// deliver hands the response on: what limits the call now ends with the response's body.
func (c *Call) deliver(resp *http.Response, t *try) {
	if c.body != nil {
		c.body.settle()
	}
	if resp.StatusCode == http.StatusSwitchingProtocols && c.clock != nil {
		c.clock.stop()
	}
	switch own := t != nil && t.cancel != nil; {
	case c.cancel == nil && c.abandon == nil && !own:
	case resp.Body == nil || resp.Body == http.NoBody:
		t.end()
		c.end()
	default:
		g := guard{ReadCloser: resp.Body, call: c, try: t}
		if w, ok := resp.Body.(io.Writer); ok {
			resp.Body = &duplex{g, w}
		} else {
			resp.Body = &g
		}
	}
}
