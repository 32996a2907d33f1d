package breaker

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1"
	"pgregory.net/rapid"
)

func share(p float64) *wrapperspb.DoubleValue { return wrapperspb.Double(p) }

func mustPool(t testing.TB, settings *networking.ConnectionPoolSettings) *Pool {
	t.Helper()
	p, err := NewPool(settings)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// leaves is how many retries may run at once; they are given back.
func leaves(p *Pool) (n int) {
	for p.AcquireRetry() {
		if n++; n > 1000 {
			break
		}
	}
	for range n {
		p.ReleaseRetry()
	}
	return n
}

// TestRetryBudget has as many requests run as Istio's reference takes for its example, and others.
func TestRetryBudget(t *testing.T) {
	tests := []struct {
		name       string
		budget     *networking.TrafficPolicy_RetryBudget
		maxRetries int32
		active     int
		want       int
	}{
		{"20 % of 25", &networking.TrafficPolicy_RetryBudget{Percent: share(20), MinRetryConcurrency: 3}, 0, 25, 5},
		{"20 % of 2, but 3 always", &networking.TrafficPolicy_RetryBudget{Percent: share(20), MinRetryConcurrency: 3}, 0, 2, 3},
		{"the defaults", &networking.TrafficPolicy_RetryBudget{}, 0, 50, 10},
		{"the defaults, idle", &networking.TrafficPolicy_RetryBudget{}, 0, 0, 3},
		{"0 %", &networking.TrafficPolicy_RetryBudget{Percent: share(0), MinRetryConcurrency: 1}, 0, 50, 1},
		{"100 %", &networking.TrafficPolicy_RetryBudget{Percent: share(100)}, 0, 50, 50},
		{"a part of a retry is none", &networking.TrafficPolicy_RetryBudget{Percent: share(19.9), MinRetryConcurrency: 1}, 0, 25, 4},
		{"in place of maxRetries", &networking.TrafficPolicy_RetryBudget{Percent: share(50)}, 1, 20, 10},
		{"none: maxRetries", nil, 7, 20, 7},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustPool(t, &networking.ConnectionPoolSettings{Http: &networking.ConnectionPoolSettings_HTTPSettings{MaxRetries: tt.maxRetries}})
			if err := p.SetRetryBudget(tt.budget); err != nil {
				t.Fatal(err)
			}
			for range tt.active {
				if _, err := p.Acquire(t.Context(), nil, HTTP2); err != nil {
					t.Fatal(err)
				}
			}
			if got := leaves(p); got != tt.want {
				t.Errorf("got %d retries at once, want %d", got, tt.want)
			}
			if got := p.Counts().Retries; got != 0 {
				t.Errorf("%d retries are still counted", got)
			}
		})
	}
}

// TestRetryBudgetPending counts those in line, too.
func TestRetryBudgetPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mustPool(t, &networking.ConnectionPoolSettings{Tcp: &networking.ConnectionPoolSettings_TCPSettings{MaxConnections: 4}})
		if err := p.SetRetryBudget(&networking.TrafficPolicy_RetryBudget{Percent: share(50), MinRetryConcurrency: 1}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() { _, _ = p.Acquire(ctx, nil, HTTP1) })
		}
		synctest.Wait()
		if got := leaves(p); got != 5 {
			t.Errorf("got %d retries beside 4 requests that run and 6 that wait, want 5", got)
		}
		cancel()
		group.Wait()
	})
}

// TestRetryBudgetInterval plays Envoy's example: ten requests that begin at once count for 100 ms, ended or not.
func TestRetryBudgetInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mustPool(t, nil)
		err := p.SetRetryBudget(&networking.TrafficPolicy_RetryBudget{Percent: share(50), MinRetryConcurrency: 1,
			BudgetInterval: durationpb.New(100 * time.Millisecond)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Millisecond)
		var held []Permit
		for i := range 10 {
			permit, err := p.Acquire(t.Context(), nil, HTTP2)
			if err != nil {
				t.Fatal(err)
			}
			if held = append(held, permit); i%2 == 0 {
				held[i].Release()
			}
		}
		for _, at := range []struct {
			wait time.Duration
			want int
		}{{0, 5}, {50 * time.Millisecond, 5}, {49 * time.Millisecond, 5}, {10 * time.Millisecond, 1}, {time.Hour, 1}} {
			time.Sleep(at.wait)
			if got := leaves(p); got != at.want {
				t.Errorf("after %v more: got %d, want %d", at.wait, got, at.want)
			}
		}
		_, _ = p.Acquire(t.Context(), nil, HTTP2)
		_, _ = p.Acquire(t.Context(), nil, HTTP2)
		_, _ = p.Acquire(t.Context(), nil, HTTP2)
		_, _ = p.Acquire(t.Context(), nil, HTTP2)
		if got := leaves(p); got != 2 {
			t.Errorf("after an hour and 4 requests: got %d, want 2", got)
		}
	})
}

func TestRetryBudgetRefuses(t *testing.T) {
	p := mustPool(t, nil)
	for _, v := range []float64{-1, 100.5} {
		if err := p.SetRetryBudget(&networking.TrafficPolicy_RetryBudget{Percent: share(v)}); err == nil || !strings.Contains(err.Error(), "retryBudget.percent") {
			t.Errorf("%v %%: got %v, want an error about retryBudget.percent", v, err)
		}
	}
}

// TestRecent holds the ring against a list of all that was added.
func TestRecent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval := time.Duration(rapid.IntRange(1, 5000).Draw(t, "interval")) * time.Millisecond
		r := newRecent(interval)
		now := r.start
		var all []time.Time
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, int(interval/2)).Draw(t, "pause")))
			if rapid.Bool().Draw(t, "add") {
				r.add(now)
				all = append(all, now)
			}
			least, most := int64(0), int64(0)
			for _, at := range all {
				if age := now.Sub(at); age < interval {
					least++
					most++
				} else if age <= interval+2*interval/shares {
					most++
				}
			}
			if got := r.count(now); got < least || got > most {
				t.Fatalf("got %d, want %d to %d", got, least, most)
			}
		}
	})
}

// BenchmarkAcquireBudget is the price of a budget that looks back.
func BenchmarkAcquireBudget(b *testing.B) {
	p := mustPool(b, nil)
	if err := p.SetRetryBudget(&networking.TrafficPolicy_RetryBudget{BudgetInterval: durationpb.New(time.Second)}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		permit, _ := p.Acquire(b.Context(), nil, HTTP2)
		permit.Release()
	}
}
