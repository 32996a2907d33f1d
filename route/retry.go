package route

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/validate"
)

// What Istio gives a route that says nothing of retries, and what Envoy gives a policy that says nothing of pauses.
const (
	defaultRetries = 2
	defaultRetryOn = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
	defaultBackoff = 25 * time.Millisecond
	backoffGrowth  = 10 // the longest pause, in times of the first
)

// RetryPolicy is a route's retries compiled: what is tried again, how often and after what pauses. It is safe for
// concurrent use once Rand is set. A nil policy retries nothing, unless the caller's own headers ask for it
// (see [Overrides]).
//
// See https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPRetry and
// https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-retry-on.
type RetryPolicy struct {
	// Rand draws a number in [0, 1) for the length of a pause; requests call it concurrently. Nil means
	// math/rand/v2. A [Call] that has its own goes by that.
	Rand func() float64
	// Hedge has perTryTimeout give no try up: another one begins beside it, and the first answer counts that is
	// not one to try again. It is Envoy's hedge_on_per_try_timeout; a rule of Istio's cannot say it, a caller's
	// x-envoy-hedge-on-per-try-timeout can. Tries that hedge run on goroutines of their own.
	Hedge bool

	retries  int
	perTry   time.Duration
	base     time.Duration
	on       retryOn
	names    string // the conditions as the rule wrote them
	previous *bool  // retryIgnorePreviousHosts; nil where the rule leaves it open
	remote   bool
}

// NewRetry compiles the retries of a route. Nil gives Istio's default: two retries on connect-failure,
// refused-stream, unavailable and cancelled. A block with attempts 0 turns retries off: the policy is nil. It
// refuses what Istio's admission refuses.
func NewRetry(spec *networking.HTTPRetry) (*RetryPolicy, error) {
	if spec == nil {
		return &RetryPolicy{retries: defaultRetries, base: defaultBackoff, on: parseRetryOn(defaultRetryOn), names: defaultRetryOn}, nil
	}
	var fs finding.Faults
	validate.Retry(&fs, "retries", spec)
	if err := fs.Err("route"); err != nil {
		return nil, err
	}
	if spec.GetAttempts() <= 0 {
		return nil, nil //nolint:nilnil // a nil policy is the policy that never retries
	}
	p := &RetryPolicy{
		retries: int(spec.GetAttempts()),
		perTry:  spec.GetPerTryTimeout().AsDuration(),
		base:    defaultBackoff,
		names:   spec.GetRetryOn(),
		remote:  spec.GetRetryRemoteLocalities().GetValue(),
	}
	if p.names == "" {
		p.names = defaultRetryOn
	}
	p.on = parseRetryOn(p.names)
	if b := spec.GetBackoff(); b != nil {
		p.base = b.AsDuration()
	}
	if h := spec.GetRetryIgnorePreviousHosts(); h != nil {
		v := h.GetValue()
		p.previous = &v
	}
	return p, nil
}

// Attempts is how many retries may follow the first try; 0 for a nil policy.
func (p *RetryPolicy) Attempts() int {
	if p == nil {
		return 0
	}
	return p.retries
}

// PerTryTimeout is the limit of each try; 0 is none.
func (p *RetryPolicy) PerTryTimeout() time.Duration {
	if p == nil {
		return 0
	}
	return p.perTry
}

// RetryOn are the conditions of a retry as the rule lists them, or the default list; empty for a nil policy.
func (p *RetryPolicy) RetryOn() string {
	if p == nil {
		return ""
	}
	return p.names
}

// IgnorePreviousHosts tells whether a retry should look for an endpoint that was not tried yet. Where the rule
// leaves it open it should, unless the cluster hashes requests to endpoints.
func (p *RetryPolicy) IgnorePreviousHosts(consistentHash bool) bool {
	if p == nil || p.previous == nil {
		return !consistentHash
	}
	return *p.previous
}

// RemoteLocalities tells whether retries may leave for localities of lower priority.
func (p *RetryPolicy) RemoteLocalities() bool { return p != nil && p.remote }

// Backoff is the first pause's upper bound; each further bound doubles, up to ten times the first.
func (p *RetryPolicy) Backoff() time.Duration {
	if p == nil {
		return 0
	}
	return p.base
}

// String describes the policy: "2 retries on 5xx, 2s per try"; "no retries" for nil.
func (p *RetryPolicy) String() string {
	if p == nil {
		return "no retries"
	}
	var b strings.Builder
	noun := " retries on "
	if p.retries == 1 {
		noun = " retry on "
	}
	b.WriteString(strconv.Itoa(p.retries) + noun + p.names)
	if p.perTry > 0 {
		fmt.Fprintf(&b, ", %v per try", p.perTry)
		if p.Hedge {
			b.WriteString(", then another beside it")
		}
	}
	if p.base != defaultBackoff {
		fmt.Fprintf(&b, ", back-off from %v", p.base)
	}
	return b.String()
}

// pauses gives one pause after the other: each is drawn from [0, bound), and the bound grows from base by
// doubling up to ten times base.
type pauses struct {
	bounds backoff.ExponentialBackOff
	rand   func() float64
}

// newPauses starts at base. The growth is backoff's; the draw is ours, so that a seed repeats a run.
func newPauses(base time.Duration, draw func() float64) *pauses {
	if draw == nil {
		draw = rand.Float64
	}
	p := &pauses{rand: draw, bounds: backoff.ExponentialBackOff{
		InitialInterval: base, Multiplier: 2, MaxInterval: backoffGrowth * base, Stop: backoff.Stop, Clock: backoff.SystemClock,
	}}
	p.bounds.Reset()
	return p
}

func (p *pauses) next() time.Duration {
	return time.Duration(p.rand() * float64(p.bounds.NextBackOff()))
}
