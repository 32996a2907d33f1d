package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/go-inmesh/inmesh/breaker"
)

// clinic is a base transport whose endpoints answer as told: a status, or "refused" or "hangs".
type clinic struct {
	mu     sync.Mutex
	answer map[string]string
	asked  []string // "2s /healthz" for each check
	start  time.Time
}

func newClinic(answers map[string]string) *clinic { return &clinic{answer: answers, start: time.Now()} }

func (c *clinic) set(endpoint, answer string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer[endpoint] = answer
}

func (c *clinic) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	a := c.answer[r.URL.Host]
	c.asked = append(c.asked, fmt.Sprintf("%v %s", time.Since(c.start), r.URL.RequestURI()))
	c.mu.Unlock()
	switch a {
	case "refused":
		return nil, errors.New("connection refused")
	case "hangs":
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	var code int
	_, _ = fmt.Sscan(a, &code)
	return &http.Response{StatusCode: code, Body: &body{Reader: strings.NewReader("hello")}, Request: r}, nil
}

// checking runs health checks in the background until the test ends.
func checking(t *testing.T, s *breaker.HealthCheck, c *clinic, endpoints ...string) (*breaker.Health, func() []string) {
	t.Helper()
	var mu sync.Mutex
	var events []string
	start := time.Now()
	h, err := breaker.NewHealth(s, &breaker.HealthOptions{Transport: c, OnChange: func(e breaker.HealthEvent) {
		mu.Lock()
		defer mu.Unlock()
		text := fmt.Sprintf("%v %s healthy=%v", time.Since(start), e.Endpoint, e.Healthy)
		if !e.Healthy {
			text += fmt.Sprintf(" %s %d", e.Cause, e.Status)
		}
		if e.FirstCheck {
			text += " first"
		}
		events = append(events, text)
	}})
	if err != nil {
		t.Fatal(err)
	}
	h.Update(endpoints)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: got %v, want the context's cause", err)
		}
		for _, e := range endpoints {
			if h.Failing(e) {
				t.Errorf("%s still counts as failing after Run", e)
			}
		}
	})
	return h, func() []string {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		list := events
		events = nil
		return list
	}
}

// One endpoint over time: answers change at the times, checks are every 3 s.
func TestHealthThresholds(t *testing.T) {
	type step struct {
		until  time.Duration
		answer string
	}
	http503 := breaker.HTTPHealthCheck{Path: "/", RetriableStatuses: []breaker.StatusRange{{503, 504}}, ExpectedStatuses: []breaker.StatusRange{{200, 300}}}
	tests := []struct {
		name   string
		spec   breaker.HealthCheck
		http   breaker.HTTPHealthCheck
		steps  []step
		events []string
	}{
		{"always well", breaker.HealthCheck{}, breaker.HTTPHealthCheck{Path: "/"}, []step{{time.Minute, "200"}}, nil},
		{"the first check decides", breaker.HealthCheck{UnhealthyThreshold: 5, HealthyThreshold: 3}, breaker.HTTPHealthCheck{Path: "/"},
			[]step{{4 * time.Second, "refused"}, {time.Minute, "200"}},
			[]string{"0s a healthy=false NETWORK 0 first", "12s a healthy=true"}}, // fails at 0 and 3, passes at 6, 9 and 12
		{"three failures of the network", breaker.HealthCheck{}, breaker.HTTPHealthCheck{Path: "/"},
			[]step{{time.Second, "200"}, {10 * time.Second, "refused"}, {time.Minute, "200"}},
			[]string{"9s a healthy=false NETWORK 0", "12s a healthy=true"}},
		{"two do not do", breaker.HealthCheck{}, breaker.HTTPHealthCheck{Path: "/"},
			[]step{{time.Second, "200"}, {7 * time.Second, "refused"}, {10 * time.Second, "200"}, {16 * time.Second, "refused"}, {time.Minute, "200"}}, nil},
		{"a timeout is one of the network", breaker.HealthCheck{UnhealthyThreshold: 2, Timeout: 500 * time.Millisecond}, breaker.HTTPHealthCheck{Path: "/"},
			[]step{{time.Second, "200"}, {8 * time.Second, "hangs"}, {time.Minute, "200"}},
			[]string{"7s a healthy=false NETWORK_TIMEOUT 0", "10s a healthy=true"}}, // hangs 3–3.5 and 6.5–7
		{"an answer that is not expected counts at once", breaker.HealthCheck{}, breaker.HTTPHealthCheck{Path: "/"},
			[]step{{time.Second, "200"}, {4 * time.Second, "500"}, {time.Minute, "200"}},
			[]string{"3s a healthy=false ACTIVE 500", "6s a healthy=true"}},
		{"204 is not expected", breaker.HealthCheck{}, breaker.HTTPHealthCheck{Path: "/"}, []step{{time.Second, "204"}},
			[]string{"0s a healthy=false ACTIVE 204 first"}},
		{"204 is expected where the settings say so", breaker.HealthCheck{}, http503, []step{{time.Minute, "204"}}, nil},
		{"a retriable status counts up", breaker.HealthCheck{}, http503, []step{{time.Second, "200"}, {time.Minute, "503"}},
			[]string{"9s a healthy=false ACTIVE 503"}},
		{"intervals at the edges", breaker.HealthCheck{
			Interval: 10 * time.Second, UnhealthyInterval: 7 * time.Second, UnhealthyEdgeInterval: time.Second, HealthyEdgeInterval: 2 * time.Second,
			HealthyThreshold: 3,
		}, breaker.HTTPHealthCheck{Path: "/"},
			[]step{{time.Second, "200"}, {20 * time.Second, "refused"}, {time.Minute, "200"}},
			// fails at 10, 11, 12, then 19; passes at 26, 28 and 30
			[]string{"12s a healthy=false NETWORK 0", "30s a healthy=true"}},
		{"jitter", breaker.HealthCheck{InitialJitter: 2 * time.Second, IntervalJitter: time.Second, IntervalJitterPercent: 10, Interval: 10 * time.Second,
			Rand: func() float64 { return 0.5 }}, breaker.HTTPHealthCheck{Path: "/"},
			[]step{{2 * time.Second, "200"}, {time.Minute, "500"}}, // at 1 s, then 10 + 0.5 + 0.5 s later
			[]string{"12s a healthy=false ACTIVE 500"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(map[string]string{"a": tt.steps[0].answer})
				tt.spec.HTTPHealthCheck = &tt.http
				start := time.Now()
				_, events := checking(t, &tt.spec, c, "a")
				for _, s := range tt.steps {
					c.set("a", s.answer)
					time.Sleep(time.Until(start.Add(s.until)))
				}
				if d := cmp.Diff(tt.events, events()); d != "" {
					t.Error(d, c.asked)
				}
			})
		})
	}
}

