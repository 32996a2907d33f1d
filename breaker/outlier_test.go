package breaker

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1"
)

func u32(n uint32) *wrapperspb.UInt32Value { return wrapperspb.UInt32(n) }

func dur(d time.Duration) *durationpb.Duration { return durationpb.New(d) }

// scene is outlier detection with a journal of its events, times since the start.
type scene struct {
	*Outlier
	t       *testing.T
	journal []string
}

func newScene(t *testing.T, hosts int, od *networking.OutlierDetection) *scene {
	t.Helper()
	s := &scene{t: t}
	start := time.Now()
	hook := func(e Event) {
		line := fmt.Sprintf("%v %s eject %v #%d %s", e.Time.Sub(start), e.Endpoint, e.Duration, e.Ejections, e.Cause)
		if e.Returned {
			line = fmt.Sprintf("%v %s return after %v", e.Time.Sub(start), e.Endpoint, e.Duration)
		}
		s.journal = append(s.journal, line)
	}
	o, err := NewOutlier(od, &OutlierOptions{OnEject: hook, OnReturn: hook})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range hosts {
		names = append(names, string(rune('a'+i)))
	}
	o.Update(names)
	s.Outlier = o
	t.Cleanup(o.Close)
	return s
}

func (s *scene) report(host string, n int, r Result) {
	for range n {
		s.Host(host).Report(r)
	}
}

func (s *scene) want(lines ...string) {
	s.t.Helper()
	if d := cmp.Diff(lines, s.journal); d != "" {
		s.t.Errorf("events, -want +got:\n%s", d)
	}
}

// until sleeps to the moment, counted from the start of the scene.
func (s *scene) until(at time.Duration) {
	time.Sleep(at - time.Since(s.start))
	synctest.Wait()
}

