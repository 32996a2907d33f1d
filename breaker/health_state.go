package breaker

import (
	"context"
	"sync/atomic"
	"time"
)

// checked is one endpoint under health checks. One goroutine asks it; others read failing.
type checked struct {
	endpoint string
	health   *Health
	failing  atomic.Bool

	first          bool // no check has ended yet
	passes, misses int
}

// verdict is what one check found. The zero value is a pass.
type verdict struct {
	cause     FailureType // empty: passed
	retriable bool        // counts up to the threshold although the endpoint has answered
	status    int
	err       error
}

// ask checks the endpoint time after time, until the context ends.
func (c *checked) ask(ctx context.Context) {
	s := &c.health.spec
	wait := jitter(s.InitialJitter, s.Rand)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		v := c.health.try(ctx, c.endpoint)
		if ctx.Err() != nil {
			return
		}
		timer.Reset(c.judge(v))
	}
}

// judge takes the verdict into account and says when to ask again.
func (c *checked) judge(v verdict) time.Duration {
	h, s := c.health, &c.health.spec
	was, first := c.failing.Load(), c.first
	c.first = false
	pending := false
	var base time.Duration
	if v.cause == "" {
		h.successes.Add(1)
		c.misses = 0
		if was {
			c.passes++
			pending = c.passes < s.HealthyThreshold
			c.failing.Store(pending)
		}
		if base = s.Interval; pending {
			base = s.HealthyEdgeInterval
		}
	} else {
		h.failures.Add(1)
		if v.cause != ActiveFailure {
			h.networkFailures.Add(1)
		}
		c.passes = 0
		if !was {
			c.misses++
			pending = !first && (v.cause != ActiveFailure || v.retriable) && c.misses < s.UnhealthyThreshold
			c.failing.Store(!pending)
		}
		if base = s.UnhealthyInterval; pending {
			base = s.UnhealthyEdgeInterval
		}
	}
	if now := c.failing.Load(); now != was {
		c.passes, c.misses = 0, 0
		if h.opts.OnChange != nil {
			h.opts.OnChange(HealthEvent{Endpoint: c.endpoint, Healthy: !now, Time: time.Now(), FirstCheck: first,
				Cause: v.cause, Status: v.status, Err: v.err})
		}
	}
	return max(time.Millisecond, base+jitter(time.Duration(float64(base)*s.IntervalJitterPercent/100), s.Rand)+jitter(s.IntervalJitter, s.Rand))
}

// forget takes the endpoint back to where it was before its first check.
func (c *checked) forget() {
	c.failing.Store(false)
	c.first, c.passes, c.misses = true, 0, 0
}

// jitter is a part of the duration, by chance.
func jitter(d time.Duration, rnd func() float64) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(rnd() * float64(d))
}
