package breaker_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/go-inmesh/inmesh/breaker"
)

// incoming is a request that came in, with headers "name: value".
func incoming(headers ...string) *http.Request {
	r := httptest.NewRequest("GET", "http://shop/", nil)
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		r.Header.Add(k, v)
	}
	return r
}

func newRateLimit(t testing.TB, s *breaker.LocalRateLimit) *breaker.RateLimit {
	t.Helper()
	l, err := breaker.NewRateLimit(s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// admitted is how many of n requests pass now.
func admitted(l *breaker.RateLimit, n int, r *http.Request) int {
	ok := 0
	for range n {
		if l.Allow(r, nil) == nil {
			ok++
		}
	}
	return ok
}

// The example of Envoy's documentation, over time: 10000 at once, then 1000 a second.
func TestTokenBucket(t *testing.T) {
	tests := []struct {
		name   string
		bucket breaker.TokenBucket
		at     []time.Duration // since the step before
		want   []int           // of 20000 requests
	}{
		{
			"Envoy's example", breaker.TokenBucket{MaxTokens: 10000, TokensPerFill: 1000, FillInterval: time.Second},
			[]time.Duration{0, time.Second, time.Second / 2, 0, time.Hour}, []int{10000, 1000, 500, 0, 10000},
		},
		{
			"one a minute", breaker.TokenBucket{MaxTokens: 1, FillInterval: time.Minute},
			[]time.Duration{0, 59 * time.Second, time.Second, 10 * time.Minute}, []int{1, 0, 1, 1},
		},
		{
			"the least interval", breaker.TokenBucket{MaxTokens: 3, TokensPerFill: 2, FillInterval: 50 * time.Millisecond},
			[]time.Duration{0, 25 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond}, []int{3, 1, 1, 2},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newRateLimit(t, &breaker.LocalRateLimit{TokenBucket: tt.bucket})
				for i, d := range tt.at {
					time.Sleep(d)
					if got := admitted(l, 20000, incoming()); got != tt.want[i] {
						t.Errorf("step %d: got %d, want %d", i, got, tt.want[i])
					}
				}
			})
		})
	}
}