// What is counted, with ten hosts so that one may go.
func TestCounting(t *testing.T) {
	five := &networking.OutlierDetection{}
	gateway := &networking.OutlierDetection{Consecutive_5XxErrors: u32(0), ConsecutiveGatewayErrors: u32(3)}
	both := &networking.OutlierDetection{ConsecutiveGatewayErrors: u32(3)}
	split := &networking.OutlierDetection{SplitExternalLocalOriginErrors: true, ConsecutiveLocalOriginFailures: u32(3)}
	codes := &networking.OutlierDetection{OutlierDetectionHttpErrorCodes: []uint32{429, 503}, Consecutive_5XxErrors: u32(2), ConsecutiveGatewayErrors: u32(3)}
	r := func(rs ...Result) []Result { return rs }
	tests := []struct {
		name    string
		od      *networking.OutlierDetection
		results []Result
		want    Cause // empty: not ejected
	}{
		{"nil settings", nil, r(503, 503, 503, 503, 503, 503), ""},
		{"empty settings: five 5xx", five, r(500, 501, 502, 503, 599), Consecutive5xx},
		{"four", five, r(500, 500, 500, 500), ""},
		{"broken by a success", five, r(500, 500, 500, 500, 200, 500), ""},
		{"a 4xx is a success", five, r(500, 500, 500, 500, 404, 500), ""},
		{"600 is no 5xx", five, r(600, 600, 600, 600, 600), ""},
		{"what is ignored breaks nothing", five, r(500, 500, 0, 500, 500, 0, 500), Consecutive5xx},
		{"local failures count as 503 and 504", five, r(ConnectFailed, Reset, TimedOut, 500, 500), Consecutive5xx},
		{"gateway is off", five, r(503, 503, 503, 503), ""},
		{"gateway only: 500s do nothing", gateway, r(500, 500, 500, 500, 500, 500), ""},
		{"gateway", gateway, r(502, 503, 504), ConsecutiveGateway},
		{"gateway by local failures", gateway, r(ConnectFailed, Reset, TimedOut), ConsecutiveGateway},
		{"a 500 ends the gateway's row", gateway, r(502, 503, 500, 504), ""},
		{"both, gateway first", both, r(503, 503, 503), ConsecutiveGateway},
		{"both, a 500 in the row", both, r(503, 503, 500, 503, 503), Consecutive5xx},
		{"split: local", split, r(ConnectFailed, ConnectFailed, ConnectFailed), ConsecutiveLocalOrigin},
		{"split: a connection ends the row", split, r(ConnectFailed, ConnectFailed, 503, ConnectFailed, ConnectFailed), ""},
		{"split: so does one that is reset, which is a failure itself", split, r(ConnectFailed, ConnectFailed, Reset, ConnectFailed), ""},
		{"split: resets and time-outs had a connection each", split, r(Reset, TimedOut, Reset, TimedOut, Reset), ""},
		{"split: local failures are no 5xx", split, r(500, 500, 500, 500, ConnectFailed, ConnectFailed), ""},
		{"split: nor do they end its row", split, r(500, 500, 500, 500, ConnectFailed, 500), Consecutive5xx},
		{"split, absent: 5", &networking.OutlierDetection{SplitExternalLocalOriginErrors: true}, r(-1, -1, -1, -1, -1), ConsecutiveLocalOrigin},
		{"split, 0: 5", &networking.OutlierDetection{SplitExternalLocalOriginErrors: true, ConsecutiveLocalOriginFailures: u32(0)}, r(-1, -1, -1, -1, -1), ConsecutiveLocalOrigin},
		{"split, 0: not 4", &networking.OutlierDetection{SplitExternalLocalOriginErrors: true, ConsecutiveLocalOriginFailures: u32(0)}, r(-1, -1, -1, -1), ""},
		{"split of 1", &networking.OutlierDetection{SplitExternalLocalOriginErrors: true, ConsecutiveLocalOriginFailures: u32(1)}, r(TimedOut), ConsecutiveLocalOrigin},
		{"codes: those listed", codes, r(429, 503), Consecutive5xx},
		{"codes: others are successes, 5xx too", codes, r(429, 500, 429), ""},
		{"codes: a 4xx counts as 500", codes, r(503, 200, 503, 429), Consecutive5xx},
		{"codes: local failures still count", codes, r(ConnectFailed, 429), Consecutive5xx},
		{"all off", &networking.OutlierDetection{Consecutive_5XxErrors: u32(0)}, r(503, 503, 503, 503, 503, 503, 503, 503), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, err := NewOutlier(tt.od, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			o.Update(strings.Split("abcdefghij", ""))
			h := o.Host("c")
			for _, r := range tt.results {
				h.Report(r)
			}
			if got := h.Ejected(); got != (tt.want != "") {
				t.Errorf("ejected: got %v, want %v", got, tt.want != "")
			}
			if got := o.Status().Hosts[2].Cause; got != tt.want {
				t.Errorf("cause: got %q, want %q", got, tt.want)
			}
		})
	}
}

// Envoy's defaults: five 5xx, 30 s times k, sweeps each 10 s.
func TestDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, 10, &networking.OutlierDetection{})
		s.until(12 * time.Second)
		s.report("a", 5, 503)
		s.until(49 * time.Second) // 42 s is over, the sweep is at 50
		if !s.Host("a").Ejected() {
			t.Error("back before the sweep")
		}
		s.until(50 * time.Second)
		if s.Host("a").Ejected() {
			t.Error("not back after the sweep")
		}
		s.until(51 * time.Second)
		s.report("a", 4, 503)
		if s.Host("a").Ejected() {
			t.Error("the counters did not start anew")
		}
		s.report("a", 1, 503) // k is 1 yet: no sweep has found it back for an interval
		s.want(
			"12s a eject 30s #1 CONSECUTIVE_5XX",
			"50s a return after 38s",
			"51s a eject 1m0s #2 CONSECUTIVE_5XX",
		)
	})
}

