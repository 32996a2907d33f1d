package route

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"
	"pgregory.net/rapid"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// runner is one try's fate: how long it works (negative: until it is given up), and what it ends with.
type runner struct {
	work time.Duration
	code int   // 0 where it ends with err
	err  error // nil with code 0 means that it panics
}

// course has what becomes of the tries of a race, and what they saw. It is safe for concurrent use.
type course struct {
	runners []runner
	start   time.Time

	mu     sync.Mutex
	at     []time.Duration
	bodies []string
	lost   []*closing
	left   int // that were given up
	late   []int
	heads  []http.Header
}

// closing is a response's body that counts its closings.
type closing struct {
	io.Reader
	n      int
	closed atomic.Int32
}

func (b *closing) Close() error { b.closed.Add(1); return nil }

func (f *course) Late(n int) { f.late = append(f.late, n) }

func (f *course) Send(r *http.Request, n int) (*http.Response, error) {
	f.mu.Lock()
	f.at = append(f.at, time.Since(f.start))
	f.heads = append(f.heads, r.Header.Clone())
	f.mu.Unlock()
	r.Header.Set("X-Own", "1") // is the try's own
	if r.Body != nil {
		text, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, err
		}
		f.mu.Lock()
		f.bodies = append(f.bodies, string(text))
		f.mu.Unlock()
	}
	run := f.runners[min(n, len(f.runners))-1]
	var done <-chan time.Time
	if run.work >= 0 {
		done = time.After(run.work)
	}
	select {
	case <-done:
	case <-r.Context().Done():
		f.mu.Lock()
		f.left++
		f.mu.Unlock()
		return nil, context.Cause(r.Context())
	}
	switch {
	case run.err != nil:
		return nil, run.err
	case run.code == 0:
		panic("of the try")
	}
	b := &closing{Reader: strings.NewReader(fmt.Sprint(n)), n: n}
	f.mu.Lock()
	f.lost = append(f.lost, b)
	f.mu.Unlock()
	return &http.Response{StatusCode: run.code, Header: http.Header{}, Body: b, ContentLength: 1, Request: r}, nil
}

func hedging(t testing.TB, attempts int32, on string, perTry time.Duration) *RetryPolicy {
	p := mustRetry(t, &networking.HTTPRetry{Attempts: attempts, RetryOn: on, PerTryTimeout: durationpb.New(perTry)})
	p.Hedge = true
	return p
}

