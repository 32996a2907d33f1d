package breaker

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// controller is the gradient controller with timers, in steps of a millisecond, as Envoy runs it.
type controller struct {
	limit, before, least, most int
	measuring                  bool
	count                      int
	now, epoch                 int
	update, interval           int
	nextSample, nextMeasure    int
	minRTT, lowest             int
	samples                    []int
}

const noTimer = math.MaxInt

func (m *controller) tick(now int) {
	m.now = now
	if now == m.nextSample {
		m.nextSample += m.update
		if !m.measuring && len(m.samples) > 0 {
			m.sample()
		}
	}
	if now == m.nextMeasure {
		m.measure()
	}
}

func (m *controller) measure() {
	m.before, m.limit, m.measuring, m.epoch, m.lowest = m.limit, m.least, true, m.now, 0
	m.samples, m.nextMeasure = nil, noTimer
}

func (m *controller) median() int {
	slices.Sort(m.samples)
	v := m.samples[(len(m.samples)+1)/2-1]
	m.samples = nil
	return v
}

func (m *controller) sample() {
	old, rtt, gradient := m.limit, m.median(), 2.0
	if rtt > 0 {
		gradient = max(0.5, min(2, float64(m.minRTT)*1.25/float64(rtt)))
	}
	limit := float64(old) * gradient
	m.limit = max(m.least, min(m.most, int(limit+math.Sqrt(limit))))
	if m.lowest++; m.limit != m.least || old != m.least {
		m.lowest = 0
	}
	if m.lowest >= 5 {
		m.measure()
	}
}

func (m *controller) done(began int) {
	if began < m.epoch {
		return
	}
	m.samples = append(m.samples, m.now-began)
	if m.measuring && len(m.samples) >= m.count {
		m.minRTT = m.median()
		m.limit, m.measuring = m.before, false
		m.nextMeasure, m.nextSample = m.now+m.interval, m.now+m.update
	}
}

// Doing what is due at the next request comes to the same as timers, whatever requests come, and whenever.
func TestConcurrencyIsAsWithTimers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &controller{least: rapid.IntRange(1, 4).Draw(rt, "least"), most: 50, count: rapid.IntRange(1, 6).Draw(rt, "count"),
			update: rapid.IntRange(1, 60).Draw(rt, "update"), interval: rapid.IntRange(1, 400).Draw(rt, "interval")}
		m.limit, m.nextSample = m.least, m.update
		m.measure()
		steps := rapid.SliceOfN(rapid.IntRange(0, 40), 1, 300).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) {
			ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
			c, err := NewConcurrency(&AdaptiveConcurrency{
				ConcurrencyLimitParams: ConcurrencyLimitParams{ConcurrencyUpdateInterval: ms(m.update), MaxConcurrencyLimit: m.most},
				MinRTTCalcParams:       MinRTTCalcParams{Interval: ms(m.interval), RequestCount: m.count, MinConcurrency: m.least, Jitter: new(float64)},
			})
			if err != nil {
				rt.Fatal(err)
			}
			type request struct {
				slot  Slot
				began int
			}
			var open []request
			now := 0
			for i, wait := range steps {
				for range wait {
					time.Sleep(time.Millisecond)
					now++
					m.tick(now)
				}
				if i%2 == 0 {
					slot, err := c.Acquire()
					if admit := len(open) < m.limit; admit != (err == nil) {
						rt.Fatalf("step %d at %d ms: got %v, want admitted %v of %d", i, now, err, admit, m.limit)
					} else if admit {
						open = append(open, request{slot, now})
					}
				} else if len(open) > 0 {
					open[0].slot.Done()
					m.done(open[0].began)
					open = open[1:]
				}
				if got := c.limit.Load(); int(got) != m.limit && i%2 == 0 {
					rt.Fatalf("step %d at %d ms: got limit %d, want %d", i, now, got, m.limit)
				}
			}
		})
	})
}

// A quantile is within the width of a bucket, 1/32, of the one of the sorted samples.
func TestHistogram(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		samples := rapid.SliceOfN(rapid.Int64Range(0, math.MaxInt64), 1, 50).Draw(rt, "samples")
		small := rapid.Int64Range(1, math.MaxInt64>>8).Draw(rt, "divisor")
		q := rapid.Float64Range(0.001, 1).Draw(rt, "q")
		h := new(histogram)
		for i := range samples {
			samples[i] /= small
			h.add(time.Duration(samples[i]))
		}
		slices.Sort(samples)
		want := samples[max(1, int(math.Ceil(q*float64(len(samples)))))-1]
		got, ok := h.take(q)
		if diff := math.Abs(float64(int64(got) - want)); !ok || diff > float64(want)/32+1 {
			rt.Fatalf("got %v, want %v", got, want)
		}
		if _, ok := h.take(q); ok {
			rt.Fatal("not empty after it was taken")
		}
	})
}
