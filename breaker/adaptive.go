package breaker

import (
	"errors"
	"net/http"
	"time"

	"github.com/go-inmesh/inmesh/internal/answer"
	"github.com/go-inmesh/inmesh/internal/finding"
)

// ErrConcurrencyLimit means that as many requests are being served as latency allows: 503.
var ErrConcurrencyLimit = errors.New("breaker: the concurrency limit is reached")

// AdaptiveConcurrency says how a server finds out how many requests it can serve at once, in the terms of Envoy's
// adaptive concurrency filter and its gradient controller: the limit grows and shrinks with the ratio of the latency
// of an idle server (minRTT) to that of now. The idle latency is measured from time to time, with few requests let in.
//
// See https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter.
type AdaptiveConcurrency struct {
	// SampleAggregatePercentile is the percentile of the latencies that stands for all of them, above 0 and up to
	// 100. 0 means 50.
	SampleAggregatePercentile float64
	// ConcurrencyLimitParams are for the limit, MinRTTCalcParams for the idle latency.
	ConcurrencyLimitParams ConcurrencyLimitParams
	MinRTTCalcParams       MinRTTCalcParams
	// ConcurrencyLimitExceededStatus is the status of refusals, 400..599. 0 means 503.
	ConcurrencyLimitExceededStatus int
	// Rand gives numbers in [0, 1) for the jitter. Nil means one that cannot be repeated.
	Rand func() float64
}

// ConcurrencyLimitParams say how the limit is calculated.
type ConcurrencyLimitParams struct {
	// MaxConcurrencyLimit is the highest limit. 0 means 1000.
	MaxConcurrencyLimit int
	// ConcurrencyUpdateInterval is the time for which latencies are sampled before the limit is calculated anew. It
	// must be above 0.
	ConcurrencyUpdateInterval time.Duration
}

// MinRTTCalcParams say how the latency of an idle server is measured.
type MinRTTCalcParams struct {
	// Interval is the time from one measurement to the next, 1 ms or more. 0 means that FixedValue stands for it.
	Interval time.Duration
	// FixedValue is the latency where it is not measured.
	FixedValue time.Duration
	// RequestCount is how many requests make a measurement. 0 means 50.
	RequestCount int
	// Jitter is up to how many percent of Interval it takes longer, by chance, so that not all servers measure at
	// once. Nil means 15.
	Jitter *float64
	// MinConcurrency is the limit during a measurement, and the lowest limit at all. 0 means 3.
	MinConcurrency int
	// Buffer is how many percent the latency may be above the measured one before the limit shrinks. Nil means 25.
	Buffer *float64
}

func (s *AdaptiveConcurrency) check() error {
	var fs finding.Faults
	const at = "adaptiveConcurrency"
	if s == nil {
		fs.Errorf(at, "nil, want settings")
		return fs.Err("breaker")
	}
	percent(&fs, at+".sampleAggregatePercentile", s.SampleAggregatePercentile, 0)
	limit, rtt := s.ConcurrencyLimitParams, s.MinRTTCalcParams
	const ofLimit, ofRTT = at + ".concurrencyLimitParams", at + ".minRTTCalcParams"
	atLeast(&fs, ofLimit+".maxConcurrencyLimit", limit.MaxConcurrencyLimit, 0)
	positive(&fs, ofLimit+".concurrencyUpdateInterval", limit.ConcurrencyUpdateInterval)
	switch {
	case rtt.Interval == 0 && rtt.FixedValue <= 0:
		fs.Errorf(ofRTT+".fixedValue", "%v and no interval, want one of them", rtt.FixedValue)
	case rtt.Interval != 0 && rtt.Interval < time.Millisecond:
		fs.Errorf(ofRTT+".interval", "%v is below 1ms", rtt.Interval)
	}
	notNegative(&fs, ofRTT+".fixedValue", rtt.FixedValue)
	atLeast(&fs, ofRTT+".requestCount", rtt.RequestCount, 0)
	atLeast(&fs, ofRTT+".minConcurrency", rtt.MinConcurrency, 0)
	if least, most := or(rtt.MinConcurrency, 3), or(limit.MaxConcurrencyLimit, 1000); least > most && most > 0 {
		fs.Errorf(ofRTT+".minConcurrency", "%d is above maxConcurrencyLimit, %d", least, most)
	}
	if rtt.Jitter != nil {
		percent(&fs, ofRTT+".jitter", *rtt.Jitter, 0)
	}
	if rtt.Buffer != nil {
		percent(&fs, ofRTT+".buffer", *rtt.Buffer, 0)
	}
	refusalStatus(&fs, at+".concurrencyLimitExceededStatus", s.ConcurrencyLimitExceededStatus)
	return fs.Err("breaker")
}

// fraction is a percentage as a fraction of one, or the default where it is nil.
func fraction(percent *float64, def float64) float64 {
	if percent != nil {
		def = *percent
	}
	return def / 100
}

// Handler is next behind the limit; a nil next is [http.DefaultServeMux]. Refused requests are answered with 503 and
// "reached concurrency limit". A request counts until next has returned; its latency does not where the client has
// left or next has panicked, nor where it asks for another protocol, for that is no request any more.
func (c *Concurrency) Handler(next http.Handler) http.Handler {
	if next == nil {
		next = http.DefaultServeMux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slot, err := c.Acquire()
		if err != nil {
			deny(w, r, err)
			return
		}
		slot.Serve(w, r, next)
	})
}

// Serve has next answer a request that holds the slot, and gives the slot back.
func (s *Slot) Serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	defer s.Cancel() // of a panic
	next.ServeHTTP(w, r)
	if r.Context().Err() == nil && r.Header.Get("Upgrade") == "" {
		s.Done()
	}
}

func concurrencyRefusal(status int) *answer.Error {
	return &answer.Error{Sentinel: ErrConcurrencyLimit, Status: or(status, http.StatusServiceUnavailable),
		Details: "reached_concurrency_limit", Body: "reached concurrency limit"}
}