// Endpoints come and go while the checks run; those that stay keep their state.
func TestHealthUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(map[string]string{"a": "500", "b": "200", "c": "refused"})
		h, events := checking(t, &breaker.HealthCheck{HTTPHealthCheck: &breaker.HTTPHealthCheck{Path: "/healthz?deep=1"}}, c, "a", "b")
		if d := cmp.Diff([]string{"0s a healthy=false ACTIVE 500 first"}, events()); d != "" {
			t.Error(d)
		}
		time.Sleep(time.Second)
		h.Update([]string{"a", "c"})
		if d := cmp.Diff([]string{"1s c healthy=false NETWORK 0 first"}, events()); d != "" {
			t.Error(d)
		}
		if !h.Failing("a") || !h.Failing("c") || h.Failing("b") || h.Failing("nobody") {
			t.Error("got others failing than a and c")
		}
		got, want := h.Status(), breaker.HealthStatus{Attempt: 3, Success: 1, Failure: 2, NetworkFailure: 1, Unhealthy: 2}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if err := h.Run(t.Context()); !errors.Is(err, breaker.ErrRunning) {
			t.Errorf("second Run: got %v, want ErrRunning", err)
		}
		c.set("a", "200")
		h.Update(nil)
		time.Sleep(time.Minute)
		if got := events(); got != nil {
			t.Errorf("got %v of endpoints that are gone", got)
		}
		if d := cmp.Diff([]string{"0s /healthz?deep=1", "0s /healthz?deep=1", "1s /healthz?deep=1"}, c.asked); d != "" {
			t.Error(d)
		}
	})
}

