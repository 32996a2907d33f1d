package route

import (
	"sync"
	"time"
)

// clock is a time limit that can start anew: it does not run while the request is still coming in from the
// caller, nor while a try waits for its connection.
type clock struct {
	limit time.Duration
	body  *tape   // the request's body if it may still be coming in; nil otherwise
	owner limited // learns of the limit's end, once at most

	mu    sync.Mutex
	timer *time.Timer
	due   time.Time
	mark  int64 // how far the body was when the limit was looked at last
	over  bool  // stopped for good
	fired bool
}

// limited is what a clock puts an end to. giveUp is called with the clock's lock held.
type limited interface{ giveUp() }

// start lets the limit run from now.
func (k *clock) start() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.due = time.Now().Add(k.limit)
	switch {
	case k.over || k.fired:
	case k.timer == nil:
		k.timer = time.AfterFunc(k.limit, k.ring)
	default:
		k.timer.Reset(k.limit)
	}
}

// pause stops the limit until it is started anew.
func (k *clock) pause() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.due = time.Now().Add(forever)
	if k.timer != nil {
		k.timer.Stop()
	}
}

// forever is longer than any limit.
const forever = 1 << 62

// ring ends the limit, or gives it another round if the request is still coming in.
func (k *clock) ring() {
	if k.body != nil && k.body.busy(&k.mark) {
		k.start()
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.over && !k.fired && !time.Now().Before(k.due) {
		k.fired = true
		k.owner.giveUp()
	}
}

// stop ends the limit for good; it tells whether it was too late for that.
func (k *clock) stop() (late bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	if k.timer != nil {
		k.timer.Stop()
	}
	return k.fired
}
