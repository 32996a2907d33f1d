package breaker

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	networking "istio.io/api/networking/v1"
	"pgregory.net/rapid"

	"github.com/go-inmesh/inmesh/internal/answer"
)

func poolSettings(conns, pending, requests, retries int32) *networking.ConnectionPoolSettings {
	return &networking.ConnectionPoolSettings{
		Tcp: &networking.ConnectionPoolSettings_TCPSettings{MaxConnections: conns},
		Http: &networking.ConnectionPoolSettings_HTTPSettings{
			Http1MaxPendingRequests: pending, Http2MaxRequests: requests, MaxRetries: retries,
		},
	}
}

func newPool(t testing.TB, conns, pending, requests, retries int32) *Pool {
	t.Helper()
	p, err := NewPool(poolSettings(conns, pending, requests, retries))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// acquire is Acquire where it must not fail or wait.
func acquire(t testing.TB, p *Pool, l *Lane, proto Protocol) *Permit {
	t.Helper()
	permit, err := p.Acquire(t.Context(), l, proto)
	if err != nil {
		t.Fatal(err)
	}
	return &permit
}

func wantCounts(t testing.TB, p *Pool, want Counts) {
	t.Helper()
	if d := cmp.Diff(want, p.Counts()); d != "" {
		t.Errorf("counts, -want +got:\n%s", d)
	}
}

func TestNoLimits(t *testing.T) {
	p, err := NewPool(nil)
	if err != nil {
		t.Fatal(err)
	}
	var permits []*Permit
	for range 1000 {
		permits = append(permits, acquire(t, p, nil, HTTP1), acquire(t, p, nil, HTTP2))
		if !p.AcquireRetry() {
			t.Fatal("no retry")
		}
	}
	wantCounts(t, p, Counts{Active: 2000, Retries: 1000})
	for _, permit := range permits {
		permit.Release()
		permit.Release() // does nothing
	}
	for range 1000 {
		p.ReleaseRetry()
	}
	wantCounts(t, p, Counts{})
	if d := cmp.Diff(Limits{unlimited, unlimited, unlimited, unlimited}, p.Limits()); d != "" {
		t.Errorf("limits, -want +got:\n%s", d)
	}
	var none Permit
	none.Release()
}

func TestOverflowIsAnAnswer(t *testing.T) {
	p := newPool(t, 0, 0, 1, 0)
	acquire(t, p, nil, HTTP2)
	_, err := p.Acquire(t.Context(), nil, HTTP1)
	var e *answer.Error
	if !errors.Is(err, ErrOverflow) || !errors.As(err, &e) {
		t.Fatalf("got %v, want ErrOverflow", err)
	}
	want := &answer.Error{
		Sentinel: ErrOverflow, Flag: "UO", Status: 503, Details: "upstream_reset_before_response_started{overflow}",
		Body:   "upstream connect error or disconnect/reset before headers. reset reason: overflow",
		Header: map[string]string{"x-envoy-overloaded": "true"},
	}
	if d := cmp.Diff(*want, *e, cmpopts.EquateErrors()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	wantCounts(t, p, Counts{Active: 1, Overflow: 1})
}

// One connection and one in line, as in the talk: the third is refused.
func TestLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 1, 1, 0, 0)
		var l Lane
		first := acquire(t, p, &l, HTTP1)
		second := make(chan error)
		go func() {
			permit, err := p.Acquire(t.Context(), &l, HTTP1)
			permit.Release()
			second <- err
		}()
		synctest.Wait()
		wantCounts(t, p, Counts{Active: 1, Connections: 1, Pending: 1})
		if _, err := p.Acquire(t.Context(), &l, HTTP1); !errors.Is(err, ErrOverflow) {
			t.Errorf("third: got %v, want ErrOverflow", err)
		}
		h2 := acquire(t, p, &l, HTTP2) // needs no connection of its own
		h2.Release()
		first.Release()
		if err := <-second; err != nil {
			t.Error(err)
		}
		wantCounts(t, p, Counts{Overflow: 1})
	})
}

func TestLineIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 2, 0, 0, 0)
		a, b := acquire(t, p, nil, HTTP1), acquire(t, p, nil, HTTP1)
		got := make(chan int, 10)
		for i := range 10 {
			go func() {
				permit, err := p.Acquire(t.Context(), nil, HTTP1)
				if err != nil {
					t.Error(err)
				}
				got <- i
				time.Sleep(time.Second)
				permit.Release()
			}()
			synctest.Wait()
		}
		a.Release()
		time.Sleep(500 * time.Millisecond)
		b.Release()
		time.Sleep(time.Minute)
		synctest.Wait()
		for want := range 10 {
			if i := <-got; i != want {
				t.Errorf("got %d, want %d", i, want)
			}
		}
		wantCounts(t, p, Counts{})
	})
}

func TestLineDrainsOnCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 1, 0, 0, 0)
		var l Lane
		first := acquire(t, p, &l, HTTP1)
		reason := errors.New("reason")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, reason)
		defer cancel()
		errs := make(chan error, 5)
		for range 5 {
			go func() {
				_, err := p.Acquire(ctx, &l, HTTP1)
				errs <- err
			}()
		}
		got := make(chan error)
		go func() {
			permit, err := p.Acquire(t.Context(), &l, HTTP1)
			permit.Release()
			got <- err
		}()
		synctest.Wait()
		wantCounts(t, p, Counts{Active: 1, Connections: 1, Pending: 6})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		for range 5 {
			if err := <-errs; err != reason {
				t.Errorf("got %v, want the cause", err)
			}
		}
		wantCounts(t, p, Counts{Active: 1, Connections: 1, Pending: 1})
		first.Release()
		if err := <-got; err != nil {
			t.Error(err)
		}
		wantCounts(t, p, Counts{})
	})
}

// Each endpoint may have one connection, whatever the limit.
func TestLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 1, 0, 0, 0)
		var a, b, c Lane
		pa, pb := acquire(t, p, &a, HTTP1), acquire(t, p, &b, HTTP1)
		pc := acquire(t, p, &c, HTTP1)
		var order []string
		wait := func(name string, l *Lane) {
			go func() {
				permit, err := p.Acquire(t.Context(), l, HTTP1)
				if err != nil {
					t.Error(err)
				}
				order = append(order, name)
				time.Sleep(time.Second)
				permit.Release()
			}()
			synctest.Wait()
		}
		wait("a1", &a)
		wait("b1", &b)
		wait("a2", &a)
		wantCounts(t, p, Counts{Active: 3, Connections: 3, Pending: 3})
		pb.Release() // two are left, over the limit: only b's exemption serves
		synctest.Wait()
		wantCounts(t, p, Counts{Active: 3, Connections: 3, Pending: 2})
		time.Sleep(5 * time.Second)
		synctest.Wait() // b1 is done: none for a, whose lane is busy
		wantCounts(t, p, Counts{Active: 2, Connections: 2, Pending: 2})
		pc.Release()
		wantCounts(t, p, Counts{Active: 1, Connections: 1, Pending: 2})
		pa.Release()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if d := cmp.Diff([]string{"b1", "a1", "a2"}, order); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
		wantCounts(t, p, Counts{})
	})
}

func TestRequestsInLineOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 1, 0, 2, 0)
		var l Lane
		first, h2 := acquire(t, p, &l, HTTP1), acquire(t, p, &l, HTTP2)
		got := make(chan error)
		go func() {
			_, err := p.Acquire(t.Context(), &l, HTTP1)
			got <- err
		}()
		synctest.Wait()
		more := acquire2(p, &l) // http2MaxRequests
		if !errors.Is(more, ErrOverflow) {
			t.Errorf("got %v, want ErrOverflow", more)
		}
		p.active.Add(1) // another request over HTTP/2 comes first
		first.Release()
		if err := <-got; !errors.Is(err, ErrOverflow) {
			t.Errorf("in line: got %v, want ErrOverflow", err)
		}
		p.active.Add(-1)
		h2.Release()
		wantCounts(t, p, Counts{Overflow: 2})
	})
}

func acquire2(p *Pool, l *Lane) error {
	_, err := p.Acquire(context.Background(), l, HTTP2)
	return err
}

func TestRetries(t *testing.T) {
	p := newPool(t, 0, 0, 0, 2)
	if first, second, third := p.AcquireRetry(), p.AcquireRetry(), p.AcquireRetry(); !first || !second || third {
		t.Error("want two retries and no third")
	}
	p.ReleaseRetry()
	if !p.AcquireRetry() {
		t.Error("want one again")
	}
	wantCounts(t, p, Counts{Retries: 2, Overflow: 1})
}

func TestSetLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 1, 0, 0, 0)
		first := acquire(t, p, nil, HTTP1)
		got := make(chan *Permit)
		for range 2 {
			go func() { got <- acquire(t, p, nil, HTTP1) }()
		}
		synctest.Wait()
		if err := p.SetLimits(poolSettings(3, 0, 0, 0)); err != nil {
			t.Fatal(err)
		}
		a, b := <-got, <-got
		wantCounts(t, p, Counts{Active: 3, Connections: 3})
		if err := p.SetLimits(poolSettings(-3, 0, 0, 0)); err == nil || p.Limits().MaxConnections != 3 {
			t.Errorf("got %v, want an error and the limits as they were", err)
		}
		for _, permit := range []*Permit{first, a, b} {
			permit.Release()
		}
		wantCounts(t, p, Counts{})
	})
}

func TestNewPoolRefuses(t *testing.T) {
	for name, s := range map[string]*networking.ConnectionPoolSettings{
		"breaker: connectionPool: ":                              {},
		"breaker: connectionPool.tcp.maxConnections: ":           poolSettings(-1, 0, 0, 0),
		"breaker: connectionPool.http.http1MaxPendingRequests: ": poolSettings(0, -1, 0, 0),
		"breaker: connectionPool.http.http2MaxRequests: ":        poolSettings(0, 0, -1, 0),
		"breaker: connectionPool.http.maxRetries: ":              poolSettings(0, 0, 0, -1),
	} {
		if _, err := NewPool(s); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("got %v, want an error that starts with %q", err, name)
		}
	}
}

// Permits taken are permits returned, limits hold, and nobody waits for ever, whatever the order.
func TestPoolProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		conns := rapid.Int32Range(0, 3).Draw(t, "maxConnections")
		pending := rapid.Int32Range(0, 3).Draw(t, "maxPending")
		requests := rapid.Int32Range(0, 5).Draw(t, "maxRequests")
		lanes := make([]Lane, rapid.IntRange(1, 3).Draw(t, "endpoints"))
		p, err := NewPool(poolSettings(conns, pending, requests, 0))
		if err != nil {
			t.Fatal(err)
		}
		seed := rapid.Uint64().Draw(t, "seed")
		var wg sync.WaitGroup
		for g := range 6 {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(seed, uint64(g)))
				for range 40 {
					ctx, cancel := context.WithCancel(context.Background())
					if rnd.IntN(4) == 0 {
						go cancel()
					}
					permit, err := p.Acquire(ctx, &lanes[rnd.IntN(len(lanes))], Protocol(rnd.IntN(5) == 0))
					if err != nil && !errors.Is(err, ErrOverflow) && !errors.Is(err, context.Canceled) {
						t.Errorf("got %v", err)
					}
					if n := p.conns.Load(); conns > 0 && n > int64(conns)+int64(len(lanes)) {
						t.Errorf("got %d connections, want at most %d and one for each of %d endpoints", n, conns, len(lanes))
					}
					if n := p.active.Load(); requests > 0 && n > int64(requests) {
						t.Errorf("got %d requests, want at most %d", n, requests)
					}
					permit.Release()
					cancel()
				}
			})
		}
		wg.Wait()
		c := p.Counts()
		if c.Active != 0 || c.Connections != 0 || c.Pending != 0 || p.line.Load() != 0 {
			t.Errorf("got %+v and %d in line, want all back", c, p.line.Load())
		}
		for i := range lanes {
			if n := lanes[i].conns.Load(); n != 0 || lanes[i].queue.Len() != 0 {
				t.Errorf("endpoint %d: got %d connections, want 0", i, n)
			}
		}
	})
}

// With one endpoint the limit is exact: the exemption is no way around it.
func TestPoolIsExact(t *testing.T) {
	p := newPool(t, 2, 0, 0, 0)
	var l Lane
	var mu sync.Mutex
	now := 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				permit, err := p.Acquire(t.Context(), &l, HTTP1)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if now++; now > 2 {
					t.Errorf("got %d at once, want 2", now)
				}
				mu.Unlock()
				mu.Lock()
				now--
				mu.Unlock()
				permit.Release()
			}
		})
	}
	wg.Wait()
	wantCounts(t, p, Counts{})
}