// What goes on the wire.
func TestHealthRequest(t *testing.T) {
	tests := []struct {
		name string
		http breaker.HTTPHealthCheck
		want string
	}{
		{"plain", breaker.HTTPHealthCheck{Path: "/"}, "GET http://10.0.0.1:80/ host=10.0.0.1:80 map[User-Agent:[Envoy/HC]]"},
		{"all set", breaker.HTTPHealthCheck{Path: "/a%2Fb?c=d", Host: "reviews", Method: "HEAD", RequestHeadersToAdd: http.Header{"x-a": {"1", "2"}, "user-agent": {"me"}}},
			"HEAD http://10.0.0.1:80/a%2Fb?c=d host=reviews map[User-Agent:[me] X-A:[1 2]]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got string
				closed := &body{Reader: io.LimitReader(forever{}, 1<<30)}
				h, err := breaker.NewHealth(&breaker.HealthCheck{HTTPHealthCheck: &tt.http}, &breaker.HealthOptions{
					Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
						got = fmt.Sprintf("%s %s host=%s %v", r.Method, r.URL, r.Host, r.Header)
						return &http.Response{StatusCode: 200, Body: closed, Request: r}, nil
					})})
				if err != nil {
					t.Fatal(err)
				}
				h.Update([]string{"10.0.0.1:80"})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_ = h.Run(ctx)
				if got != tt.want || !closed.closed.Load() {
					t.Errorf("got  %s, body closed %v\nwant %s", got, closed.closed.Load(), tt.want)
				}
			})
		})
	}
}

// forever is a body without an end.
type forever struct{}

func (forever) Read(p []byte) (int, error) { return len(p), nil }

func TestHealthTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dialled []string
		var refuse atomic.Bool
		h, err := breaker.NewHealth(&breaker.HealthCheck{TCPHealthCheck: &breaker.TCPHealthCheck{}, UnhealthyThreshold: 1}, &breaker.HealthOptions{
			Dial: func(_ context.Context, network, address string) (net.Conn, error) {
				dialled = append(dialled, network+" "+address)
				if refuse.Load() {
					return nil, errors.New("refused")
				}
				a, b := net.Pipe()
				_ = b.Close()
				return a, nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		h.Update([]string{"/run/app.sock"})
		go func() { done <- h.Run(ctx) }()
		synctest.Wait()
		if h.Failing("/run/app.sock") {
			t.Error("got failing, want well")
		}
		refuse.Store(true)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if !h.Failing("/run/app.sock") {
			t.Error("got well, want failing")
		}
		cancel()
		<-done
		if d := cmp.Diff([]string{"unix /run/app.sock", "unix /run/app.sock"}, dialled); d != "" {
			t.Error(d)
		}
	})
}

// Over real sockets: a server that is there, and one that is not.
func TestHealthOverSockets(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go func() { _ = server.Serve(ln) }()
	defer server.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	for _, spec := range []*breaker.HealthCheck{
		{HTTPHealthCheck: &breaker.HTTPHealthCheck{Path: "/"}}, {TCPHealthCheck: &breaker.TCPHealthCheck{}},
	} {
		h, err := breaker.NewHealth(spec, &breaker.HealthOptions{Transport: base})
		if err != nil {
			t.Fatal(err)
		}
		h.Update([]string{ln.Addr().String(), gone.Addr().String()})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.Run(ctx) }()
		for s := h.Status(); s.Success == 0 || s.Failure == 0; s = h.Status() {
			time.Sleep(time.Millisecond)
		}
		if h.Failing(ln.Addr().String()) || !h.Failing(gone.Addr().String()) {
			t.Errorf("got %+v", h.Status())
		}
		cancel()
		<-done
	}
}

// Health turns only after as many results in a row as the thresholds say, whatever the endpoint answers.
func TestHealthProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bad := rapid.IntRange(1, 4).Draw(rt, "unhealthy threshold")
		good := rapid.IntRange(1, 4).Draw(rt, "healthy threshold")
		answers := rapid.SliceOfN(rapid.SampledFrom([]string{"200", "503", "500", "refused", "hangs"}), 1, 60).Draw(rt, "answers")
		synctest.Test(t, func(t *testing.T) {
			c := newClinic(map[string]string{"a": answers[0]})
			h, _ := checking(t, &breaker.HealthCheck{UnhealthyThreshold: bad, HealthyThreshold: good, Interval: 2 * time.Second, Timeout: time.Second,
				HTTPHealthCheck: &breaker.HTTPHealthCheck{Path: "/", RetriableStatuses: []breaker.StatusRange{{503, 504}}}}, c, "a")
			failing, passes, misses := false, 0, 0
			for i, a := range answers {
				if i > 0 {
					c.set("a", a)
					time.Sleep(2 * time.Second)
				}
				if synctest.Wait(); a == "hangs" {
					time.Sleep(time.Second)
					synctest.Wait()
				}
				if a == "200" {
					passes, misses = passes+1, 0
					failing = failing && passes < good
				} else {
					passes, misses = 0, misses+1
					failing = failing || i == 0 || a == "500" || misses >= bad
				}
				if failing != h.Failing("a") {
					rt.Fatalf("check %d, %s: got failing %v, want %v", i, a, !failing, failing)
				}
			}
		})
	})
}
