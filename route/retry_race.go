package route

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// race is a call whose tries may run side by side: one that has not answered at its limit is not given up, but
// another one begins beside it. The first answer that is not one to try again is the call's; a failure counts only
// once no other try can do better.
//
// See https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/http/http_routing#arch-overview-http-routing-hedging.
type race struct {
	call    *Call
	request *http.Request
	sender  Sender
	on      *retryOn
	retries int

	ended   chan finish
	over    chan struct{} // closed when the call has its outcome
	running []*entrant
	newest  *entrant // whose limit or failure may have another try begin; nil once it had
	pauses  *pauses
	timer   *time.Timer // of the pause before the next try; nil where none is to come
	flags   string      // what kept the call from further tries
}

// entrant is one try of a race.
type entrant struct {
	n       int
	try     *try
	release func() // its permit's; nil for none
}

// finish is how a try's sending ended.
type finish struct {
	*entrant
	resp  *http.Response
	err   error
	panic any
}

// race makes the tries of a call that hedges.
func (c *Call) race(r *http.Request, s Sender, retries int, on *retryOn) (*http.Response, error) {
	if get := r.GetBody; get != nil {
		var mu sync.Mutex // tries may ask for the body at the same time
		r = r.WithContext(r.Context())
		r.GetBody = func() (io.ReadCloser, error) {
			mu.Lock()
			defer mu.Unlock()
			return get()
		}
	}
	c.hold(r, true)
	h := &race{call: c, request: r, sender: s, on: on, retries: retries, ended: make(chan finish), over: make(chan struct{})}
	defer h.stop()
	o, t := h.run()
	if o.fail != nil || o.again {
		o.flag = h.flags
	}
	return c.conclude(o, t)
}

// run goes on until the call has an outcome.
func (h *race) run() (outcome, *try) {
	c := h.call
	if err := h.begin(); err != nil {
		return outcome{err: err}, nil //nolint:nilerr // the outcome has it
	}
	for {
		var late chan struct{}
		if h.newest != nil {
			late = h.newest.try.late
		}
		var rested <-chan time.Time
		if h.timer != nil {
			rested = h.timer.C
		}
		select {
		case <-late:
			if l, ok := h.sender.(LateSender); ok {
				l.Late(h.newest.n)
			}
			h.another()
		case <-rested:
			h.timer = nil
			if err := h.begin(); err != nil && len(h.running) == 0 {
				return outcome{err: err}, nil
			}
		case f := <-h.ended:
			if f.panic != nil {
				panic(f.panic)
			}
			if o, done := h.judge(f); done {
				return o, f.try
			}
		case <-c.ctx.Done():
			return h.ending(), nil
		}
	}
}

// ending is the outcome of a call that has no more time, or whose caller has gone.
func (h *race) ending() outcome {
	if h.call.timedOut() {
		return outcome{fail: h.call.timeoutError("response_timeout")}
	}
	return outcome{err: context.Cause(h.call.ctx)}
}

// begin starts a try. An error is that of the caller's body.
func (h *race) begin() error {
	c := h.call
	c.Attempts++
	req, t, err := c.prepare(h.request, h.on)
	if err != nil {
		t.end()
		c.giveBack()
		c.Attempts--
		return err
	}
	h.newest = &entrant{n: c.Attempts, try: t, release: c.release}
	c.release = nil
	h.running = append(h.running, h.newest)
	go h.send(h.newest, req)
	return nil
}

// send runs one try, on its own goroutine.
func (h *race) send(e *entrant, req *http.Request) {
	f := finish{entrant: e}
	defer func() {
		f.panic = recover() // to go on, on the caller's goroutine
		if f.resp == nil && f.err == nil {
			f.err = errTryOver // it panicked, or ended its goroutine
		}
		if e.release != nil {
			e.release()
		}
		select {
		case h.ended <- f:
		case <-h.over:
			if f.resp != nil && f.resp.Body != nil {
				_ = f.resp.Body.Close()
			}
			e.try.end()
		}
	}()
	f.resp, f.err = h.sender.Send(req, e.n) //nolint:bodyclose // whoever gets f closes it
}

// judge looks at a try that has ended; done tells that the call has ended with it.
func (h *race) judge(f finish) (o outcome, done bool) {
	h.running = slices.DeleteFunc(h.running, func(e *entrant) bool { return e == f.entrant })
	c := h.call
	f.try.settle()
	o = c.judge(f.resp, f.err, f.try, false, h.on)
	switch {
	case o.err != nil || c.timedOut():
		return o, true
	case o.resp != nil && !o.again:
		c.Answered = f.n
		return o, true
	case o.again && h.newest == f.entrant:
		h.another()
	}
	if len(h.running) == 0 && h.timer == nil {
		if o.resp != nil {
			c.Answered = f.n
		}
		return o, true
	}
	go f.drop(o.resp)
	return o, false
}

// drop ends a try whose answer is not handed on.
func (e *entrant) drop(resp *http.Response) {
	discard(resp)
	e.try.end()
}

// another has one more try begin after a pause, if the newest asks for one and nothing forbids it.
func (h *race) another() {
	c, e := h.call, h.newest
	h.newest = nil
	if e.try.informed() || !h.repeatable() {
		return
	}
	if flag := c.leave(h.retries); flag != "" {
		h.flags = joined(h.flags, flag)
		return
	}
	if c.body != nil && len(h.running) == 0 && !c.rewind() {
		return
	}
	if h.pauses == nil {
		h.pauses = c.newPauses()
	}
	h.timer = time.NewTimer(h.pauses.next())
}

// repeatable tells whether the request can be sent once more: beside others, its body must be there whole.
func (h *race) repeatable() bool {
	c := h.call
	if c.body != nil && len(h.running) > 0 {
		return c.body.beside() != nil
	}
	return c.repeatable(h.request)
}

// stop ends what is still running: nobody waits for it any more.
func (h *race) stop() {
	close(h.over)
	h.call.giveBack()
	if h.timer != nil {
		h.timer.Stop()
	}
	for _, e := range h.running {
		e.try.end()
	}
}

// joined is a list of flags with one more.
func joined(flags, flag string) string {
	switch {
	case flags == "":
		return flag
	case strings.Contains(flags, flag):
		return flags
	}
	return flags + "," + flag
}