func TestRateLimitDescriptors(t *testing.T) {
	one := breaker.TokenBucket{MaxTokens: 1, FillInterval: time.Hour}
	three := breaker.TokenBucket{MaxTokens: 3, FillInterval: time.Hour}
	ten := breaker.TokenBucket{MaxTokens: 10, FillInterval: time.Hour}
	tests := []struct {
		name string
		spec breaker.LocalRateLimit
		want map[string]int // user → how many of 20 pass, one user after the other in order of name
	}{
		{
			"a bucket for each value", breaker.LocalRateLimit{Descriptors: []breaker.Descriptor{{Key: breaker.ByHeader("user"), TokenBucket: three}}},
			map[string]int{"": 20, "ann": 3, "bob": 3},
		},
		{
			"a value with another bucket", breaker.LocalRateLimit{Descriptors: []breaker.Descriptor{
				{Key: breaker.ByHeader("user"), TokenBucket: three, Values: map[string]breaker.TokenBucket{"bob": one}},
			}},
			map[string]int{"ann": 3, "bob": 1},
		},
		{
			"values alone", breaker.LocalRateLimit{Descriptors: []breaker.Descriptor{
				{Key: breaker.ByHeader("user"), Values: map[string]breaker.TokenBucket{"bob": one}},
			}},
			map[string]int{"ann": 20, "bob": 1},
		},
		{
			"the default bucket is for all", breaker.LocalRateLimit{TokenBucket: ten, Descriptors: []breaker.Descriptor{
				{Key: breaker.ByHeader("user"), TokenBucket: three},
			}},
			map[string]int{"a": 3, "b": 3, "c": 3, "d": 1, "e": 0},
		},
		{
			"the default bucket is for the rest", breaker.LocalRateLimit{TokenBucket: one, AlwaysConsumeDefaultTokenBucket: new(bool),
				Descriptors: []breaker.Descriptor{{Key: breaker.ByHeader("user"), TokenBucket: three}}},
			map[string]int{"": 1, "ann": 3, "bob": 3},
		},
		{
			"the slower bucket of two is asked first", breaker.LocalRateLimit{Descriptors: []breaker.Descriptor{
				{Key: breaker.ByHeader("user"), TokenBucket: breaker.TokenBucket{MaxTokens: 10, TokensPerFill: 100, FillInterval: time.Hour}},
				{Key: breaker.ByHeader("user"), TokenBucket: three},
			}},
			map[string]int{"ann": 3},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newRateLimit(t, &tt.spec)
			got := map[string]int{}
			for _, user := range []string{"", "a", "ann", "b", "bob", "c", "d", "e"} {
				if _, ok := tt.want[user]; ok {
					got[user] = admitted(l, 20, incoming("User: "+user))
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// A stranger who invents keys takes no memory: the value that was not used for the longest time is forgotten.
func TestRateLimitForgets(t *testing.T) {
	l := newRateLimit(t, &breaker.LocalRateLimit{MaxDynamicDescriptors: 2, Descriptors: []breaker.Descriptor{
		{Key: breaker.ByHeader("user"), TokenBucket: breaker.TokenBucket{MaxTokens: 1, FillInterval: time.Hour}},
	}})
	for i, step := range []struct {
		user string
		want int
	}{{"a", 1}, {"b", 1}, {"a", 0}, {"c", 1}, {"a", 0}, {"b", 1}, {"c", 1}} {
		if got := admitted(l, 1, incoming("User: "+step.user)); got != step.want {
			t.Errorf("step %d, %s: got %d, want %d", i, step.user, got, step.want)
		}
	}
}

func TestRateLimitKeys(t *testing.T) {
	id, _ := url.Parse("spiffe://cluster.local/ns/default/sa/web")
	peer := incoming()
	cert := &x509.Certificate{URIs: []*url.URL{{Scheme: "https", Host: "x"}, id}}
	peer.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}}
	unverified := incoming()
	unverified.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
	unix := incoming()
	unix.RemoteAddr = "@"
	for _, tt := range []struct {
		name string
		key  func(*http.Request) string
		req  *http.Request
		want string
	}{
		{"header", breaker.ByHeader("x-user"), incoming("X-User: ann", "X-User: bob"), "ann"},
		{"no header", breaker.ByHeader("x-user"), incoming(), ""},
		{"authority", breaker.ByHeader("host"), incoming(), "shop"},
		{"peer", breaker.ByPeer, peer, id.String()},
		{"certificate that nobody verified", breaker.ByPeer, unverified, ""},
		{"plaintext", breaker.ByPeer, incoming(), ""},
		{"address", breaker.ByRemoteAddress, incoming(), "192.0.2.1"},
		{"unix socket", breaker.ByRemoteAddress, unix, "@"},
		{"host", breaker.ByHost, incoming(), "shop"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.key(tt.req); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// What a client sees of a handler that is limited: the answers of a sidecar.
func TestRateLimitAnswers(t *testing.T) {
	one := breaker.TokenBucket{MaxTokens: 1, TokensPerFill: 2, FillInterval: time.Minute}
	tests := []struct {
		name    string
		spec    breaker.LocalRateLimit
		headers []string
		code    int
		body    string
		want    http.Header
	}{
		{"as it is", breaker.LocalRateLimit{TokenBucket: one}, nil, 429, "local_rate_limited", http.Header{
			"X-Envoy-Ratelimited": {"true"}, "Content-Type": {"text/plain"}, "Content-Length": {"18"},
		}},
		{"another status", breaker.LocalRateLimit{TokenBucket: one, Status: 503}, nil, 503, "local_rate_limited", http.Header{
			"X-Envoy-Ratelimited": {"true"}, "Content-Type": {"text/plain"}, "Content-Length": {"18"},
		}},
		{"with what is left", breaker.LocalRateLimit{TokenBucket: one, EnableXRateLimitHeaders: true}, nil, 429, "local_rate_limited", http.Header{
			"X-Envoy-Ratelimited": {"true"}, "Content-Type": {"text/plain"}, "Content-Length": {"18"},
			"X-Ratelimit-Limit": {"1"}, "X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"30"},
		}},
		{"gRPC", breaker.LocalRateLimit{TokenBucket: one}, []string{"Content-Type: application/grpc"}, 200, "", http.Header{
			"X-Envoy-Ratelimited": {"true"}, "Content-Type": {"application/grpc"}, "Grpc-Status": {"14"}, "Grpc-Message": {"local_rate_limited"},
		}},
		{"gRPC, exhausted", breaker.LocalRateLimit{TokenBucket: one, RateLimitedAsResourceExhausted: true}, []string{"Content-Type: application/grpc"},
			200, "", http.Header{
				"X-Envoy-Ratelimited": {"true"}, "Content-Type": {"application/grpc"}, "Grpc-Status": {"8"}, "Grpc-Message": {"local_rate_limited"},
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				served := 0
				h := newRateLimit(t, &tt.spec).Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
				first, second := httptest.NewRecorder(), httptest.NewRecorder()
				h.ServeHTTP(first, incoming(tt.headers...))
				h.ServeHTTP(second, incoming(tt.headers...))
				if served != 1 || first.Code != 200 {
					t.Errorf("first: got %d, served %d", first.Code, served)
				}
				if got := first.Header().Get("X-Ratelimit-Remaining"); tt.spec.EnableXRateLimitHeaders != (got == "0") {
					t.Errorf("first: got remaining %q", got)
				}
				if second.Code != tt.code || second.Body.String() != tt.body {
					t.Errorf("second: got %d %q, want %d %q", second.Code, second.Body, tt.code, tt.body)
				}
				if d := cmp.Diff(tt.want, second.Header()); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

func TestRateLimitTransport(t *testing.T) {
	l := newRateLimit(t, &breaker.LocalRateLimit{Descriptors: []breaker.Descriptor{
		{Key: breaker.ByHost, TokenBucket: breaker.TokenBucket{MaxTokens: 1, FillInterval: time.Hour}},
	}})
	rt := l.Transport(status(200))
	for _, tt := range []struct {
		url string
		ok  bool
	}{{"http://a/", true}, {"http://a/", false}, {"http://b/", true}} {
		b := &body{Reader: strings.NewReader("x")}
		req := httptest.NewRequest("POST", tt.url, b)
		resp, err := rt.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
		}
		if (err == nil) != tt.ok || !b.closed.Load() {
			t.Errorf("%s: got %v, body closed %v", tt.url, err, b.closed.Load())
		}
		var refusal interface {
			ResponseFlag() string
			StatusCode() int
		}
		if !tt.ok && (!errors.Is(err, breaker.ErrRateLimited) || !errors.As(err, &refusal) || refusal.ResponseFlag() != "RL" || refusal.StatusCode() != 429) {
			t.Errorf("%s: got %v", tt.url, err)
		}
	}
	if got, want := l.Status(), (breaker.RateLimitStatus{OK: 2, RateLimited: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	rt.(interface{ CloseIdleConnections() }).CloseIdleConnections()
}

func TestBadExtensions(t *testing.T) {
	limit := func(s *breaker.LocalRateLimit) error { _, err := breaker.NewRateLimit(s); return err }
	adaptive := func(s *breaker.AdaptiveConcurrency) error { _, err := breaker.NewConcurrency(s); return err }
	admission := func(s *breaker.AdmissionControl) error { _, err := breaker.NewAdmission(s); return err }
	health := func(s *breaker.HealthCheck) error { _, err := breaker.NewHealth(s, nil); return err }
	tcp := func(s breaker.HealthCheck) *breaker.HealthCheck {
		s.TCPHealthCheck = &breaker.TCPHealthCheck{}
		return &s
	}
	ok := breaker.TokenBucket{MaxTokens: 1, FillInterval: time.Second}
	update := breaker.ConcurrencyLimitParams{ConcurrencyUpdateInterval: time.Second}
	fixed := breaker.MinRTTCalcParams{FixedValue: time.Second}
	minus, nan := -1.0, func() float64 { var zero float64; return zero / zero }()
	tests := []struct {
		name string
		err  error
		want string // lines
	}{
		{"nil limit", limit(nil), "breaker: localRateLimit: nil, want settings"},
		{"no bucket", limit(&breaker.LocalRateLimit{}), "breaker: localRateLimit.tokenBucket: empty and there are no descriptors, want one of them"},
		{"all at once", limit(&breaker.LocalRateLimit{TokenBucket: breaker.TokenBucket{MaxTokens: -1, TokensPerFill: -2, FillInterval: time.Millisecond}, Status: 200, MaxDynamicDescriptors: -1}),
			"breaker: localRateLimit.tokenBucket.maxTokens: -1 is below 1\n" +
				"breaker: localRateLimit.tokenBucket.tokensPerFill: -2 is below 0\n" +
				"breaker: localRateLimit.tokenBucket.fillInterval: 1ms is below 50ms\n" +
				"breaker: localRateLimit.maxDynamicDescriptors: -1 is below 0\n" +
				"breaker: localRateLimit.status: 200 is not in 400..599"},
		{"descriptor", limit(&breaker.LocalRateLimit{Descriptors: []breaker.Descriptor{{}, {Key: breaker.ByHost, TokenBucket: ok, Values: map[string]breaker.TokenBucket{"b": {}, "a": {MaxTokens: 1}}}}}),
			"breaker: localRateLimit.descriptors[0].key: nil, want a func\n" +
				"breaker: localRateLimit.descriptors[0].tokenBucket: empty and there are no values, want one of them\n" +
				"breaker: localRateLimit.descriptors[1].values[a].fillInterval: 0s is below 50ms\n" +
				"breaker: localRateLimit.descriptors[1].values[b]: empty, want a token bucket"},

		{"nil adaptive", adaptive(nil), "breaker: adaptiveConcurrency: nil, want settings"},
		{"empty adaptive", adaptive(&breaker.AdaptiveConcurrency{}),
			"breaker: adaptiveConcurrency.concurrencyLimitParams.concurrencyUpdateInterval: 0s, want more than 0\n" +
				"breaker: adaptiveConcurrency.minRTTCalcParams.fixedValue: 0s and no interval, want one of them"},
		{"percentages", adaptive(&breaker.AdaptiveConcurrency{SampleAggregatePercentile: 101, ConcurrencyLimitParams: update,
			MinRTTCalcParams: breaker.MinRTTCalcParams{Interval: 1, Jitter: &minus, Buffer: &nan}}),
			"breaker: adaptiveConcurrency.sampleAggregatePercentile: 101 is not in 0..100\n" +
				"breaker: adaptiveConcurrency.minRTTCalcParams.interval: 1ns is below 1ms\n" +
				"breaker: adaptiveConcurrency.minRTTCalcParams.jitter: -1 is not in 0..100\n" +
				"breaker: adaptiveConcurrency.minRTTCalcParams.buffer: NaN is not in 0..100"},
		{"least above most", adaptive(&breaker.AdaptiveConcurrency{ConcurrencyLimitExceededStatus: 302, MinRTTCalcParams: fixed,
			ConcurrencyLimitParams: breaker.ConcurrencyLimitParams{ConcurrencyUpdateInterval: 1, MaxConcurrencyLimit: 2}}),
			"breaker: adaptiveConcurrency.minRTTCalcParams.minConcurrency: 3 is above maxConcurrencyLimit, 2\n" +
				"breaker: adaptiveConcurrency.concurrencyLimitExceededStatus: 302 is not in 400..599"},

		{"nil admission", admission(nil), "breaker: admissionControl: nil, want settings"},
		{"admission", admission(&breaker.AdmissionControl{SamplingWindow: 1500 * time.Millisecond, Aggression: 0.5, SRThreshold: 0.5, RPSThreshold: -1,
			MaxRejectionProbability: 101, SuccessCriteria: breaker.SuccessCriteria{HTTP: []breaker.StatusRange{{200, 200}}, GRPC: []int{17}}}),
			"breaker: admissionControl.samplingWindow: 1.5s, want whole seconds up to 1h\n" +
				"breaker: admissionControl.aggression: 0.5 is not in 1..1000\n" +
				"breaker: admissionControl.srThreshold: 0.5 is not in 1..100\n" +
				"breaker: admissionControl.rpsThreshold: -1 is below 0\n" +
				"breaker: admissionControl.maxRejectionProbability: 101 is not in 0..100\n" +
				"breaker: admissionControl.successCriteria.http[0]: [200, 200) is not a range within [100, 600)\n" +
				"breaker: admissionControl.successCriteria.grpc[0]: 17 is not in 0..16"},
		{"priorities", admission(&breaker.AdmissionControl{Priorities: []string{"a", "", "a"}, DefaultPriority: "c"}),
			"breaker: admissionControl.priorities[1]: empty, want a name\n" +
				"breaker: admissionControl.priorities[2]: \"a\" is there already\n" +
				"breaker: admissionControl.defaultPriority: \"c\" is none of the priorities"},
		{"header without priorities", admission(&breaker.AdmissionControl{PriorityHeader: "x-priority"}),
			"breaker: admissionControl.priorityHeader: \"x-priority\" and there are no priorities"},

		{"nil health", health(nil), "breaker: healthCheck: nil, want settings"},
		{"no check", health(&breaker.HealthCheck{}), "breaker: healthCheck: none of httpHealthCheck and tcpHealthCheck is set, want one"},
		{"both checks", health(tcp(breaker.HealthCheck{HTTPHealthCheck: &breaker.HTTPHealthCheck{Path: "/"}})),
			"breaker: healthCheck: each of httpHealthCheck and tcpHealthCheck is set, want one"},
		{"times", health(tcp(breaker.HealthCheck{Timeout: -1, IntervalJitterPercent: -1, UnhealthyThreshold: -1})),
			"breaker: healthCheck.timeout: -1ns, want 0 or more\n" +
				"breaker: healthCheck.intervalJitterPercent: -1 is not in 0..100\n" +
				"breaker: healthCheck.unhealthyThreshold: -1 is below 0"},
		{"path", health(&breaker.HealthCheck{HTTPHealthCheck: &breaker.HTTPHealthCheck{Path: "healthz", ExpectedStatuses: []breaker.StatusRange{{0, 1}}}}),
			"breaker: healthCheck.httpHealthCheck.path: \"healthz\", want a path that starts with /\n" +
				"breaker: healthCheck.httpHealthCheck.expectedStatuses[0]: [0, 1) is not a range within [100, 600)"},
		{"method", health(&breaker.HealthCheck{HTTPHealthCheck: &breaker.HTTPHealthCheck{Path: "/", Method: "GET IT"}}),
			"breaker: healthCheck.httpHealthCheck: net/http: invalid method \"GET IT\""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, fmt.Sprint(tt.err)); d != "" {
				t.Error(d)
			}
		})
	}
}

// However requests come, no more pass than the bucket held and got, and a bucket that has a token gives it.
func TestRateLimitProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		most := rapid.IntRange(1, 20).Draw(rt, "max tokens")
		fill := rapid.IntRange(1, 20).Draw(rt, "tokens per fill")
		steps := rapid.SliceOfN(rapid.IntRange(0, 3000), 1, 50).Draw(rt, "steps in ms")
		synctest.Test(t, func(t *testing.T) {
			l := newRateLimit(t, &breaker.LocalRateLimit{TokenBucket: breaker.TokenBucket{MaxTokens: most, TokensPerFill: fill, FillInterval: time.Second}})
			start, passed := time.Now(), 0
			for _, ms := range steps {
				time.Sleep(time.Duration(ms) * time.Millisecond)
				got := admitted(l, 30, incoming())
				passed += got
				if bound := float64(most) + float64(fill)*time.Since(start).Seconds(); float64(passed) > bound+1e-6 {
					rt.Fatalf("after %v: %d passed, want at most %.3f", time.Since(start), passed, bound)
				}
				if least := min(most, int(float64(fill*ms)/1000-1e-6)); got < least {
					rt.Fatalf("after %v more: %d passed, want at least %d", ms, got, least)
				}
			}
		})
	})
}

func TestRateLimitAllocations(t *testing.T) {
	l := newRateLimit(t, &breaker.LocalRateLimit{
		TokenBucket: breaker.TokenBucket{MaxTokens: 1e6, FillInterval: time.Second},
		Descriptors: []breaker.Descriptor{{Key: breaker.ByHeader("user"), TokenBucket: breaker.TokenBucket{MaxTokens: 1e6, FillInterval: time.Second}}},
	})
	r := incoming("User: ann")
	if got := testing.AllocsPerRun(100, func() { _ = l.Allow(r, nil) }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
