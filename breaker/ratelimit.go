package breaker

import (
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// ErrRateLimited means that a token bucket was empty: 429, flag RL.
var ErrRateLimited = errors.New("breaker: too many requests")

// LocalRateLimit says how many requests may pass, in the terms of Envoy's local rate limit filter. It knows what
// this process sees and nothing of others.
//
// See https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/local_rate_limit_filter.
type LocalRateLimit struct {
	// TokenBucket is for all requests. The zero value is no bucket: then there must be descriptors, and they alone
	// limit.
	TokenBucket TokenBucket
	// Descriptors are further buckets, for requests that have something in common.
	Descriptors []Descriptor
	// AlwaysConsumeDefaultTokenBucket tells whether a request that has a descriptor's bucket takes a token of
	// TokenBucket as well. Nil means true.
	AlwaysConsumeDefaultTokenBucket *bool
	// MaxDynamicDescriptors bounds how many buckets each descriptor keeps for values that come with requests: the
	// one that was not used for the longest time is forgotten for a new one. 0 means 1024; Envoy's default is 20.
	MaxDynamicDescriptors int
	// Status is the status of refusals, 400..599. 0 means 429.
	Status int
	// EnableXRateLimitHeaders adds x-ratelimit-limit, -remaining and -reset to the answers of a handler and to
	// refusals. They tell of the bucket that has the fewest tokens left.
	EnableXRateLimitHeaders bool
	// RateLimitedAsResourceExhausted answers gRPC requests with RESOURCE_EXHAUSTED, instead of UNAVAILABLE.
	RateLimitedAsResourceExhausted bool
}

// TokenBucket holds up to MaxTokens, and as many at first; a request takes one. TokensPerFill come back every
// FillInterval, evenly over that time.
type TokenBucket struct {
	// MaxTokens is how many requests may come at once, 1 or more.
	MaxTokens int
	// TokensPerFill is how many tokens come back in each interval. 0 means 1.
	TokensPerFill int
	// FillInterval is the interval, at least 50 ms as in Envoy.
	FillInterval time.Duration
}

// Descriptor gives requests buckets by what they have in common.
type Descriptor struct {
	// Key tells what: [ByHeader], [ByPeer], [ByRemoteAddress], [ByHost] or a func of yours, which is called by many
	// at once. Where it is empty, the descriptor has no bucket for the request.
	Key func(*http.Request) string
	// TokenBucket is what each value gets, a bucket of its own. The zero value gives buckets to Values alone.
	TokenBucket TokenBucket
	// Values have other buckets.
	Values map[string]TokenBucket
}

// RateLimit holds requests to a [LocalRateLimit]. It is safe for concurrent use.
type RateLimit struct {
	bucket      *rate.Limiter // nil: none
	descriptors []*descriptor
	always      bool
	headers     bool
	refusal     *answer.Error

	ok, limited atomic.Uint64
}

// RateLimitStatus counts the requests of a rate limit, under the names of Envoy's statistics.
type RateLimitStatus struct {
	OK          uint64 `json:"ok"`
	RateLimited uint64 `json:"rateLimited"`
}

// NewRateLimit makes a rate limit with full buckets.
func NewRateLimit(s *LocalRateLimit) (*RateLimit, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	l := &RateLimit{
		bucket: s.TokenBucket.limiter(), headers: s.EnableXRateLimitHeaders,
		always: s.AlwaysConsumeDefaultTokenBucket == nil || *s.AlwaysConsumeDefaultTokenBucket,
		refusal: &answer.Error{
			Sentinel: ErrRateLimited, Flag: answer.RateLimited, Status: or(s.Status, http.StatusTooManyRequests),
			Details: "local_rate_limited", Body: "local_rate_limited", Header: map[string]string{"x-envoy-ratelimited": "true"},
		},
	}
	if s.RateLimitedAsResourceExhausted {
		l.refusal.GRPC = 8
	}
	for _, d := range s.Descriptors {
		l.descriptors = append(l.descriptors, newDescriptor(d, or(s.MaxDynamicDescriptors, 1024)))
	}
	return l, nil
}

// Allow takes a token for the request from each bucket that it has, the slowest bucket first. The error is
// [ErrRateLimited] where one is empty; tokens that were taken by then are gone, as in Envoy. Where the limit says so,
// h gets the x-ratelimit headers; it may be nil.
func (l *RateLimit) Allow(req *http.Request, h http.Header) error {
	var buf [4]*rate.Limiter
	all := buf[:0]
	for _, d := range l.descriptors {
		if b := d.find(req); b != nil {
			all = append(all, b)
		}
	}
	if len(all) > 1 {
		slices.SortStableFunc(all, slower)
	}
	if l.bucket != nil && (l.always || len(all) == 0) {
		all = append(all, l.bucket)
	}
	now := time.Now()
	for _, b := range all {
		if !b.AllowN(now, 1) {
			l.limited.Add(1)
			return l.refuse(b, now)
		}
	}
	l.ok.Add(1)
	if l.headers && h != nil && len(all) > 0 {
		tellBucket(tightest(all, now), now, h.Set)
	}
	return nil
}

// Status is what the limit has counted.
func (l *RateLimit) Status() RateLimitStatus {
	return RateLimitStatus{OK: l.ok.Load(), RateLimited: l.limited.Load()}
}

func (l *RateLimit) refuse(b *rate.Limiter, now time.Time) error {
	if !l.headers {
		return l.refusal
	}
	e := *l.refusal
	e.Header = map[string]string{"x-envoy-ratelimited": "true"}
	tellBucket(b, now, func(k, v string) { e.Header[k] = v })
	return &e
}

// limiter is the bucket at work, full; nil for none.
func (b TokenBucket) limiter() *rate.Limiter {
	if b == (TokenBucket{}) {
		return nil
	}
	return rate.NewLimiter(rate.Limit(float64(or(b.TokensPerFill, 1))/b.FillInterval.Seconds()), b.MaxTokens)
}

// or is v, or its default where it is 0.
func or(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}
