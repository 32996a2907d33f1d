package connpool

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// waiter is one request in line. Its fields are under the pool's lock until done is closed.
type waiter struct {
	ctx  context.Context
	done chan struct{}
	conn *conn
	err  error
}

// acquire gives a connection with a place for the request. The error is the context's cause, the limits' refusal, or
// why there is no connection.
func (p *Pool) acquire(ctx context.Context) (*conn, error) {
	if p.waiting.Load() == 0 {
		if c := p.take(); c != nil {
			return c, nil
		}
	}
	p.waiting.Add(1)
	p.mu.Lock()
	p.serveLine() // those before us first
	if p.line.Len() == 0 {
		if c := p.take(); c != nil {
			p.waiting.Add(-1)
			p.mu.Unlock()
			return c, nil
		}
	}
	if err := p.way.settings.Limits.Queue(); err != nil {
		p.waiting.Add(-1)
		p.mu.Unlock()
		return nil, err
	}
	w := &waiter{ctx: ctx, done: make(chan struct{})}
	place := p.line.PushBack(w)
	p.grow()
	p.mu.Unlock()

	select {
	case <-w.done:
		return w.conn, w.err
	case <-ctx.Done():
		p.giveUp(place)
		return nil, context.Cause(ctx)
	}
}

// giveUp takes the request out of line, or gives back what it was given in the same moment.
func (p *Pool) giveUp(place *list.Element) {
	w := place.Value.(*waiter)
	p.mu.Lock()
	select {
	case <-w.done:
		p.mu.Unlock()
		if w.conn != nil {
			w.conn.unused()
		}
	default:
		p.leaveLine(place)
		p.mu.Unlock()
	}
}

func (p *Pool) leaveLine(place *list.Element) {
	p.line.Remove(place)
	p.waiting.Add(-1)
	p.way.settings.Limits.Unqueue()
}

// give ends the wait of the first in line, with a connection or an error. The caller holds the lock.
func (p *Pool) give(c *conn, err error) {
	place := p.line.Front()
	w := place.Value.(*waiter)
	p.leaveLine(place)
	w.conn, w.err = c, err
	close(w.done)
}

// serve gives what is free to those in line, and makes connections for the others.
func (p *Pool) serve() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serveLine()
	p.grow()
}

// serveLine gives what is free to those in line. The caller holds the lock.
func (p *Pool) serveLine() {
	for p.line.Len() > 0 {
		c := p.take()
		if c == nil {
			p.lookAgain()
			return
		}
		p.give(c, nil)
	}
}

// lookAgain serves those in line when a connection has been waited for long enough. The caller holds the lock.
func (p *Pool) lookAgain() {
	if p.looking {
		return
	}
	for _, c := range *p.shared.Load() {
		if left := c.patience(); left > 0 {
			p.looking = true
			time.AfterFunc(left, p.look)
			return
		}
	}
}

func (p *Pool) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looking = false
	p.serveLine()
	p.grow()
}

// places is how many requests a connection in the making will take at once.
func (p *Pool) places() int {
	s := &p.way.settings
	if p.alone.Load() {
		return 1
	}
	n := int64(math.MaxInt32)
	for _, limit := range []int64{s.MaxStreams, s.MaxRequests} {
		if limit > 0 {
			n = min(n, limit)
		}
	}
	return int(n)
}

// grow makes connections for those in line, as far as the limits allow. The caller holds the lock.
func (p *Pool) grow() {
	s := &p.way.settings
	soon := 0
	for _, c := range *p.shared.Load() {
		if c.patience() > 0 {
			soon++
		}
	}
	for (p.making+soon)*p.places() < p.line.Len() && s.Limits.Connect(p.live.Load() == 0) {
		p.making++
		p.live.Add(1)
		// It tells whoever came last how it goes, and goes on without them.
		ctx := context.WithoutCancel(p.line.Back().Value.(*waiter).ctx)
		if !s.Start(func() { p.dial(ctx) }) {
			p.making--
			p.gaveUp(context.Cause(s.Life))
			return
		}
	}
}

// dialled takes over a connection that was made, or tells those in line that it could not be.
func (p *Pool) dialled(c *conn, err error) {
	p.mu.Lock()
	p.making--
	if err != nil {
		p.gaveUp(err)
		p.mu.Unlock()
		return
	}
	p.alone.Store(!c.multiplexed)
	c.watch()
	c.counted.Store(true)
	given := false
	switch {
	case p.line.Len() == 0:
	case c.reserve():
		given = true
		p.give(c, nil)
	default:
		p.give(nil, errClosedAtOnce) // not to try for ever
	}
	if c.multiplexed {
		p.share(c)
	} else if !given {
		p.free.push(c)
	}
	p.serveLine()
	p.grow()
	p.mu.Unlock()
	if c.closed.Load() {
		c.forget()
	}
	if p.retired.Load() {
		p.Retire() // nobody may have waited for it any more
	}
}

var errClosedAtOnce = fmt.Errorf("connpool: the server closed the connection at once: %w", io.EOF)

// gaveUp gives back the leave to connect. One request bears the failure, if there are more than connections in the
// making for them; where nothing is left that could serve the others, they all do. The caller holds the lock.
func (p *Pool) gaveUp(err error) {
	if err == nil {
		err = errors.New("connpool: closed")
	}
	left := p.live.Add(-1)
	p.way.settings.Limits.Disconnect()
	most := min(1, p.line.Len()-p.making*p.places())
	if left == 0 {
		most = p.line.Len()
	}
	for range most {
		p.give(nil, err)
	}
}
