package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-inmesh/inmesh/breaker"
)

// gradient measures with 5 requests every 10 s and updates every 100 ms, without jitter.
func gradient() *breaker.AdaptiveConcurrency {
	return &breaker.AdaptiveConcurrency{
		ConcurrencyLimitParams: breaker.ConcurrencyLimitParams{ConcurrencyUpdateInterval: 100 * time.Millisecond},
		MinRTTCalcParams:       breaker.MinRTTCalcParams{Interval: 10 * time.Second, RequestCount: 5, Jitter: new(float64)},
	}
}

func newConcurrency(t testing.TB, s *breaker.AdaptiveConcurrency) *breaker.Concurrency {
	t.Helper()
	c, err := breaker.NewConcurrency(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serve has one request take its time.
func serve(t testing.TB, c *breaker.Concurrency, took time.Duration) {
	t.Helper()
	slot, err := c.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(took)
	slot.Done()
}

// The limit after each window, as calculated by hand: limit × gradient + √(limit × gradient), where the gradient is
// 1.25 × 10 ms over the latency, within a half and two.
func TestGradient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConcurrency(t, gradient())
		if got := c.Limit(); got != 3 {
			t.Errorf("before the measurement: got %d, want 3", got)
		}
		for range 5 {
			serve(t, c, 10*time.Millisecond)
		}
		for i, w := range []struct {
			latency time.Duration
			want    int
		}{
			{10 * time.Millisecond, 5},              // 3 × 1.25 = 3.75, + 1.94
			{5 * time.Millisecond, 13},              // 5 × 2 = 10, + 3.16
			{12500 * time.Microsecond, 16},          // 13 × 1 = 13, + 3.61
			{25 * time.Millisecond, 10},             // 16 × 0.5 = 8, + 2.83
			{80 * time.Millisecond, 7},              // 10 × 0.5 = 5, + 2.24; 0.156 is too low
			{50 * time.Millisecond, 5},              // 7 × 0.5 = 3.5, + 1.87
			{50 * time.Millisecond, 4},              // 5 × 0.5 = 2.5, + 1.58
			{20 * time.Millisecond, 4},              // 4 × 0.625 = 2.5, + 1.58
			{50 * time.Millisecond, 3},              // 4 × 0.5 = 2, + 1.41
			{50 * time.Millisecond, 3},              // 3 × 0.5 = 1.5, + 1.22 = 2.72, and 3 is the least
			{15625 * time.Microsecond, 3},           // 3 × 0.8 = 2.4, + 1.55 = 3.95
			{6250 * time.Microsecond, 8},            // 3 × 2 = 6, + 2.45
			{10416667 * time.Nanosecond, 12},        // 8 × 1.2 = 9.6, + 3.10 = 12.7
			{0 /* faster than the clock */, 24 + 4}, // 12 × 2 = 24, + 4.90
		} {
			began := time.Now()
			serve(t, c, w.latency)
			time.Sleep(time.Until(began.Add(100 * time.Millisecond)))
			if got := c.Limit(); got != w.want {
				t.Errorf("window %d of %v: got %d, want %d: %+v", i, w.latency, got, w.want, c.Status())
			}
		}
		s := c.Status()
		if s.MinRTT != 10*time.Millisecond || s.SampleRTT != 0 || s.Gradient != 2 || s.MinRTTCalculationActive || s.Active != 0 {
			t.Errorf("got %+v", s)
		}
	})
}

// A window's latency is the percentile of its samples, by nearest rank.
func TestGradientPercentile(t *testing.T) {
	for _, tt := range []struct {
		percentile float64
		want       time.Duration
	}{{0, 20 * time.Millisecond}, {20, 10 * time.Millisecond}, {50, 20 * time.Millisecond}, {80, 50 * time.Millisecond}, {99, 90 * time.Millisecond}, {100, 90 * time.Millisecond}} {
		t.Run(fmt.Sprint(tt.percentile), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := gradient()
				s.SampleAggregatePercentile = tt.percentile
				s.MinRTTCalcParams = breaker.MinRTTCalcParams{FixedValue: time.Second, MinConcurrency: 5}
				c := newConcurrency(t, s)
				var group sync.WaitGroup
				for _, ms := range []int{90, 10, 50, 20, 10} {
					group.Go(func() { serve(t, c, time.Duration(ms)*time.Millisecond) })
				}
				group.Wait()
				time.Sleep(10 * time.Millisecond)
				if got := c.Status().SampleRTT; got != tt.want {
					t.Errorf("got %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// The idle latency is measured again after the interval and its jitter; the limit is the lowest meanwhile, comes back
// as it was, and requests from before are no samples.
func TestMinRTTIsMeasuredAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := gradient()
		jitter := 50.0
		s.MinRTTCalcParams.Jitter = &jitter
		s.Rand = func() float64 { return 0.5 }
		c := newConcurrency(t, s)
		for range 5 {
			serve(t, c, 10*time.Millisecond)
		}
		measured := time.Now()
		serve(t, c, 10*time.Millisecond)
		time.Sleep(100 * time.Millisecond)
		if got := c.Limit(); got != 5 {
			t.Fatalf("got %d, want 5", got)
		}
		old, err := c.Acquire()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(measured.Add(12500*time.Millisecond - 1))) // 10 s and half of 50 %
		if c.Status().MinRTTCalculationActive {
			t.Error("measures too early")
		}
		time.Sleep(time.Nanosecond)
		if s := c.Status(); !s.MinRTTCalculationActive || s.ConcurrencyLimit != 3 {
			t.Errorf("got %+v, want a measurement", s)
		}
		old.Done() // took 12 s
		for range 5 {
			serve(t, c, 20*time.Millisecond)
		}
		if s := c.Status(); s.MinRTTCalculationActive || s.MinRTT != 20*time.Millisecond || s.ConcurrencyLimit != 5 {
			t.Errorf("got %+v, want 20ms and 5 as before", s)
		}
	})
}

// After five updates in a row that left the limit at its lowest, the idle latency is measured early.
func TestMinRTTAtTheLowestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConcurrency(t, gradient())
		for range 5 {
			serve(t, c, time.Millisecond)
		}
		for i := range 6 {
			if got, want := c.Status().MinRTTCalculationActive, i == 5; got != want {
				t.Errorf("after %d updates: got %v, want %v", i, got, want)
			}
			began := time.Now()
			serve(t, c, 50*time.Millisecond)
			time.Sleep(time.Until(began.Add(100 * time.Millisecond)))
		}
	})
}

