package breaker

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	networking "istio.io/api/networking/v1"
	"pgregory.net/rapid"
)

// model is outlier detection once more, as Envoy writes it: step by step with a sweep at every interval. It
// knows only consecutive 5xx.
type model struct {
	interval, base, longest time.Duration
	percent, threshold      int
	hosts                   []modelHost
}

type modelHost struct {
	errors, k int
	out       bool
	since     time.Duration // ejected
	back      time.Duration
	wasOut    bool
}

func (m *model) sweep(now time.Duration) {
	for i := range m.hosts {
		if h := &m.hosts[i]; h.out && min(time.Duration(h.k)*m.base, m.longest) <= now-h.since {
			h.out, h.errors, h.back = false, 0, now
		}
	}
	for i := range m.hosts {
		if h := &m.hosts[i]; !h.out && h.wasOut && now-h.back >= m.interval && h.k > 0 {
			h.k--
		}
	}
}

func (m *model) fail(i int, now time.Duration) {
	h := &m.hosts[i]
	if h.errors++; h.errors != m.threshold || h.out {
		return
	}
	if 100*float64(m.ejected()+1)/float64(len(m.hosts)) <= float64(m.percent) {
		h.out, h.wasOut, h.since = true, true, now
		if time.Duration(h.k)*m.base < m.longest+m.base {
			h.k++
		}
	}
	h.errors = 0
}

func (m *model) ejected() int {
	n := 0
	for _, h := range m.hosts {
		if h.out {
			n++
		}
	}
	return n
}

// plan is a run of outlier detection: one report and one pause a step.
type plan struct {
	interval, base            time.Duration
	hosts, percent, threshold int
	steps                     []step
}

type step struct {
	host   int
	result Result
	pause  time.Duration
}

func drawPlan(t *rapid.T) plan {
	p := plan{
		hosts:     rapid.IntRange(1, 12).Draw(t, "hosts"),
		interval:  time.Duration(rapid.IntRange(1, 20).Draw(t, "interval")) * time.Second,
		base:      time.Duration(rapid.SampledFrom([]int{1, 5, 30, 90, 299, 300, 400}).Draw(t, "base")) * time.Second,
		percent:   rapid.IntRange(1, 100).Draw(t, "percent"),
		threshold: rapid.IntRange(1, 3).Draw(t, "threshold"),
	}
	for range rapid.IntRange(1, 60).Draw(t, "steps") {
		p.steps = append(p.steps, step{
			rapid.IntRange(0, p.hosts-1).Draw(t, "host"),
			rapid.SampledFrom([]Result{500, 500, 500, 200}).Draw(t, "result"),
			time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 3, 10, 40, 700}).Draw(t, "pause")) * time.Second,
		})
	}
	return p
}

// Whatever is reported when, the endpoints are out exactly as Envoy's algorithm has them, and never more of
// them than maxEjectionPercent.
func TestOutlierIsEnvoys(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlan(rt)
		var problem string
		synctest.Test(t, func(*testing.T) { problem = p.run() })
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

// run walks the plan with the model beside, and tells the first difference.
func (p plan) run() string {
	m := &model{
		interval: p.interval, base: p.base, longest: max(300*time.Second, p.base),
		percent: p.percent, threshold: p.threshold, hosts: make([]modelHost, p.hosts),
	}
	o, err := NewOutlier(&networking.OutlierDetection{
		Interval: dur(p.interval), BaseEjectionTime: dur(p.base),
		MaxEjectionPercent: int32(p.percent), Consecutive_5XxErrors: u32(uint32(p.threshold)),
	}, nil)
	if err != nil {
		return err.Error()
	}
	defer o.Close()
	names := make([]string, p.hosts)
	for i := range names {
		names[i] = string(rune('a' + i))
	}
	o.Update(names)
	// Not at a sweep's own moment, where the order is chance: half a second beside it.
	time.Sleep(500 * time.Millisecond)
	now, swept := 500*time.Millisecond, time.Duration(0)
	for _, s := range p.steps {
		o.Host(names[s.host]).Report(s.result)
		if s.result == 200 {
			m.hosts[s.host].errors = 0
		} else {
			m.fail(s.host, now)
		}
		time.Sleep(s.pause)
		synctest.Wait()
		for now += s.pause; swept+p.interval <= now; {
			swept += p.interval
			m.sweep(swept)
		}
		got := o.Status()
		for i, h := range m.hosts {
			if got.Hosts[i].Ejected != h.out {
				return fmt.Sprintf("%v: %s: got ejected %v, want %v", now, names[i], got.Hosts[i].Ejected, h.out)
			}
		}
		if 100*got.Ejected > p.percent*p.hosts {
			return fmt.Sprintf("%v: %d of %d are ejected, want at most %d %%", now, got.Ejected, p.hosts, p.percent)
		}
	}
	return ""
}

// Under concurrent reports the cap holds at every ejection, and the events tell the truth in order.
func TestOutlierConcurrent(t *testing.T) {
	var out atomic.Int64
	var most atomic.Int64
	o, err := NewOutlier(&networking.OutlierDetection{
		Interval: dur(time.Millisecond), BaseEjectionTime: dur(time.Millisecond), MaxEjectionPercent: 30, ConsecutiveGatewayErrors: u32(2),
	}, &OutlierOptions{
		OnEject:  func(Event) { most.Store(max(most.Load(), out.Add(1))) },
		OnReturn: func(Event) { out.Add(-1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}
	o.Update(names)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 3000 {
				h := o.Host(names[(i+g)%10])
				h.Report([]Result{503, 500, 200, Reset}[i/7%4])
				if h.Ejected() && i%100 == 0 {
					o.Status()
				}
			}
		})
	}
	wg.Wait()
	o.Close()
	if got := most.Load(); got < 1 || got > 3 {
		t.Errorf("got at most %d of 10 ejected at once, want 1 to 3", got)
	}
	if s := o.Status(); s.Ejected > 3 {
		t.Errorf("got %d ejected, want at most 3", s.Ejected)
	}
}
