package breaker

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"

	networking "istio.io/api/networking/v1"
)

// Pool holds the requests to one cluster within its connection-pool limits. It is safe for concurrent use.
//
// Over a transport that owns the connections it counts requests, not sockets. A request over HTTP/1 holds a
// connection from [Pool.Acquire] until its permit is released, when its response body is done; so maxConnections
// bounds these requests, and one more waits in line. Requests over HTTP/2 share connections and never wait. Idle
// connections are not counted: the transport closes them. Nor is a request pending while its own connection is
// being made, as it is in Envoy: with http1MaxPendingRequests of 1 the first two requests at once are one too many
// there, and not here. Who owns the connections counts as Envoy does, with [Pool.Connect], [Pool.Queue] and
// [Pool.Start].
//
// As long as no limit is near, Acquire and Release are a few atomic operations.
type Pool struct {
	limits   atomic.Pointer[Limits]
	budget   atomic.Pointer[budget] // nil: maxRetries alone counts
	retries  atomic.Int64
	overflow atomic.Uint64
	pending  atomic.Int64 // requests that wait for a connection

	// line is how many are in line or at the counter of it. Whoever gives a connection back looks here after,
	// and whoever gets in line counts here before looking for a connection once more: one sees the other.
	line  atomic.Int64
	mu    sync.Mutex
	queue list.List // of *waiter

	// What every request writes to is on a cache line of its own.
	_      [64]byte
	active atomic.Int64 // requests that have a permit
	conns  atomic.Int64 // of these, the ones that hold a connection; and the connections of Connect
	_      [64]byte
}

// Lane is one endpoint's part in a pool. An endpoint that has no connection may always get one, whatever
// maxConnections says, so that no request waits for an endpoint that no one will ever serve it from. The zero
// value is ready to use, in one pool.
type Lane struct {
	conns atomic.Int64
	queue list.List // of *waiter, under the pool's lock
}

// Counts are a pool's figures.
type Counts struct {
	// Active requests have a permit. Connections are those of [Pool.Connect], and the active requests that hold
	// one, which are counted only where maxConnections is set.
	Active      int64 `json:"active"`
	Connections int64 `json:"connections"`
	// Pending requests wait for a connection.
	Pending int64 `json:"pending"`
	Retries int64 `json:"retries"`
	// Overflow counts the refusals since the pool was made, retries included.
	Overflow uint64 `json:"overflow"`
}

// NewPool makes a pool of the settings; nil means no limits. As in Istio, 0 and absent are no limit, and
// http1MaxPendingRequests and http2MaxRequests hold for HTTP/1 and HTTP/2 alike. The settings that shape
// connections (connectTimeout, keep-alives, maxRequestsPerConnection…) are the http.Transport's.
func NewPool(settings *networking.ConnectionPoolSettings) (*Pool, error) {
	p := &Pool{}
	if err := p.SetLimits(settings); err != nil {
		return nil, err
	}
	return p, nil
}

// SetLimits changes the limits. Requests that have a permit keep it; those in line go on where they now can.
func (p *Pool) SetLimits(settings *networking.ConnectionPoolSettings) error {
	if err := checkPool(settings); err != nil {
		return err
	}
	l := limitsOf(settings)
	p.limits.Store(&l)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serve(nil)
	return nil
}

// Limits are the limits as they stand.
func (p *Pool) Limits() Limits { return *p.limits.Load() }

// Counts are the figures of this moment.
func (p *Pool) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Counts{
		Active: p.active.Load(), Connections: p.conns.Load(), Pending: p.pending.Load(),
		Retries: p.retries.Load(), Overflow: p.overflow.Load(),
	}
}

// Protocol says whether a request holds its connection alone.
type Protocol bool

// The two protocols.
const (
	HTTP1 Protocol = false
	HTTP2 Protocol = true
)

// Acquire asks for leave to send a request to the endpoint of the lane; without a lane (nil), no endpoint's
// first connection is exempt. An HTTP/1 request may have to wait for a connection, until the context ends;
// those who wait are served in order. The error is the context's cause, or [ErrOverflow].
func (p *Pool) Acquire(ctx context.Context, l *Lane, proto Protocol) (Permit, error) {
	limits := p.limits.Load()
	p.began()
	if proto == HTTP2 || limits.MaxConnections >= unlimited {
		if !p.enter(limits) {
			return Permit{}, p.refuse()
		}
		return Permit{pool: p}, nil
	}
	if p.line.Load() == 0 && p.connect(l, limits) {
		if !p.enter(limits) {
			p.disconnect(l)
			return Permit{}, p.refuse()
		}
		return Permit{p, l, true}, nil
	}
	return p.wait(ctx, l)
}

// AcquireRetry asks for leave to have one more retry in flight, within maxRetries or the retry budget. Each leave is
// given back with ReleaseRetry.
func (p *Pool) AcquireRetry() bool {
	if !raise(&p.retries, p.maxRetries()) {
		p.overflow.Add(1)
		return false
	}
	return true
}

// ReleaseRetry gives back one leave of AcquireRetry: the retry has ended.
func (p *Pool) ReleaseRetry() { p.retries.Add(-1) }

// Permit is leave to send one request. The zero value is no permit, and releasing it does nothing.
type Permit struct {
	pool *Pool
	lane *Lane
	conn bool
}

// Release gives the permit back, once: the variable is then no permit any more. Copies of it are not known.
func (t *Permit) Release() {
	if t.pool == nil {
		return
	}
	p, l, conn := t.pool, t.lane, t.conn
	*t = Permit{}
	p.active.Add(-1)
	if conn {
		p.disconnect(l)
	}
}

// enter counts a request in, unless there are as many as may be.
func (p *Pool) enter(limits *Limits) bool { return raise(&p.active, limits.MaxRequests) }

// connect takes a connection that is free. The lane is counted first, so that no one takes its exemption twice.
func (p *Pool) connect(l *Lane, limits *Limits) bool {
	if l != nil {
		l.conns.Add(1)
	}
	if raise(&p.conns, limits.MaxConnections) {
		return true
	}
	if l != nil {
		l.conns.Add(-1) // who was misled by this is in line, and served by us: we get in line as well
	}
	return false
}

// disconnect gives a connection back, to those in line if there are any.
func (p *Pool) disconnect(l *Lane) {
	if l != nil {
		l.conns.Add(-1)
	}
	p.conns.Add(-1)
	if p.line.Load() > 0 {
		p.mu.Lock()
		p.serve(l)
		p.mu.Unlock()
	}
}

func (p *Pool) refuse() error {
	p.overflow.Add(1)
	return overflow
}

// raise adds one unless the value has reached the limit.
func raise(n *atomic.Int64, limit int64) bool {
	if limit >= unlimited {
		n.Add(1)
		return true
	}
	for {
		v := n.Load()
		if v >= limit {
			return false
		}
		if n.CompareAndSwap(v, v+1) {
			return true
		}
	}
}
