package breaker

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
	networking "istio.io/api/networking/v1"
)

// Outlier ejects the endpoints of one cluster that fail time after time, and lets them return: Envoy's outlier
// detection as Istio configures it. Give it the endpoints with [Outlier.Update], and each try's end to the
// endpoint's [Host]. It is safe for concurrent use.
//
// Consecutive errors eject an endpoint for the base ejection time multiplied by how often that happened of late,
// unless more than maxEjectionPercent of the endpoints would then be out: with the default of 10 % and fewer
// than ten endpoints, none ever is. Endpoints return in the sweep that is done each interval. No sweep is run
// while no endpoint waits for it, by one timer and no goroutine.
type Outlier struct {
	on     bool
	limits thresholds
	start  time.Time
	opts   OutlierOptions

	mu       sync.Mutex
	closed   bool
	hosts    map[string]*Host
	out      map[*Host]struct{}
	timer    *time.Timer
	next     time.Duration // the sweep that the timer stands at; 0 means none
	enforced uint64
	capped   uint64

	news mailbox
}

// OutlierOptions are for [NewOutlier]; nil options work.
type OutlierOptions struct {
	// OnEject and OnReturn hear of every ejection and return, one at a time and in order, outside of any lock.
	// OnEject runs before the Report that it comes from returns, unless another event is being delivered.
	// They should be quick. Nil means nobody listens.
	OnEject, OnReturn func(Event)
}

// NewOutlier makes the outlier detection of the settings, where absent fields have Istio's defaults. Nil
// settings eject nothing.
func NewOutlier(settings *networking.OutlierDetection, opts *OutlierOptions) (*Outlier, error) {
	if err := checkOutlier(settings); err != nil {
		return nil, err
	}
	o := &Outlier{
		on: settings != nil, limits: thresholdsOf(settings), start: time.Now(),
		hosts: map[string]*Host{}, out: map[*Host]struct{}{},
	}
	if opts != nil {
		o.opts = *opts
	}
	return o, nil
}

// MinHealthPercent is the share of healthy endpoints below which all are to be used, ejected or not; 0 means
// never. It is the balancer's to obey.
func (o *Outlier) MinHealthPercent() int { return o.limits.minHealth }

// Update sets the endpoints of the cluster. Those that stay keep their counts and ejections; those that go are
// forgotten, without an event.
func (o *Outlier) Update(endpoints []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	hosts := make(map[string]*Host, len(endpoints))
	for _, e := range endpoints {
		h := o.hosts[e]
		if h == nil {
			h = &Host{endpoint: e, outlier: o}
		}
		hosts[e] = h
	}
	for e, h := range o.hosts {
		if hosts[e] == nil {
			h.gone = true
			delete(o.out, h)
		}
	}
	o.hosts = hosts
	if len(o.out) == 0 && o.next != 0 {
		o.timer.Stop()
		o.next = 0
	}
}

// Host is the endpoint of the address; nil where Update did not name it. Look it up once and keep it.
func (o *Outlier) Host(endpoint string) *Host {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.hosts[endpoint]
}

// Close stops the timer and ends the ejecting: no event comes after the one that is being delivered.
func (o *Outlier) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if o.timer != nil {
		o.timer.Stop()
	}
	o.news.close()
}

// trip is what follows when a counter of the host met its threshold.
func (o *Outlier) trip(h *Host, c Cause) {
	o.mu.Lock()
	if !h.gone && !o.closed && h.open.Load() == nil {
		if 100*(len(o.out)+1) <= o.limits.maxPercent*len(o.hosts) {
			o.eject(h, c)
		} else {
			o.capped++
		}
		h.reset(c)
	}
	o.mu.Unlock()
	o.deliver()
}

func (o *Outlier) eject(h *Host, c Cause) {
	now := time.Now()
	h.out = now.Sub(o.start)
	// k shrinks by one in each sweep that finds the host back for an interval at least.
	if h.ejections > 0 {
		h.factor = max(0, h.factor-int64((h.out-h.back)/o.limits.interval))
	}
	h.factor = o.limits.grow(h.factor)
	d := o.limits.ejection(h.factor)
	h.due = h.out + d
	h.cause = c
	h.ejections++
	h.open.Store(openFor(h.endpoint, d))
	o.out[h] = struct{}{}
	o.enforced++
	o.arm(o.limits.boundary(h.due))
	o.news.add(Event{Endpoint: h.endpoint, Cause: c, Time: now, Duration: d, Ejections: h.ejections})
}

// openFor makes a circuit breaker that is open for the time. gobreaker stays open at the very end of its time,
// Envoy does not; hence the nanosecond.
func openFor(endpoint string, d time.Duration) *gobreaker.CircuitBreaker[struct{}] {
	b := gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name: endpoint, Timeout: d - 1, ReadyToTrip: func(gobreaker.Counts) bool { return true },
	})
	_, _ = b.Execute(func() (struct{}, error) { return struct{}{}, errTripped })
	return b
}

var errTripped = errors.New("breaker: too many errors in a row")

// arm sets the timer to the sweep, unless it stands at an earlier one. The caller holds the lock.
func (o *Outlier) arm(at time.Duration) {
	if o.next != 0 && o.next <= at {
		return
	}
	o.next = at
	wait := at - time.Since(o.start)
	if o.timer == nil {
		o.timer = time.AfterFunc(wait, o.sweep)
	} else {
		o.timer.Reset(wait)
	}
}

// sweep lets return whose time is over, and sets the timer to the next sweep in which one may.
func (o *Outlier) sweep() {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return
	}
	now := time.Now()
	since := now.Sub(o.start)
	at := since / o.limits.interval * o.limits.interval // this sweep
	o.next = 0
	var next time.Duration
	for _, h := range slices.SortedFunc(maps.Keys(o.out), byEndpoint) {
		if h.open.Load().State() == gobreaker.StateOpen {
			if b := o.limits.boundary(max(h.due, since+1)); next == 0 || b < next {
				next = b
			}
			continue
		}
		delete(o.out, h)
		h.back = at
		h.answers.Store(0)
		h.local.Store(0)
		h.open.Store(nil)
		o.news.add(Event{
			Endpoint: h.endpoint, Cause: h.cause, Time: now, Returned: true,
			Duration: since - h.out, Ejections: h.ejections,
		})
	}
	if next != 0 {
		o.arm(next)
	}
	o.mu.Unlock()
	o.deliver()
}

func byEndpoint(a, b *Host) int { return cmp.Compare(a.endpoint, b.endpoint) }

// deliver hands out the events that lie ready, unless somebody is at it.
func (o *Outlier) deliver() {
	o.news.deliver(func(e Event) {
		hook := o.opts.OnEject
		if e.Returned {
			hook = o.opts.OnReturn
		}
		if hook != nil {
			hook(e)
		}
	})
}