// The ejection time grows with each ejection to 300 s, and shrinks by a step with each sweep in good health.
func TestGrowingAndShrinking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, 1, &networking.OutlierDetection{
			Consecutive_5XxErrors: u32(1), BaseEjectionTime: dur(100 * time.Second), Interval: dur(10 * time.Second), MaxEjectionPercent: 100,
		})
		back := func() {
			for s.Host("a").Ejected() {
				time.Sleep(time.Second)
				synctest.Wait()
			}
		}
		var got []time.Duration
		eject := func() {
			s.report("a", 1, 500)
			got = append(got, s.Host("a").due-s.Host("a").out)
		}
		for range 6 { // k: 1, 2, 3, 4, 4, 4; for it grows while 100k < 400
			eject()
			back()
		}
		time.Sleep(9 * time.Second) // 9 s back: no sweep yet
		eject()
		back()
		time.Sleep(10 * time.Second) // k 4 to 3, and up again
		eject()
		back()
		time.Sleep(29 * time.Second) // 2 sweeps: 2, up to 3
		eject()
		back()
		time.Sleep(time.Hour) // 0, up to 1
		eject()
		back()
		time.Sleep(20 * time.Second) // 0 again
		eject()
		const m = 100 * time.Second
		want := []time.Duration{m, 2 * m, 3 * m, 3 * m, 3 * m, 3 * m, 3 * m, 3 * m, 3 * m, m, m}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	})
}

func TestThresholdTimes(t *testing.T) {
	tests := []struct {
		name  string
		base  time.Duration
		k     []int64         // after each of eight ejections in a row
		times []time.Duration // of them
	}{
		{"100s", 100 * time.Second, []int64{1, 2, 3, 4, 4, 4, 4, 4}, []time.Duration{100, 200, 300, 300, 300, 300, 300, 300}},
		{"90s", 90 * time.Second, []int64{1, 2, 3, 4, 5, 5, 5, 5}, []time.Duration{90, 180, 270, 300, 300, 300, 300, 300}},
		{"300s", 300 * time.Second, []int64{1, 2, 2, 2, 2, 2, 2, 2}, []time.Duration{300, 300, 300, 300, 300, 300, 300, 300}},
		{"over 300s", 1000 * time.Second, []int64{1, 2, 2, 2, 2, 2, 2, 2}, []time.Duration{1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000}},
		{"5s", 5 * time.Second, []int64{1, 2, 3, 4, 5, 6, 7, 8}, []time.Duration{5, 10, 15, 20, 25, 30, 35, 40}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			th := thresholdsOf(&networking.OutlierDetection{BaseEjectionTime: dur(tt.base)})
			var k int64
			for i := range tt.k {
				k = th.grow(k)
				if k != tt.k[i] {
					t.Errorf("ejection %d: got k %d, want %d", i+1, k, tt.k[i])
				}
				if got, want := th.ejection(k), tt.times[i]*time.Second; got != want {
					t.Errorf("ejection %d: got %v, want %v", i+1, got, want)
				}
			}
		})
	}
}

// The talk's rule, by its modern names: one error ejects, for 5 s, all endpoints.
func TestTalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, 1, &networking.OutlierDetection{
			Consecutive_5XxErrors: u32(1), Interval: dur(time.Second), BaseEjectionTime: dur(5 * time.Second), MaxEjectionPercent: 100,
		})
		s.until(300 * time.Millisecond)
		s.report("a", 1, 503)
		s.until(6500 * time.Millisecond) // 5.3 s is over in the sweep at 6 s
		s.report("a", 1, 503)            // k is 1, and grows
		s.until(time.Minute)
		s.want(
			"300ms a eject 5s #1 CONSECUTIVE_5XX",
			"6s a return after 5.7s",
			"6.5s a eject 10s #2 CONSECUTIVE_5XX",
			"17s a return after 10.5s",
		)
	})
}

