package connpool

import (
	"container/list"
	"slices"
	"sync"
	"sync/atomic"
)

// Pool is the connections to one endpoint. It is safe for concurrent use. [Way.Pool] makes it.
type Pool struct {
	way              *Way
	network, address string

	shared  atomic.Pointer[[]*conn] // HTTP/2; copied to change
	free    free                    // HTTP/1, that nobody uses
	alone   atomic.Bool             // the last connection that was made serves one request at a time
	live    atomic.Int64            // connections, those in the making included
	retired atomic.Bool

	// waiting is how many are in line or at the counter of it. Whoever frees a connection looks here after, and whoever
	// gets in line counts here before looking for a connection once more: one sees the other.
	waiting atomic.Int64
	mu      sync.Mutex
	line    list.List // of *waiter
	making  int       // connections in the making
	looking bool      // those in line will be served again soon
}

// Counts are a pool's figures.
type Counts struct {
	// Connections are open or in the making; Waiting are requests that wait for one.
	Connections, Waiting int64
}

// Counts are the figures of this moment.
func (p *Pool) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Counts{p.live.Load(), int64(p.line.Len())}
}

// CloseIdleConnections closes the connections that no request is on.
func (p *Pool) CloseIdleConnections() {
	for c := p.free.pop(); c != nil; c = p.free.pop() {
		c.shut()
	}
	for _, c := range *p.shared.Load() {
		if c.on.Load() == 0 {
			c.drain()
		}
	}
}

// Retire closes the connections that no request is on, and the others when their requests are done. The pool serves
// on, but keeps nothing.
func (p *Pool) Retire() {
	p.retired.Store(true)
	for _, c := range *p.shared.Load() {
		c.drain()
	}
	p.CloseIdleConnections()
}

// take finds a connection with a place for a request; nil if there is none.
func (p *Pool) take() *conn {
	for _, c := range *p.shared.Load() {
		if c.reserve() {
			return c
		}
	}
	for {
		c := p.free.pop()
		if c == nil || c.reserve() {
			return c
		}
		go c.shut() // it drains, and whoever wanted to close it did not find it
	}
}

// put keeps a connection of HTTP/1 for the next request.
func (p *Pool) put(c *conn) {
	p.free.push(c)
	if (c.closed.Load() || c.draining.Load() || p.retired.Load()) && p.free.remove(c) {
		c.shut()
	}
	if p.waiting.Load() > 0 {
		p.serve()
	}
}

// share keeps a connection of HTTP/2.
func (p *Pool) share(c *conn) {
	for {
		old := p.shared.Load()
		list := append(slices.Clip(*old), c)
		if p.shared.CompareAndSwap(old, &list) {
			break
		}
	}
	if c.closed.Load() || c.draining.Load() {
		p.unshare(c)
	}
}

// unshare takes a connection of HTTP/2 out.
func (p *Pool) unshare(c *conn) {
	for {
		old := p.shared.Load()
		i := slices.Index(*old, c)
		if i < 0 {
			return
		}
		list := slices.Delete(slices.Clone(*old), i, i+1)
		if p.shared.CompareAndSwap(old, &list) {
			return
		}
	}
}

// lost is told of each connection that is closed. It may be called under locks of net/http.
func (p *Pool) lost(c *conn) {
	if c.multiplexed {
		p.unshare(c)
	} else {
		p.free.remove(c)
	}
	p.live.Add(-1)
	p.way.settings.Limits.Disconnect()
	if p.waiting.Load() > 0 {
		go p.serve()
	}
}