func TestHedge(t *testing.T) {
	const ms = time.Millisecond
	type want struct {
		Code, Status       int
		Flags              string
		Attempts, Answered int
		At                 []time.Duration // when each try began
		Late               []int
		Left               int // tries given up
		Took               time.Duration
	}
	hung := runner{work: -1}
	tests := []struct {
		name     string
		attempts int32
		timeout  time.Duration
		patience time.Duration
		head     http.Header
		body     string
		runners  []runner
		want     want
	}{
		{
			"in time", 2, 0, 0, nil, "", []runner{{50 * ms, 200, nil}},
			want{Code: 200, Attempts: 1, Answered: 1, At: []time.Duration{0}, Took: 50 * ms},
		},
		{
			"the second answers first", 2, 0, 0, nil, "", []runner{hung, {30 * ms, 200, nil}},
			want{Code: 200, Attempts: 2, Answered: 2, At: []time.Duration{0, 100 * ms}, Late: []int{1}, Left: 1, Took: 130 * ms},
		},
		{
			"the first answers after all", 2, 0, 0, nil, "", []runner{{120 * ms, 200, nil}, hung},
			want{Code: 200, Attempts: 2, Answered: 1, At: []time.Duration{0, 100 * ms}, Late: []int{1}, Left: 1, Took: 120 * ms},
		},
		{
			"three side by side", 2, 0, 0, nil, "body", []runner{hung, hung, {40 * ms, 200, nil}},
			want{Code: 200, Attempts: 3, Answered: 3, At: []time.Duration{0, 100 * ms, 200 * ms}, Late: []int{1, 2}, Left: 2, Took: 240 * ms},
		},
		{
			"an early failure is tried again as ever", 2, 0, 0, nil, "", []runner{{10 * ms, 503, nil}, {10 * ms, 200, nil}},
			want{Code: 200, Attempts: 2, Answered: 2, At: []time.Duration{0, 10 * ms}, Took: 20 * ms},
		},
		{
			"a bad answer waits for the others", 1, 0, 0, nil, "", []runner{{150 * ms, 200, nil}, {10 * ms, 503, nil}},
			want{Code: 200, Attempts: 2, Answered: 1, At: []time.Duration{0, 100 * ms}, Late: []int{1}, Took: 150 * ms},
		},
		{
			"a late failure is not tried again", 1, 0, 0, nil, "", []runner{{110 * ms, 0, io.EOF}, {50 * ms, 200, nil}},
			want{Code: 200, Attempts: 2, Answered: 2, At: []time.Duration{0, 100 * ms}, Late: []int{1}, Took: 150 * ms},
		},
		{
			"all bad: the last answer, with URX", 1, 0, 0, nil, "", []runner{{150 * ms, 503, nil}, {10 * ms, 502, nil}},
			want{Code: 503, Flags: "URX", Attempts: 2, Answered: 1, At: []time.Duration{0, 100 * ms}, Late: []int{1}, Took: 150 * ms},
		},
		{
			"all fail: the last failure, with URX", 1, 0, 0, nil, "", []runner{{110 * ms, 0, io.EOF}, {50 * ms, 0, refusedErr()}},
			want{Status: 503, Flags: "UF,URX", Attempts: 2, At: []time.Duration{0, 100 * ms}, Late: []int{1}, Took: 150 * ms},
		},
		{
			"the route's timeout ends them all", 1, time.Second, 0, nil, "", []runner{hung, hung},
			want{Status: 504, Flags: "UT,URX", Attempts: 2, At: []time.Duration{0, 100 * ms}, Late: []int{1, 2}, Left: 2, Took: time.Second},
		},
		{
			"the caller's patience, too", 1, 0, 500 * ms, nil, "", []runner{hung, hung},
			want{Status: -1, Flags: "DC", Attempts: 2, At: []time.Duration{0, 100 * ms}, Late: []int{1, 2}, Left: 2, Took: 500 * ms},
		},
		{
			"the caller asks for none", 1, 0, 0, http.Header{"X-Envoy-Hedge-On-Per-Try-Timeout": {"false"}}, "", []runner{hung, {10 * ms, 200, nil}},
			want{Code: 200, Attempts: 2, Answered: 2, At: []time.Duration{0, 100 * ms}, Left: 1, Took: 110 * ms},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.patience > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.patience)
					defer cancel()
				}
				for _, stream := range []bool{false, true} {
					f := &course{runners: tt.runners, start: time.Now()}
					r := get(ctx)
					if tt.body != "" {
						r = post(ctx, strings.NewReader(tt.body))
						if stream {
							r.GetBody = nil
						}
					}
					if tt.head != nil {
						r.Header = tt.head.Clone()
					}
					var held atomic.Int32
					c := &Call{Retry: hedging(t, tt.attempts, "5xx", 100*ms), Timeout: tt.timeout, Overrides: TakeOverrides(r.Header),
						Rand: func() float64 { return 0 }, Permit: func() (func(), bool) {
							held.Add(1)
							return func() { held.Add(-1) }, true
						}}
					resp, err := c.Do(r, f)
					got := want{Flags: c.Flags, Attempts: c.Attempts, Answered: c.Answered, At: f.at, Late: f.late, Took: time.Since(f.start)}
					if err != nil {
						got.Status = -1
						if e, ok := errors.AsType[*answer.Error](err); ok {
							got.Status = e.Status
						}
					} else {
						got.Code = resp.StatusCode
						text, _ := io.ReadAll(resp.Body)
						resp.Body.Close()
						if string(text) != fmt.Sprint(c.Answered) {
							t.Errorf("the answer is of try %s, Answered says %d", text, c.Answered)
						}
					}
					synctest.Wait()
					time.Sleep(drainTime)
					got.Left = f.left
					if diff := cmp.Diff(got, tt.want); diff != "" {
						t.Errorf("(-got +want):\n%s", diff)
					}
					for _, b := range f.lost {
						if b.closed.Load() != 1 {
							t.Errorf("the answer of try %d was closed %d times, want 1", b.n, b.closed.Load())
						}
					}
					for _, b := range f.bodies {
						if b != tt.body {
							t.Errorf("an upstream read %q, want %q", b, tt.body)
						}
					}
					if held.Load() != 0 {
						t.Errorf("%d permits are still held", held.Load())
					}
					if tt.body == "" || tt.patience > 0 {
						break
					}
				}
			})
		})
	}
}

// TestHedgeByHeader has a caller ask for it where the rule has only a default policy.
func TestHedgeByHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &course{runners: []runner{{work: -1}, {10 * time.Millisecond, 200, nil}}, start: time.Now()}
		r := get(t.Context())
		r.Header = http.Header{"X-Envoy-Hedge-On-Per-Try-Timeout": {"true"}, "X-Envoy-Upstream-Rq-Per-Try-Timeout-Ms": {"200"}}
		c := &Call{Retry: mustRetry(t, nil), Overrides: TakeOverrides(r.Header), Timeout: 5 * time.Second, Rand: half}
		resp, err := c.Do(r, f)
		if err != nil || resp.StatusCode != 200 || c.Answered != 2 || time.Since(f.start) != 222500*time.Microsecond {
			t.Errorf("got %v, %v of try %d after %v", resp, err, c.Answered, time.Since(f.start))
		}
		// The whole time is the server's, for no try ends at its own limit.
		for i, want := range []string{"5000", "4787"} {
			if got := f.heads[i].Get("X-Envoy-Expected-Rq-Timeout-Ms"); got != want {
				t.Errorf("try %d is told %q ms, want %s", i+1, got, want)
			}
		}
	})
}

