package breaker

import (
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Host is one endpoint under outlier detection. Its methods are safe for concurrent use; on a nil Host they
// do nothing and find nothing wrong.
type Host struct {
	endpoint string
	outlier  *Outlier

	// failures in a row: of the server in the low half, of the gateway kind in the high half.
	answers atomic.Uint64
	local   atomic.Uint32

	// open is the endpoint's circuit breaker while it is ejected, and nil while it is not: a healthy request
	// reads this pointer and no more. gobreaker keeps the open state and its time; as that time is fixed for
	// a breaker and grows for an endpoint, each ejection has a breaker of its own.
	open atomic.Pointer[gobreaker.CircuitBreaker[struct{}]]

	// Under the outlier's lock; times are since its start.
	gone      bool
	cause     Cause
	out, due  time.Duration // when it was ejected, and when that ends at the earliest
	back      time.Duration // when it last returned
	factor    int64         // Envoy's multiplier of the base ejection time, as it was at out
	ejections int
}

// Endpoint is the address that the host was made for.
func (h *Host) Endpoint() string {
	if h == nil {
		return ""
	}
	return h.endpoint
}

// Ejected tells whether the endpoint is to be left alone now.
func (h *Host) Ejected() bool { return h != nil && h.open.Load() != nil }

// Report tells how a try at the endpoint ended. A success costs one or two atomic loads; what ejects the
// endpoint also delivers the event.
func (h *Host) Report(r Result) {
	if h == nil || r == Ignored || !h.outlier.on {
		return
	}
	t := &h.outlier.limits
	if t.split && h.reportLocal(r) {
		h.outlier.trip(h, ConsecutiveLocalOrigin)
	}
	status := t.status(r)
	switch {
	case status == 0:
	case status < 500 || status > 599:
		if h.answers.Load() != 0 {
			h.answers.Store(0)
		}
	default:
		h.reportError(status, t)
	}
}

// reportLocal counts failures of our own side. Whatever came after a connection shows that there was one.
func (h *Host) reportLocal(r Result) (trip bool) {
	if r != ConnectFailed && h.local.Load() != 0 {
		h.local.Store(0)
	}
	return r < 0 && h.local.Add(1) == h.outlier.limits.local
}

func (h *Host) reportError(status int, t *thresholds) {
	gateway := status >= 502 && status <= 504
	var next uint64
	for {
		old := h.answers.Load()
		next = old&^half | uint64(uint32(old)+1)
		if gateway {
			next += 1 << 32
		} else {
			next &= half
		}
		if h.answers.CompareAndSwap(old, next) {
			break
		}
	}
	// As in Envoy, a count trips when it meets its threshold, the gateway's before the other.
	if gateway && t.gateway > 0 && uint32(next>>32) == t.gateway {
		h.outlier.trip(h, ConsecutiveGateway)
	}
	if t.http > 0 && uint32(next) == t.http {
		h.outlier.trip(h, Consecutive5xx)
	}
}

const half = 1<<32 - 1

// reset zeroes the counter that tripped.
func (h *Host) reset(c Cause) {
	switch c {
	case Consecutive5xx:
		h.answers.And(^uint64(half))
	case ConsecutiveGateway:
		h.answers.And(half)
	case ConsecutiveLocalOrigin:
		h.local.Store(0)
	}
}
