package breaker

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// Concurrency is an [AdaptiveConcurrency] at work. It is safe for concurrent use. Letting a request in or out takes
// no lock and no timer: what is due by the clock is done by the first request after.
type Concurrency struct {
	percentile   float64
	least, most  int64
	update       time.Duration
	interval     time.Duration // of measuring; 0: never
	jitter       float64
	buffer       float64
	requestCount int64
	rand         func() float64
	refusal      *answer.Error
	start        time.Time

	active    atomic.Int64
	limit     atomic.Int64
	blocked   atomic.Uint64
	due       atomic.Int64 // when something is to be done next, since start
	epoch     atomic.Int64 // requests from before it are no samples
	measuring atomic.Bool
	samples   histogram

	mu          sync.Mutex
	nextSample  time.Duration
	nextMeasure time.Duration // never while measuring
	before      int64         // the limit that comes back after the measurement
	lowest      int           // how often in a row the limit was at its lowest
	minRTT      time.Duration
	sampleRTT   time.Duration
	gradient    float64
	headroom    float64
}

const never = time.Duration(math.MaxInt64)

// atLowest is after how many updates in a row to the lowest limit the idle latency is measured early.
const atLowest = 5

// ConcurrencyStatus is the state of an adaptive concurrency limit, under the names of Envoy's statistics.
type ConcurrencyStatus struct {
	ConcurrencyLimit        int64         `json:"concurrencyLimit"`
	Active                  int64         `json:"active"`
	Blocked                 uint64        `json:"rqBlocked"`
	Gradient                float64       `json:"gradient"`
	BurstQueueSize          float64       `json:"burstQueueSize"`
	MinRTT                  time.Duration `json:"minRTT"`
	SampleRTT               time.Duration `json:"sampleRTT"`
	MinRTTCalculationActive bool          `json:"minRTTCalculationActive"`
}

// NewConcurrency makes a limit that begins with a measurement of the idle latency, or at the lowest limit where that
// is fixed.
func NewConcurrency(s *AdaptiveConcurrency) (*Concurrency, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	rtt := s.MinRTTCalcParams
	c := &Concurrency{
		percentile: s.SampleAggregatePercentile / 100,
		least:      int64(or(rtt.MinConcurrency, 3)), most: int64(or(s.ConcurrencyLimitParams.MaxConcurrencyLimit, 1000)),
		update: s.ConcurrencyLimitParams.ConcurrencyUpdateInterval, interval: rtt.Interval,
		jitter: fraction(rtt.Jitter, 15), buffer: fraction(rtt.Buffer, 25), requestCount: int64(or(rtt.RequestCount, 50)),
		rand: s.Rand, refusal: concurrencyRefusal(s.ConcurrencyLimitExceededStatus), start: time.Now(),
		nextMeasure: never, minRTT: rtt.FixedValue,
	}
	if c.percentile == 0 {
		c.percentile = 0.5
	}
	if c.rand == nil {
		c.rand = rand.Float64
	}
	c.limit.Store(c.least)
	c.nextSample = c.update
	if c.interval > 0 {
		c.measure(0)
	}
	c.plan()
	return c, nil
}

// Slot is a place among the requests that are being served. The zero value is none.
type Slot struct {
	c     *Concurrency
	start time.Duration
}

// Acquire asks for a place. The error is [ErrConcurrencyLimit]. Each slot is given back, with Done or with Cancel.
func (c *Concurrency) Acquire() (Slot, error) {
	now := c.now()
	for {
		n := c.active.Load()
		if n >= c.limit.Load() {
			c.blocked.Add(1)
			return Slot{}, c.refusal
		}
		if c.active.CompareAndSwap(n, n+1) {
			return Slot{c, now}, nil
		}
	}
}

// Done gives the slot back, once, and takes the time since Acquire for a sample.
func (s *Slot) Done() {
	c := s.c
	if c == nil {
		return
	}
	s.c = nil
	now := c.now()
	c.active.Add(-1)
	if int64(s.start) < c.epoch.Load() {
		return
	}
	n := c.samples.add(now - s.start)
	if c.measuring.Load() && n >= c.requestCount {
		c.measured(now)
	}
}