// Long silence is no reason to change the limit, nor to work it off in little steps.
func TestGradientAfterSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := gradient()
		s.ConcurrencyLimitParams.ConcurrencyUpdateInterval = time.Nanosecond
		s.MinRTTCalcParams = breaker.MinRTTCalcParams{FixedValue: 10 * time.Millisecond}
		c := newConcurrency(t, s)
		serve(t, c, 10*time.Millisecond)
		time.Sleep(1000 * time.Hour)
		if got := c.Limit(); got != 5 {
			t.Errorf("got %d, want 5", got)
		}
	})
}

func TestConcurrencyIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConcurrency(t, gradient())
		var slots []breaker.Slot
		for range 3 {
			slot, err := c.Acquire()
			if err != nil {
				t.Fatal(err)
			}
			slots = append(slots, slot)
		}
		_, err := c.Acquire()
		var refusal interface {
			ResponseFlag() string
			StatusCode() int
		}
		if !errors.Is(err, breaker.ErrConcurrencyLimit) || !errors.As(err, &refusal) || refusal.StatusCode() != 503 || refusal.ResponseFlag() != "" {
			t.Errorf("got %v", err)
		}
		slots[0].Cancel()
		slots[0].Done() // nothing more
		if s := c.Status(); s.Active != 2 || s.Blocked != 1 {
			t.Errorf("got %+v", s)
		}
		var none breaker.Slot
		none.Done()
		none.Cancel()
	})
}

// What counts as a request being served, and what as a sample, over a handler.
func TestConcurrencyHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := gradient()
		s.MinRTTCalcParams.RequestCount = 1
		s.MinRTTCalcParams.MinConcurrency = 1
		c := newConcurrency(t, s)
		var nested *httptest.ResponseRecorder
		var h http.Handler
		h = c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/panic":
				panic(http.ErrAbortHandler)
			case "/again":
				nested = httptest.NewRecorder()
				h.ServeHTTP(nested, httptest.NewRequest("GET", "/", nil))
			}
			time.Sleep(time.Millisecond)
		}))
		serve := func(r *http.Request) {
			defer func() { _ = recover() }()
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		upgrade := httptest.NewRequest("GET", "/", nil)
		upgrade.Header.Set("Upgrade", "websocket")
		for _, r := range []*http.Request{httptest.NewRequest("GET", "/panic", nil), httptest.NewRequest("GET", "/", nil).WithContext(gone), upgrade} {
			serve(r)
			if s := c.Status(); s.Active != 0 || !s.MinRTTCalculationActive {
				t.Errorf("%v: got %+v, want no sample", r.URL, s)
			}
		}
		serve(httptest.NewRequest("GET", "/again", nil))
		if nested.Code != 503 || nested.Body.String() != "reached concurrency limit" {
			t.Errorf("got %d %q", nested.Code, nested.Body)
		}
		if d := cmp.Diff(http.Header{"Content-Type": {"text/plain"}, "Content-Length": {"25"}}, nested.Header()); d != "" {
			t.Error(d)
		}
		if s := c.Status(); s.MinRTTCalculationActive || s.MinRTT != time.Millisecond {
			t.Errorf("got %+v, want a sample", s)
		}
	})
}

func TestConcurrencyAllocations(t *testing.T) {
	c := newConcurrency(t, gradient())
	if got := testing.AllocsPerRun(1000, func() {
		slot, _ := c.Acquire()
		slot.Cancel()
	}); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func BenchmarkConcurrency(b *testing.B) {
	s := gradient()
	s.MinRTTCalcParams = breaker.MinRTTCalcParams{FixedValue: time.Millisecond}
	c := newConcurrency(b, s)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			slot, err := c.Acquire()
			if err == nil {
				slot.Done()
			}
		}
	})
}
