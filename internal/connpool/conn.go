package connpool

import (
	"crypto/tls"
	"io"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// conn is one connection: what net/http reads and writes, and what the pool knows of it.
type conn struct {
	net.Conn // with TLS or without
	raw      net.Conn
	pool     *Pool
	cc       *http.ClientConn
	tls      *tls.ConnectionState // nil without TLS

	multiplexed bool         // HTTP/2: requests share it
	served      atomic.Int64 // requests that it has taken
	streams                  // HTTP/2: of these, the ones that are on it now
	idleSince   atomic.Int64 // when its last request ended, in the way's time
	draining    atomic.Bool  // it takes no more requests, and is closed after those that it has
	closed      atomic.Bool  // net/http is done with it
	counted     atomic.Bool  // the pool knows of it
	forgotten   atomic.Bool  // and has forgotten it again
	sent, heard atomic.Int64 // how often something was written and read

	idle, age atomic.Pointer[time.Timer]
}

// watch starts the connection's timers.
func (c *conn) watch() {
	s := &c.pool.way.settings
	c.idleSince.Store(int64(c.pool.way.now()))
	if s.IdleTimeout > 0 {
		t := time.AfterFunc(math.MaxInt64, c.expire)
		c.idle.Store(t)
		t.Reset(s.IdleTimeout)
	}
	if s.MaxDuration > 0 {
		c.age.Store(time.AfterFunc(s.MaxDuration, c.drain))
	}
	if c.closed.Load() {
		c.unwatch() // meanwhile
	}
}

func (c *conn) unwatch() {
	for _, t := range []*time.Timer{c.idle.Load(), c.age.Load()} {
		if t != nil {
			t.Stop()
		}
	}
}

// expire closes the connection if it has been idle for long enough, or comes back when that may be.
func (c *conn) expire() {
	limit := c.pool.way.settings.IdleTimeout
	left := limit - (c.pool.way.now() - time.Duration(c.idleSince.Load()))
	switch {
	case c.closed.Load():
		return
	case left > 0:
	case c.multiplexed && c.on.Load() == 0:
		c.drain() // one that begins just now is served first
		return
	case !c.multiplexed && c.pool.free.remove(c):
		c.shut()
		return
	default:
		left = limit // in use
	}
	if t := c.idle.Load(); t != nil {
		t.Reset(left)
	}
}

// reserve takes a place on the connection for one more request, and tells whether there was one.
func (c *conn) reserve() bool {
	s := &c.pool.way.settings
	switch {
	case c.closed.Load() || c.draining.Load():
		return false
	case !c.multiplexed: // whoever has it has it alone
		c.served.Add(1)
		return true
	case !c.place():
		return false
	case c.draining.Load(): // whoever drains it looks at the streams after
		c.leave()
		return false
	case !raise(&c.served, s.MaxRequests):
		c.leave()
		return false
	}
	if c.spent() {
		c.drain() // closed when this request and those before it are done
	}
	return true
}

// spent tells whether the connection has taken as many requests as it may.
func (c *conn) spent() bool {
	n := c.pool.way.settings.MaxRequests
	return n > 0 && c.served.Load() >= n
}

// unused gives back a place that was reserved for a request that will not be sent.
func (c *conn) unused() {
	c.served.Add(-1)
	c.release()
}

// leave ends a request on a connection that is shared.
func (c *conn) leave() {
	if c.on.Load() == 1 {
		c.idleSince.Store(int64(c.pool.way.now()))
	}
	if c.on.Add(-1) == 0 && (c.draining.Load() || c.pool.retired.Load()) {
		go c.drain() // the caller may hold a lock
	}
}

// release ends a request: the connection is free for others, or closed if it is of no more use.
func (c *conn) release() {
	p := c.pool
	if c.multiplexed {
		c.leave()
		if p.waiting.Load() > 0 {
			p.serve()
		}
		return
	}
	if c.cc.Available() == 0 || c.spent() || c.draining.Load() || p.retired.Load() {
		c.shut()
		return
	}
	c.idleSince.Store(int64(p.way.now()))
	p.put(c)
}

// drain lets the connection take no more requests; it is closed after those that it has.
func (c *conn) drain() {
	c.draining.Store(true)
	if !c.multiplexed {
		if c.pool.free.remove(c) {
			c.shut()
		}
		return
	}
	c.pool.unshare(c)
	if c.on.Load() == 0 {
		c.shut()
	}
}

// shut closes the connection, whatever is on it.
func (c *conn) shut() {
	_ = c.cc.Close()
	_ = c.Close()
}

// Close is called by net/http, once or more, when the connection is of no more use, and by who got it in an upgrade. It
// may be called under locks of net/http, so that it must not come back to it.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	if c.tls != nil {
		// The alert that ends TLS may wait for a peer that does not read.
		defer time.AfterFunc(alertTimeout, func() { _ = c.raw.Close() }).Stop()
	}
	err := c.Conn.Close()
	c.unwatch()
	c.forget()
	return err
}

// forget has the pool forget a connection that is closed, once.
func (c *conn) forget() {
	if c.counted.Load() && !c.forgotten.Swap(true) {
		c.pool.lost(c)
	}
}

// alertTimeout is how long a connection may take to say that it is closed.
const alertTimeout = 250 * time.Millisecond

func (c *conn) Read(b []byte) (int, error) {
	if c.multiplexed {
		c.looked()
	}
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.heard.Add(1)
		if c.multiplexed {
			c.hears(b[:n])
		}
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if n > 0 {
		c.sent.Add(1)
	}
	return n, err
}

// ReadFrom lets the system copy a file, where it can.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.Conn, r)
	if n > 0 {
		c.sent.Add(1)
	}
	return n, err
}

// CloseWrite ends our half of a connection after an upgrade.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return http.ErrNotSupported
}