// An ejection that ends in the very moment of a sweep ends with it, as in Envoy.
func TestReturnAtTheBoundary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, 1, &networking.OutlierDetection{
			Consecutive_5XxErrors: u32(1), Interval: dur(time.Second), BaseEjectionTime: dur(5 * time.Second), MaxEjectionPercent: 100,
		})
		s.until(2 * time.Second)
		s.report("a", 1, 503)
		s.until(7 * time.Second)
		s.want("2s a eject 5s #1 CONSECUTIVE_5XX", "7s a return after 5s")
	})
}

func TestMaxEjectionPercent(t *testing.T) {
	tests := []struct {
		percent     int32
		hosts, want int
	}{
		{0, 9, 0}, {0, 10, 1}, {0, 19, 1}, {0, 20, 2}, {10, 9, 0}, {1, 10, 0}, {33, 3, 0}, {34, 3, 1}, {50, 1, 0},
		{50, 2, 1}, {50, 5, 2}, {99, 5, 4}, {99, 1, 0}, {100, 1, 1}, {100, 5, 5},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d%% of %d", tt.percent, tt.hosts), func(t *testing.T) {
			s := newScene(t, tt.hosts, &networking.OutlierDetection{MaxEjectionPercent: tt.percent})
			for range 3 {
				for h := range s.hosts {
					s.report(h, 5, 503)
				}
			}
			got := s.Status()
			if got.Ejected != tt.want || int(got.Enforced) != tt.want {
				t.Errorf("got %d ejected, %d enforced, want %d", got.Ejected, got.Enforced, tt.want)
			}
			if more := tt.hosts - tt.want; int(got.Capped) != 3*more {
				t.Errorf("got %d capped, want %d: each fifth error anew", got.Capped, 3*more)
			}
		})
	}
}

func TestUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, 3, &networking.OutlierDetection{Consecutive_5XxErrors: u32(2), MaxEjectionPercent: 50})
		a, b := s.Host("a"), s.Host("b")
		b.Report(500)
		s.report("a", 2, 500)
		if a.Endpoint() != "a" || !a.Ejected() {
			t.Fatal("want a ejected")
		}
		s.report("c", 2, 500) // 2 of 3 is over 50 %
		if s.Host("c").Ejected() {
			t.Error("c is ejected over the cap")
		}
		s.Update([]string{"b", "c", "d", "e"})
		if s.Host("a") != nil || s.Host("b") != b {
			t.Error("want a forgotten and b kept")
		}
		a.Report(500) // a try that began before the update
		a.Report(500)
		b.Report(500) // the second: what it had was kept
		s.report("c", 2, 500)
		if got := s.Status(); got.Ejected != 2 || !b.Ejected() {
			t.Errorf("got %d ejected, want b and c: the one that went no longer counts", got.Ejected)
		}
		s.Update([]string{"a", "d"})
		if s.Host("a").Ejected() || s.Status().Ejected != 0 {
			t.Error("want a new a, not ejected")
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		for _, line := range s.journal {
			if strings.Contains(line, "return") {
				t.Errorf("got %q, want no return of those that are gone", line)
			}
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, 1, &networking.OutlierDetection{Consecutive_5XxErrors: u32(1), MaxEjectionPercent: 100})
		s.report("a", 1, 500)
		s.Close()
		s.Close()
		time.Sleep(time.Hour)
		synctest.Wait()
		s.Update([]string{"b"})
		s.report("b", 1, 500)
		s.want("0s a eject 30s #1 CONSECUTIVE_5XX")
	})
}

