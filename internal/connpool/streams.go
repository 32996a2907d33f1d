package connpool

import (
	"sync/atomic"
	"time"
)

// streams are the requests on a connection of HTTP/2, and how many there may be. We count them ourselves: a place that
// is reserved with [http.ClientConn.Reserve] may block all others where the server's settings come after it.
type streams struct {
	on    atomic.Int64 // how many there are
	known atomic.Int64 // how many the server takes; 0 if that is not known yet
	made  time.Duration

	// The server's first frame are its settings; net/http has looked at them when it wants to read on.
	settled atomic.Bool
	first   int     // how much of what it has sent was read, till then
	head    [3]byte // its length
}

// patience is how long the settings are waited for, by all requests but the first.
const patience = time.Second

// patience is how long the settings will be waited for yet.
func (c *conn) patience() time.Duration {
	if c.known.Load() > 0 || c.settled.Load() || c.closed.Load() || c.draining.Load() {
		return 0
	}
	return max(0, patience-(c.pool.way.now()-c.made))
}

// place takes one more place, and tells whether there was one.
func (c *conn) place() bool {
	if raise(&c.on, c.places()) {
		return true
	}
	if c.known.Load() == 0 {
		return false
	}
	c.learn() // more may be allowed by now
	return raise(&c.on, c.places())
}

// places is how many requests the connection takes at once.
func (c *conn) places() int64 {
	n := c.known.Load()
	if n == 0 {
		if c.patience() > 0 {
			return 1
		}
		n = c.learn()
	}
	if most := c.pool.way.settings.MaxStreams; most > 0 {
		n = min(n, most)
	}
	return n
}

// learn asks net/http how many requests the server takes.
func (c *conn) learn() int64 {
	n := int64(1)
	for range 4 { // until nothing has changed in between
		free := c.cc.Available()
		n = max(1, int64(free+c.cc.InFlight()))
		if c.cc.Available() == free {
			break
		}
	}
	c.known.Store(n)
	return n
}

// hears is told of all that is read.
func (s *streams) hears(b []byte) {
	if s.settled.Load() {
		return
	}
	if s.first < len(s.head) {
		copy(s.head[s.first:], b)
	}
	s.first += len(b)
}

// looked is told that all frames that were read whole have been looked at.
func (c *conn) looked() {
	s := &c.streams
	const header = 9 // bytes, of which the first three are the length of the rest
	if s.settled.Load() || s.first < header+int(s.head[0])<<16+int(s.head[1])<<8+int(s.head[2]) {
		return
	}
	s.settled.Store(true)
	if c.pool.waiting.Load() > 0 {
		go c.pool.serve()
	}
}

// raise adds one unless the value has reached the limit; 0 is none.
func raise(n *atomic.Int64, limit int64) bool {
	if limit <= 0 {
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
