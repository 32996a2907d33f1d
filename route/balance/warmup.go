package balance

import (
	"math"
	"time"

	networking "istio.io/api/networking/v1"
)

// warmup lets the weight of a new endpoint grow. See
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/slow_start.
type warmup struct {
	window   time.Duration
	least    float64 // of the weight, 0..1
	exponent float64 // of the time: 1/aggression
}

// warmupOf is nil where there is none: it is for LEAST_REQUEST and ROUND_ROBIN alone.
func warmupOf(lb *networking.LoadBalancerSettings, a Algorithm) *warmup {
	if a != LeastRequest && a != RoundRobin {
		return nil
	}
	u := &warmup{least: 0.1, exponent: 1}
	switch w := lb.GetWarmup(); {
	case w != nil:
		u.window = w.GetDuration().AsDuration()
		if w.MinimumPercent != nil {
			u.least = w.GetMinimumPercent().GetValue() / 100
		}
		if w.Aggression != nil {
			u.exponent = 1 / w.GetAggression().GetValue()
		}
	case lb.GetWarmupDurationSecs() != nil: // old rules have it
		u.window = lb.GetWarmupDurationSecs().AsDuration() // old rules have it
	}
	if u.window <= 0 {
		return nil
	}
	return u
}

// factor is what the weight of an endpoint is multiplied with, at an age: 1 when it is warm.
func (u *warmup) factor(age time.Duration) float64 {
	if age >= u.window {
		return 1
	}
	t := float64(max(age, time.Millisecond)) / float64(u.window)
	f := math.Pow(min(t, 1), u.exponent)
	return max(f, u.least)
}

// step is how long the weights that were worked out are good enough.
func (u *warmup) step() time.Duration { return max(u.window/100, time.Millisecond) }

// fine is how many parts a weight of 1 has while endpoints warm up.
const fine = 1 << 16

// heat finds the endpoints that are warming up. Until the time that it gives, the factors are good enough; 0 means
// that all endpoints are warm.
func (b *Balancer) heat() time.Duration {
	if b.warmup == nil {
		return 0
	}
	now := time.Now()
	clear(b.factors)
	left := time.Duration(math.MaxInt64)
	for _, e := range b.all {
		st := e.state()
		born := st.born.Load()
		if born == nil {
			if e.Failing() {
				continue // it begins to warm up when it passes its health checks
			}
			born = &now
			st.born.Store(born)
		}
		if age := now.Sub(*born); age < b.warmup.window {
			b.factors[st] = b.warmup.factor(age)
			left = min(left, b.warmup.window-age)
		}
	}
	if len(b.factors) == 0 {
		return 0
	}
	return now.Sub(b.start) + max(min(left, b.warmup.step()), 1)
}

// weigh gives the endpoints' weights, in parts where some of them warm up.
func (b *Balancer) weigh(eps []*Endpoint) []uint64 {
	out := make([]uint64, len(eps))
	cold := false
	for i, e := range eps {
		out[i] = e.weight()
		if len(b.factors) > 0 && !cold {
			_, cold = b.factors[e.state()]
		}
	}
	if !cold {
		return out
	}
	for i, e := range eps {
		f, ok := b.factors[e.state()]
		if !ok {
			f = 1
		}
		out[i] = max(1, uint64(float64(out[i])*f*fine))
	}
	return out
}

// warm works the weights out anew, if no update is under way: a pick never waits.
func (b *Balancer) warm(m *members) *members {
	if b.mu.TryLock() {
		if b.now.Load() == m {
			b.build()
		}
		b.mu.Unlock()
	}
	return b.now.Load()
}