// A hook may report and look; what comes of it is delivered after it, by whoever delivers.
func TestHookCallsBack(t *testing.T) {
	var got []string
	var o *Outlier
	o, err := NewOutlier(&networking.OutlierDetection{Consecutive_5XxErrors: u32(1), MaxEjectionPercent: 100}, &OutlierOptions{
		OnEject: func(e Event) {
			got = append(got, e.Endpoint)
			o.Host("b").Report(500)
			got = append(got, fmt.Sprint(o.Status().Ejected))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	o.Update([]string{"a", "b"})
	o.Host("a").Report(500)
	if d := cmp.Diff([]string{"a", "2", "b", "2"}, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestHookPanics(t *testing.T) {
	n := 0
	o, err := NewOutlier(&networking.OutlierDetection{Consecutive_5XxErrors: u32(1), MaxEjectionPercent: 100}, &OutlierOptions{
		OnEject: func(Event) {
			if n++; n == 1 {
				panic("hook")
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	o.Update([]string{"a", "b"})
	func() {
		defer func() { _ = recover() }()
		o.Host("a").Report(500)
	}()
	o.Host("b").Report(500)
	if n != 2 {
		t.Errorf("got %d calls, want 2: a panic does not stop the next event", n)
	}
}

func TestNilHost(t *testing.T) {
	var h *Host
	h.Report(500)
	if h.Ejected() || h.Endpoint() != "" {
		t.Error("want a nil host to be harmless")
	}
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, 2, &networking.OutlierDetection{
			SplitExternalLocalOriginErrors: true, MaxEjectionPercent: 50, Interval: dur(7 * time.Second), MinHealthPercent: 40,
		})
		start := time.Now()
		s.until(time.Second)
		s.report("a", 5, 500)
		s.report("b", 2, 502)
		s.report("b", 1, ConnectFailed)
		since, until := start.Add(time.Second), start.Add(35*time.Second)
		want := OutlierStatus{
			Ejected: 1, Enforced: 1,
			Hosts: []HostStatus{
				{Endpoint: "a", Ejected: true, Ejections: 1, Cause: Consecutive5xx, Since: &since, Until: &until},
				{Endpoint: "b", Consecutive5xx: 2, ConsecutiveGateway: 2, ConsecutiveLocal: 1},
			},
		}
		if d := cmp.Diff(want, s.Status()); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
		if got := s.MinHealthPercent(); got != 40 {
			t.Errorf("minHealthPercent: got %d, want 40", got)
		}
	})
}

func TestNewOutlierRefuses(t *testing.T) {
	tests := []struct {
		name string
		od   *networking.OutlierDetection
		want string
	}{
		{"interval of 0", &networking.OutlierDetection{Interval: dur(0)}, "breaker: outlierDetection.interval: "},
		{"negative time", &networking.OutlierDetection{BaseEjectionTime: dur(-1)}, "breaker: outlierDetection.baseEjectionTime: "},
		{"percent", &networking.OutlierDetection{MaxEjectionPercent: 101}, "breaker: outlierDetection.maxEjectionPercent: "},
		{"health", &networking.OutlierDetection{MinHealthPercent: -1}, "breaker: outlierDetection.minHealthPercent: "},
		{"local without split", &networking.OutlierDetection{ConsecutiveLocalOriginFailures: u32(1)}, "breaker: outlierDetection.consecutiveLocalOriginFailures: "},
		{"code", &networking.OutlierDetection{OutlierDetectionHttpErrorCodes: []uint32{600}}, "breaker: outlierDetection.outlierDetectionHttpErrorCodes[0]: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := NewOutlier(tt.od, nil); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want an error that starts with %q", err, tt.want)
			}
		})
	}
}

// Absurd but valid times neither overflow nor hang.
func TestAbsurdTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		huge := &durationpb.Duration{Seconds: 9_000_000_000}
		for _, od := range []*networking.OutlierDetection{
			{BaseEjectionTime: huge, Interval: dur(time.Millisecond)},
			{BaseEjectionTime: dur(time.Millisecond), Interval: huge},
			{BaseEjectionTime: huge, Interval: huge},
		} {
			od.Consecutive_5XxErrors, od.MaxEjectionPercent = u32(1), 100
			s := newScene(t, 1, od)
			s.report("a", 1, 500)
			time.Sleep(time.Hour)
			if !s.Host("a").Ejected() {
				t.Errorf("%v: want it ejected for years", od)
			}
			s.Close()
		}
	})
}
