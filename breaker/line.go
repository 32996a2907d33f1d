package breaker

import (
	"container/list"
	"context"
)

// waiter is one request in line. Its fields are under the pool's lock until done is closed.
type waiter struct {
	lane       *Lane
	all, own   *list.Element // its places in the pool's line and in the lane's
	done       chan struct{}
	overflowed bool
}

// wait is Acquire for a request that found no connection free, or others in line.
func (p *Pool) wait(ctx context.Context, l *Lane) (Permit, error) {
	p.line.Add(1)
	p.mu.Lock()
	p.serve(l) // those before us first
	limits := p.limits.Load()
	if p.queue.Len() == 0 && raise(&p.conns, limits.MaxConnections) {
		if l != nil {
			l.conns.Add(1)
		}
		return p.leave(l, limits)
	}
	if p.exempt(l) {
		return p.leave(l, limits)
	}
	if !raise(&p.pending, limits.MaxPendingRequests) {
		p.line.Add(-1)
		p.mu.Unlock()
		return Permit{}, p.refuse()
	}
	w := &waiter{lane: l, done: make(chan struct{})}
	w.all = p.queue.PushBack(w)
	if l != nil {
		w.own = l.queue.PushBack(w)
	}
	p.mu.Unlock()

	select {
	case <-w.done:
		if w.overflowed {
			return Permit{}, p.refuse()
		}
		return Permit{p, l, true}, nil
	case <-ctx.Done():
		p.giveUp(w)
		return Permit{}, context.Cause(ctx)
	}
}

// leave ends wait with a connection in hand, and unlocks.
func (p *Pool) leave(l *Lane, limits *Limits) (Permit, error) {
	p.line.Add(-1)
	ok := p.enter(limits)
	p.mu.Unlock()
	if !ok {
		p.disconnect(l)
		return Permit{}, p.refuse()
	}
	return Permit{p, l, true}, nil
}

// giveUp takes the request out of line, or gives back what it was given in the same moment.
func (p *Pool) giveUp(w *waiter) {
	p.mu.Lock()
	select {
	case <-w.done:
		p.mu.Unlock()
		if !w.overflowed {
			t := Permit{p, w.lane, true}
			t.Release()
		}
	default:
		p.remove(w)
		p.mu.Unlock()
	}
}

// serve gives the free connections to those in line, in order; then, if the lane has none, its exemption to
// the first in line for it. The caller holds the lock.
func (p *Pool) serve(l *Lane) {
	limits := p.limits.Load()
	for p.queue.Len() > 0 && raise(&p.conns, limits.MaxConnections) {
		w := p.queue.Front().Value.(*waiter)
		if w.lane != nil {
			w.lane.conns.Add(1)
		}
		p.give(w, limits)
	}
	for l != nil && l.queue.Len() > 0 && p.exempt(l) {
		p.give(l.queue.Front().Value.(*waiter), limits)
	}
}

// exempt takes a connection over the limit for a lane that has none. The caller holds the lock.
func (p *Pool) exempt(l *Lane) bool {
	if l == nil || !l.conns.CompareAndSwap(0, 1) {
		return false
	}
	p.conns.Add(1)
	return true
}

// give hands a connection that is counted already to the waiter, or takes it back and refuses the waiter where
// there are as many requests as may be. The caller holds the lock.
func (p *Pool) give(w *waiter, limits *Limits) {
	p.remove(w)
	if !p.enter(limits) {
		w.overflowed = true
		if w.lane != nil {
			w.lane.conns.Add(-1)
		}
		p.conns.Add(-1)
	}
	close(w.done)
}

func (p *Pool) remove(w *waiter) {
	p.queue.Remove(w.all)
	if w.own != nil {
		w.lane.queue.Remove(w.own)
	}
	p.line.Add(-1)
	p.pending.Add(-1)
}
