package breaker

import (
	"sync/atomic"
	"time"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/validate"
)

// What Istio gives a retry budget that does not say it.
const (
	defaultBudgetPercent = 20
	defaultBudgetRetries = 3
)

// budget bounds the retries that run at a time by the requests there are. While it is set it stands in place of
// maxRetries, as in Envoy.
type budget struct {
	percent float64
	least   int64
	recent  *recent // the requests of the last interval; nil: those that run or wait
}

// SetRetryBudget bounds the retries in flight by a share of the requests, instead of by maxRetries: of those that
// run or wait at the moment, or of those that have begun within budgetInterval where that is set. As many as
// minRetryConcurrency are always allowed. Absent are 20 % and 3; so is a minRetryConcurrency of 0. Nil takes the
// budget away. It refuses what Istio's admission refuses.
//
// See https://istio.io/latest/docs/reference/config/networking/destination-rule/#TrafficPolicy-RetryBudget.
func (p *Pool) SetRetryBudget(spec *networking.TrafficPolicy_RetryBudget) error {
	if spec == nil {
		p.budget.Store(nil)
		return nil
	}
	var fs finding.Faults
	validate.RetryBudget(&fs, "retryBudget", spec)
	if err := fs.Err("breaker"); err != nil {
		return err
	}
	b := &budget{percent: defaultBudgetPercent, least: defaultBudgetRetries}
	if spec.Percent != nil {
		b.percent = spec.Percent.GetValue()
	}
	if n := spec.MinRetryConcurrency; n > 0 {
		b.least = int64(n)
	}
	if d := spec.GetBudgetInterval().AsDuration(); d > 0 {
		b.recent = newRecent(clamp(d))
	}
	p.budget.Store(b)
	return nil
}

// maxRetries is how many retries may run now.
func (p *Pool) maxRetries() int64 {
	b := p.budget.Load()
	if b == nil {
		return p.limits.Load().MaxRetries
	}
	requests := p.active.Load() + p.pending.Load()
	if b.recent != nil {
		requests = b.recent.count(time.Now())
	}
	return max(int64(b.percent/100*float64(requests)), b.least)
}

// began counts a request for a budget that looks back.
func (p *Pool) began() {
	if b := p.budget.Load(); b != nil && b.recent != nil {
		b.recent.add(time.Now())
	}
}

// shares is how finely an interval is looked at: a request counts for the interval and up to a sixteenth more.
const shares = 16

// recent counts what began within the last interval, without a lock: one number for each slice of the time, reused
// in turn.
type recent struct {
	start time.Time
	slice time.Duration
	ring  [shares + 1]atomic.Uint64 // the slice's number, from 1, in the upper half; the count in the lower
}

func newRecent(interval time.Duration) *recent {
	return &recent{start: time.Now(), slice: max(interval/shares, 1)}
}

// at is the number of the slice that the time is in.
func (r *recent) at(now time.Time) uint64 { return uint64(now.Sub(r.start)/r.slice) + 1 }

func (r *recent) add(now time.Time) {
	n := r.at(now)
	cell := &r.ring[n%uint64(len(r.ring))]
	for {
		v := cell.Load()
		switch {
		case v>>32 == n&0xffffffff:
			if cell.CompareAndSwap(v, v+1) {
				return
			}
		case cell.CompareAndSwap(v, n<<32|1):
			return
		}
	}
}

func (r *recent) count(now time.Time) int64 {
	n, sum := r.at(now), uint64(0)
	for i := range r.ring {
		v := r.ring[i].Load()
		if age := uint32(n) - uint32(v>>32); v != 0 && age < uint32(len(r.ring)) {
			sum += v & 0xffffffff
		}
	}
	return int64(sum)
}
