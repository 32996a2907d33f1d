package breaker

import (
	"time"

	networking "istio.io/api/networking/v1"
)

// Envoy's defaults, which Istio leaves in place.
const (
	defaultConsecutive = 5
	defaultInterval    = 10 * time.Second
	defaultEjection    = 30 * time.Second
	defaultMaxPercent  = 10
	longestEjection    = 300 * time.Second
)

// thresholds are the settings of outlier detection, defaults filled in. A threshold of 0 is off.
type thresholds struct {
	http, gateway, local uint32
	split                bool
	errors               *[600]bool // statuses that count as errors; nil means 5xx
	interval             time.Duration
	base, longest        time.Duration
	maxPercent           int
	minHealth            int
}

// thresholdsOf reads the settings as istiod and Envoy do together: with local errors split off, 0 failures
// means Envoy's default of 5, for istiod does not hand the 0 on.
func thresholdsOf(o *networking.OutlierDetection) thresholds {
	t := thresholds{
		http:       defaultConsecutive,
		gateway:    o.GetConsecutiveGatewayErrors().GetValue(),
		split:      o.GetSplitExternalLocalOriginErrors(),
		interval:   defaultInterval,
		base:       defaultEjection,
		maxPercent: defaultMaxPercent,
		minHealth:  int(o.GetMinHealthPercent()),
	}
	if v := o.GetConsecutive_5XxErrors(); v != nil {
		t.http = v.GetValue()
	}
	if t.split {
		t.local = defaultConsecutive
		if v := o.GetConsecutiveLocalOriginFailures().GetValue(); v > 0 {
			t.local = v
		}
	}
	if d := o.GetInterval(); d != nil {
		t.interval = clamp(d.AsDuration())
	}
	if d := o.GetBaseEjectionTime(); d != nil {
		t.base = clamp(d.AsDuration())
	}
	t.longest = max(longestEjection, t.base)
	if p := o.GetMaxEjectionPercent(); p > 0 {
		t.maxPercent = int(p)
	}
	if codes := o.GetOutlierDetectionHttpErrorCodes(); len(codes) > 0 {
		t.errors = new([600]bool)
		for _, c := range codes {
			if int(c) < len(t.errors) {
				t.errors[c] = true
			}
		}
	}
	return t
}

// clamp keeps durations where sums of them neither overflow nor stand still: a millisecond to ten years.
func clamp(d time.Duration) time.Duration {
	return min(max(d, time.Millisecond), 10*365*24*time.Hour)
}

// status is the status that a result counts as; 0 where it counts as none. A list of error codes makes its
// codes errors, 500 where they are below that, and all others successes.
func (t *thresholds) status(r Result) int {
	switch {
	case r > 0 && t.errors == nil:
		return int(r)
	case r > 0 && (int(r) >= len(t.errors) || !t.errors[r]):
		return 200
	case r > 0:
		return max(int(r), 500)
	case t.split:
		return 0
	case r == TimedOut:
		return 504
	case r == ConnectFailed, r == Reset:
		return 503
	}
	return 0
}

// ejection is how long an endpoint is out at its k-th ejection in a row.
func (t *thresholds) ejection(k int64) time.Duration {
	if k > int64(t.longest/t.base) {
		return t.longest
	}
	return time.Duration(k) * t.base
}

// grow is the next k: it grows as long as k times the base is below the longest ejection and one base more.
func (t *thresholds) grow(k int64) int64 {
	if k <= int64((t.longest-1)/t.base)+1 {
		return k + 1
	}
	return k
}

// boundary is the first sweep at or after the time, both since the start.
func (t *thresholds) boundary(at time.Duration) time.Duration {
	return (at + t.interval - 1) / t.interval * t.interval
}
