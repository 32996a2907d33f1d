package balance

import (
	"math"
	"sync/atomic"
	"time"
)

// Endpoint is one place where a service runs. The exported fields are set before the endpoint is handed to
// [Balancer.Update] and never after. What moves (requests in flight, health) is behind the methods, which
// take no lock and are safe for concurrent use.
//
// An endpoint belongs to one balancer at a time: the one that was last updated with it.
type Endpoint struct {
	// Address is "host:port", or the path of a unix socket.
	Address string
	// Labels are the workload's; subsets were chosen by them.
	Labels map[string]string
	// Locality is region/zone/subzone; empty means unknown.
	Locality string
	// Weight is this endpoint's share of the traffic against the others'; 0 and less mean 1.
	Weight int
	// ServiceAccount names the workload's identity, for the server names that its certificate may carry.
	ServiceAccount string
	// Network tells which endpoints reach each other directly; empty means the same network.
	Network string
	// Workload and Namespace name the workload that runs here, for metrics and logs.
	Workload, Namespace string
	// Extra is the owner's: what it wants to find again with the endpoint. [Carry] keeps it.
	Extra any

	own    state
	shared *state // another endpoint's state, taken over by Carry; nil means own
}

// state is what moves. It is padded to cache lines of its own: every request writes to it, and the fields of
// the endpoint beside it are read by all.
type state struct {
	_      [64]byte
	active atomic.Int64
	flags  atomic.Uint32
	rank   atomic.Int32
	owner  atomic.Pointer[Balancer]
	born   atomic.Pointer[time.Time] // when it began to warm up; nil: not yet
	_      [64]byte
}

// The reasons why an endpoint is passed over.
const (
	ejected = 1 << iota
	failing
)

func (e *Endpoint) state() *state {
	if e.shared != nil {
		return e.shared
	}
	return &e.own
}

// Begin counts a request in. Each Begin is followed by one [Endpoint.Done].
func (e *Endpoint) Begin() { e.state().active.Add(1) }

// Done counts a request out: its response body is done, or it failed.
func (e *Endpoint) Done() { e.state().active.Add(-1) }

// Active is the number of requests in flight.
func (e *Endpoint) Active() int64 { return e.state().active.Load() }

// SetEjected marks the endpoint as ejected by outlier detection, or as back. The balancer that it belongs to
// knows it when SetEjected returns.
func (e *Endpoint) SetEjected(out bool) { e.flag(ejected, out) }

// Ejected tells whether outlier detection has ejected the endpoint.
func (e *Endpoint) Ejected() bool { return e.state().flags.Load()&ejected != 0 }

// SetFailing marks the endpoint as one that fails its active health checks, or as one that passes them again. The
// balancer that it belongs to knows it when SetFailing returns.
func (e *Endpoint) SetFailing(fails bool) { e.flag(failing, fails) }

// Failing tells whether the endpoint fails its active health checks.
func (e *Endpoint) Failing() bool { return e.state().flags.Load()&failing != 0 }

// Healthy tells whether nothing speaks against sending requests here.
func (e *Endpoint) Healthy() bool { return e.state().flags.Load() == 0 }

// Priority is the endpoint's place among the localities, 0 being the first choice, and -1 where the settings send the
// client's requests to other localities alone. It is known after [Balancer.Update].
func (e *Endpoint) Priority() int { return int(e.state().rank.Load()) }

func (e *Endpoint) flag(bit uint32, on bool) {
	st := e.state()
	var old uint32
	if on {
		old = st.flags.Or(bit)
	} else {
		old = st.flags.And(^bit)
	}
	if was := old&bit != 0; was == on {
		return
	}
	if bit == failing {
		st.born.Store(nil) // it warms up once more
	}
	if b := st.owner.Load(); b != nil {
		b.refresh()
	}
}

// weight is the endpoint's weight within the bounds that Istio's type has.
func (e *Endpoint) weight() uint64 {
	return uint64(min(max(e.Weight, 1), math.MaxUint32))
}
