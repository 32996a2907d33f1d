package route

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1"
)

func mustRetry(t testing.TB, spec *networking.HTTPRetry) *RetryPolicy {
	t.Helper()
	p, err := NewRetry(spec)
	if err != nil {
		t.Fatalf("NewRetry: %v", err)
	}
	return p
}

func TestNewRetry(t *testing.T) {
	type facts struct {
		Attempts       int
		PerTry         time.Duration
		On             string
		Backoff        time.Duration
		Ignore, Hashed bool // IgnorePreviousHosts without and with a consistent hash
		Remote         bool
		String         string
	}
	tests := []struct {
		name string
		spec *networking.HTTPRetry
		want facts
	}{
		{"no block", nil, facts{
			2, 0, defaultRetryOn, 25 * time.Millisecond, true, false, false, "2 retries on " + defaultRetryOn,
		}},
		{"empty block", &networking.HTTPRetry{}, facts{Ignore: true, String: "no retries"}},
		{"attempts only", &networking.HTTPRetry{Attempts: 1}, facts{
			1, 0, defaultRetryOn, 25 * time.Millisecond, true, false, false, "1 retry on " + defaultRetryOn,
		}},
		{"all", &networking.HTTPRetry{
			Attempts: 3, PerTryTimeout: durationpb.New(2 * time.Second), RetryOn: "5xx,429",
			RetryRemoteLocalities: wrapperspb.Bool(true), RetryIgnorePreviousHosts: wrapperspb.Bool(false),
			Backoff: durationpb.New(100 * time.Millisecond),
		}, facts{
			3, 2 * time.Second, "5xx,429", 100 * time.Millisecond, false, false, true,
			"3 retries on 5xx,429, 2s per try, back-off from 100ms",
		}},
		{"previous hosts despite the hash", &networking.HTTPRetry{
			Attempts: 1, RetryOn: "reset", RetryIgnorePreviousHosts: wrapperspb.Bool(true),
		}, facts{1, 0, "reset", 25 * time.Millisecond, true, true, false, "1 retry on reset"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mustRetry(t, tt.spec)
			got := facts{
				p.Attempts(), p.PerTryTimeout(), p.RetryOn(), p.Backoff(),
				p.IgnorePreviousHosts(false), p.IgnorePreviousHosts(true), p.RemoteLocalities(), p.String(),
			}
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

func TestNewRetryRefuses(t *testing.T) {
	tests := []struct {
		name string
		spec *networking.HTTPRetry
		want string
	}{
		{"negative attempts", &networking.HTTPRetry{Attempts: -1}, "retries.attempts"},
		{"0 attempts with a limit per try", &networking.HTTPRetry{PerTryTimeout: durationpb.New(time.Second)}, "retries"},
		{"0 attempts with conditions", &networking.HTTPRetry{RetryOn: "5xx"}, "retries"},
		{"unknown condition", &networking.HTTPRetry{Attempts: 1, RetryOn: "5xx,wind"}, "retries.retryOn"},
		{"space after a comma", &networking.HTTPRetry{Attempts: 1, RetryOn: "5xx, reset"}, "retries.retryOn"},
		{"limit per try too short", &networking.HTTPRetry{Attempts: 1, PerTryTimeout: durationpb.New(time.Microsecond)}, "retries.perTryTimeout"},
		{"back-off of nothing", &networking.HTTPRetry{Attempts: 1, Backoff: durationpb.New(0)}, "retries.backoff"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := NewRetry(tt.spec)
			if err == nil || !strings.HasPrefix(err.Error(), "route: "+tt.want) {
				t.Errorf("got %v, %v; want an error about %q", p, err, tt.want)
			}
		})
	}
}

// TestPauses compares the bounds with those that Envoy documents for its defaults: 0-24, 0-49, 0-99, 0-199 and
// 0-249 ms.
func TestPauses(t *testing.T) {
	tests := []struct {
		name string
		base time.Duration
		draw float64
		want []time.Duration
	}{
		{"nothing drawn", defaultBackoff, 0, []time.Duration{0, 0, 0, 0, 0, 0}},
		{"half", defaultBackoff, 0.5, []time.Duration{
			12500 * time.Microsecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
			125 * time.Millisecond, 125 * time.Millisecond,
		}},
		{"another base", time.Second, 0.5, []time.Duration{
			500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPauses(tt.base, func() float64 { return tt.draw })
			var got []time.Duration
			for range tt.want {
				got = append(got, p.next())
			}
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
	p := newPauses(defaultBackoff, nil)
	for i, bound := range []time.Duration{25, 50, 100, 200, 250, 250} {
		if got := p.next(); got < 0 || got >= bound*time.Millisecond {
			t.Errorf("pause %d: got %v, want less than %dms", i+1, got, bound)
		}
	}
}