// Cancel gives the slot back, once, without a sample: the time says nothing. After Done it does nothing.
func (s *Slot) Cancel() {
	if s.c != nil {
		s.c.active.Add(-1)
		s.c = nil
	}
}

// Limit is how many requests may be served at once now.
func (c *Concurrency) Limit() int {
	c.now()
	return int(c.limit.Load())
}

// Status is the state of this moment.
func (c *Concurrency) Status() ConcurrencyStatus {
	c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return ConcurrencyStatus{
		ConcurrencyLimit: c.limit.Load(), Active: c.active.Load(), Blocked: c.blocked.Load(), Gradient: c.gradient,
		BurstQueueSize: c.headroom, MinRTT: c.minRTT, SampleRTT: c.sampleRTT, MinRTTCalculationActive: c.measuring.Load(),
	}
}

// now is the time since the start, after all that was due by then.
func (c *Concurrency) now() time.Duration {
	now := time.Since(c.start)
	if int64(now) >= c.due.Load() {
		c.catchUp(now)
	}
	return now
}

// catchUp does what was due, in its order. Nothing has been let in and no sample was taken since the first of it was,
// so it comes out as if it had been done by timers; and an update without samples changes nothing, so that only the
// first one needs doing.
func (c *Concurrency) catchUp(now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.nextSample <= now || c.nextMeasure <= now {
		if c.nextMeasure < c.nextSample {
			c.measure(c.nextMeasure)
			continue
		}
		at := c.nextSample
		until := min(now, c.nextMeasure) // at the same time, the update is first
		c.nextSample += (1 + max(0, until-at)/c.update) * c.update
		if !c.measuring.Load() {
			c.sample(at)
		}
	}
	c.plan()
}

// plan notes when something is due next. The caller holds mu.
func (c *Concurrency) plan() { c.due.Store(int64(min(c.nextSample, c.nextMeasure))) }

// measure begins a measurement of the idle latency. The caller holds mu.
func (c *Concurrency) measure(at time.Duration) {
	c.before = c.limit.Load()
	c.lowest = 0
	c.limit.Store(c.least)
	c.epoch.Store(int64(at))
	c.samples.take(1)
	c.nextMeasure = never
	c.measuring.Store(true)
}

// measured ends the measurement: there are samples enough.
func (c *Concurrency) measured(now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.measuring.Load() {
		return // another request was faster
	}
	if rtt, ok := c.samples.take(c.percentile); ok {
		c.minRTT = rtt
	}
	c.limit.Store(c.before)
	c.measuring.Store(false)
	c.nextMeasure = now + c.interval
	if c.jitter > 0 {
		c.nextMeasure += time.Duration(c.rand() * c.jitter * float64(c.interval))
	}
	c.nextSample = now + c.update
	c.plan()
}

// sample calculates the limit anew, at the end of a sampling window. The caller holds mu.
func (c *Concurrency) sample(at time.Duration) {
	rtt, ok := c.samples.take(c.percentile)
	if !ok {
		return
	}
	c.sampleRTT = rtt
	old := c.limit.Load()
	next := c.next(old)
	c.limit.Store(next)
	if old != c.least || next != c.least {
		c.lowest = 0
		return
	}
	// The limit cannot shrink further, and latency is still above the one of an idle server: that may be wrong.
	if c.lowest++; c.lowest >= atLowest && c.interval > 0 {
		c.measure(at)
	}
}

// next is the limit that follows from the two latencies: the old one times their ratio, within a half and two, and
// the root of that as room for bursts.
func (c *Concurrency) next(old int64) int64 {
	c.gradient = 2
	if c.sampleRTT > 0 {
		c.gradient = max(0.5, min(2, float64(c.minRTT)*(1+c.buffer)/float64(c.sampleRTT)))
	}
	limit := float64(old) * c.gradient
	c.headroom = math.Sqrt(limit)
	return max(c.least, min(c.most, int64(limit+c.headroom)))
}