// TestHedgeNeedsTheWholeBody does not begin another try while the body is still coming in, nor where it is too
// long to be kept.
func TestHedgeNeedsTheWholeBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		big := post(t.Context(), io.NopCloser(io.LimitReader(zeros{}, bodyLimit+1)))
		f := &course{runners: []runner{{300 * time.Millisecond, 200, nil}}, start: time.Now()}
		c := &Call{Retry: hedging(t, 2, "5xx", 100*time.Millisecond)}
		if resp, err := c.Do(big, f); err != nil || resp.StatusCode != 200 || c.Attempts != 1 {
			t.Errorf("too long: got %v, %v after %d tries; want 1", resp, err, c.Attempts)
		}

		slow, w := io.Pipe()
		go func() {
			time.Sleep(time.Second)
			io.WriteString(w, "late")
			w.Close()
		}()
		f = &course{runners: []runner{{-1, 0, nil}, {10 * time.Millisecond, 200, nil}}, start: time.Now()}
		c = &Call{Retry: hedging(t, 2, "5xx", 100*time.Millisecond), Rand: func() float64 { return 0 }}
		resp, err := c.Do(post(t.Context(), slow), f)
		if err != nil || resp.StatusCode != 200 || c.Answered != 2 || f.at[1] != 1100*time.Millisecond || !slices.Equal(f.bodies, []string{"late", "late"}) {
			t.Errorf("slow: got %v, %v; tries at %v read %q", resp, err, f.at, f.bodies)
		}
	})
}

// TestHedgePanic has a try's panic go on in the caller.
func TestHedgePanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer func() {
			if got := recover(); got != "of the try" {
				t.Errorf("got %v, want the try's panic", got)
			}
		}()
		c := &Call{Retry: hedging(t, 2, "5xx", 100*time.Millisecond)}
		_, _ = c.Do(get(t.Context()), &course{runners: []runner{{work: -1}, {}}, start: time.Now()})
		t.Error("no panic")
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestHedgeProperties plays random races: one outcome, no more tries than allowed, permits given back, every answer
// closed once, nobody left running, and never slower than the limits.
func TestHedgeProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		attempts := rapid.IntRange(1, 4).Draw(rt, "attempts")
		perTry := time.Duration(rapid.IntRange(1, 200).Draw(rt, "perTry")) * time.Millisecond
		timeout := time.Duration(rapid.IntRange(0, 1000).Draw(rt, "timeout")) * time.Millisecond
		patience := time.Duration(rapid.IntRange(1, 1500).Draw(rt, "patience")) * time.Millisecond
		body := rapid.StringN(0, 20, 20).Draw(rt, "body")
		draw := rapid.Float64Range(0, 0.99).Draw(rt, "draw")
		permits := rapid.IntRange(0, 4).Draw(rt, "permits")
		stream := rapid.Bool().Draw(rt, "stream")
		var runners []runner
		for range 5 {
			run := runner{work: time.Duration(rapid.IntRange(-50, 500).Draw(rt, "work")) * time.Millisecond}
			switch rapid.IntRange(0, 3).Draw(rt, "end") {
			case 0:
				run.code = 503
			case 1:
				run.err = io.EOF
			case 2:
				run.err = refusedErr()
			default:
				run.code = 200
			}
			runners = append(runners, run)
		}
		var wrong []string
		complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			r := post(ctx, strings.NewReader(body))
			if stream {
				r.GetBody = nil
			}
			f := &course{runners: runners, start: time.Now()}
			var held atomic.Int32
			taken := 0
			c := &Call{Retry: hedging(t, int32(attempts), "5xx", perTry), Timeout: timeout, Rand: func() float64 { return draw },
				Permit: func() (func(), bool) {
					if taken++; taken > permits {
						return nil, false
					}
					held.Add(1)
					return func() { held.Add(-1) }, true
				}}
			resp, err := c.Do(r, f)
			took := time.Since(f.start)
			if (resp == nil) == (err == nil) {
				complain("got %v and %v, want one of them", resp, err)
			}
			if limit := patience; took > limit || timeout > 0 && took > timeout {
				complain("took %v", took)
			}
			if resp != nil {
				resp.Body.Close()
			}
			cancel()
			synctest.Wait()
			time.Sleep(drainTime)
			if n := len(f.at); n != c.Attempts || n > 1+attempts || c.Answered > n {
				complain("%d tries, said to be %d, want at most %d; answered by %d", n, c.Attempts, 1+attempts, c.Answered)
			}
			if held.Load() != 0 {
				complain("%d permits are still held", held.Load())
			}
			for _, b := range f.lost {
				if b.closed.Load() != 1 {
					complain("answer %d was closed %d times", b.n, b.closed.Load())
				}
			}
			for _, b := range f.bodies {
				if b != body {
					complain("an upstream read %q of %q", b, body)
				}
			}
		}) // fails if a goroutine stays behind
		for _, w := range wrong {
			rt.Error(w)
		}
	})
}
