package mesh

import (
	"context"
	"net/http"
	"sync"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/route/balance"
)

// hedges are the attempts of a call that run side by side, each on a goroutine and as a call of its own. The one that
// is answered with becomes the call's story.
type hedges struct {
	call *call

	mu       sync.Mutex
	attempts map[int]*call
	picks    []pick
}

// pick is the endpoint of an attempt.
type pick struct {
	attempt  int
	endpoint *balance.Endpoint
}

// Send makes one attempt.
func (h *hedges) Send(req *http.Request, n int) (*http.Response, error) {
	c := h.begin(req.Context(), n)
	return c.Send(req.WithContext(c), n)
}

// begin makes the call of an attempt. It knows the endpoints that others have picked.
func (h *hedges) begin(ctx context.Context, n int) *call {
	of := h.call
	c := newCall(of.mesh, of.snap, of.via)
	c.Context, c.hedges = ctx, h
	c.view, c.vhost, c.route, c.action, c.gateway, c.inbound, c.peer = of.view, of.vhost, of.route, of.action, of.gateway, of.inbound, of.peer
	c.cluster, c.dest, c.flags, c.hash, c.tied = of.cluster, of.dest, of.flags, of.hash, of.tied
	c.observed.Record.UpstreamTime = -1
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.picks {
		c.tried = append(c.tried, p.endpoint)
	}
	if h.attempts == nil {
		h.attempts = map[int]*call{}
	}
	h.attempts[n] = c
	return c
}

// picked notes the endpoint of an attempt.
func (h *hedges) picked(n int, e *balance.Endpoint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.picks = append(h.picks, pick{n, e})
}

// Late is told of an attempt that has passed its limit and goes on: for outlier detection it has timed out.
func (h *hedges) Late(n int) {
	h.call.cluster.perTryTimeouts.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.picks {
		if p.attempt == n {
			stateOf(p.endpoint).host.Report(breaker.TimedOut)
		}
	}
}

// settle takes over the story of the attempt that is answered with; where there is none, the last endpoint.
func (h *hedges) settle() {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, won := h.call, h.attempts[h.call.tries.Answered]
	if won == nil {
		for _, p := range h.picks {
			c.endpoint = p.endpoint
			c.observed.Record.UpstreamHost, c.observed.Record.Destination = c.endpoint.Address, stateOf(c.endpoint).peer
		}
		return
	}
	from, to := &won.observed.Record, &c.observed.Record
	c.endpoint, c.flags = won.endpoint, addFlags(c.flags, won.flags)
	to.UpstreamHost, to.Destination, to.UpstreamTime, to.Details = from.UpstreamHost, from.Destination, from.UpstreamTime, from.Details
}

// patron is the context of whoever waits for the call, without limits of ours.
func (c *call) patron() context.Context {
	if c.hedges != nil {
		return c.hedges.call.Context
	}
	return c.Context
}

// whole is the context of all attempts together.
func (c *call) whole() context.Context {
	if c.hedges != nil {
		return c.hedges.call.limit
	}
	return c.limit
}
