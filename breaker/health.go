package breaker

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// HealthCheck says how endpoints are asked whether they are well, in the terms of Envoy's active health checking.
// An endpoint is taken for healthy until its first check ends, which decides alone; after that the thresholds count.
//
// See https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/health_checking.
type HealthCheck struct {
	// Timeout is the time that a check may take. 0 means 1 s.
	Timeout time.Duration
	// Interval is the time from the end of a check to the next. 0 means 3 s.
	Interval time.Duration
	// UnhealthyInterval is the interval after a check that failed. 0 means Interval.
	UnhealthyInterval time.Duration
	// UnhealthyEdgeInterval is the interval after a check that failed, while the endpoint still counts as healthy. 0
	// means UnhealthyInterval.
	UnhealthyEdgeInterval time.Duration
	// HealthyEdgeInterval is the interval after a check that passed, while the endpoint still counts as unhealthy. 0
	// means Interval.
	HealthyEdgeInterval time.Duration
	// InitialJitter is up to how long the first check of an endpoint is put off, by chance. 0 means that it is done
	// at once.
	InitialJitter time.Duration
	// IntervalJitter and IntervalJitterPercent (of the interval) are up to how much intervals are longer, by chance.
	// Both may be set.
	IntervalJitter        time.Duration
	IntervalJitterPercent float64
	// UnhealthyThreshold is how many failures in a row make a healthy endpoint unhealthy. 0 means 3. An answer over
	// HTTP with a status that is neither expected nor retriable does so at once.
	UnhealthyThreshold int
	// HealthyThreshold is how many passes in a row make an unhealthy endpoint healthy. 0 means 1.
	HealthyThreshold int
	// HTTPHealthCheck and TCPHealthCheck are the kinds of checks. One of them must be set.
	HTTPHealthCheck *HTTPHealthCheck
	TCPHealthCheck  *TCPHealthCheck
	// Rand gives numbers in [0, 1) for the jitter. Nil means one that cannot be repeated.
	Rand func() float64
}

// HTTPHealthCheck sends a request and judges the status of the answer. Redirects are not followed.
type HTTPHealthCheck struct {
	// Path is what is asked for, with its query: "/healthz". It must be set.
	Path string
	// Host is the Host header. Empty means the name of the service in a mesh, else the endpoint's address.
	Host string
	// Method is the method. Empty means GET.
	Method string
	// RequestHeadersToAdd are further headers. User-Agent is Envoy/HC unless it is set here.
	RequestHeadersToAdd http.Header
	// ExpectedStatuses are the statuses of an endpoint that is well. Nil means 200 alone.
	ExpectedStatuses []StatusRange
	// RetriableStatuses are other statuses that count up to the threshold, rather than at once.
	RetriableStatuses []StatusRange
}

// TCPHealthCheck opens a connection and closes it.
type TCPHealthCheck struct{}

// FailureType says why a check failed, in the words of Envoy's health check events.
type FailureType string

// The failure types.
const (
	// ActiveFailure means that the endpoint answered, with a status that was not expected.
	ActiveFailure FailureType = "ACTIVE"
	// NetworkFailure means that there was no connection or no answer, NetworkTimeout that it took too long.
	NetworkFailure FailureType = "NETWORK"
	NetworkTimeout FailureType = "NETWORK_TIMEOUT"
)

// HealthEvent is an endpoint that has become healthy or unhealthy.
type HealthEvent struct {
	Endpoint string    `json:"endpoint"`
	Healthy  bool      `json:"healthy"`
	Time     time.Time `json:"time"`
	// FirstCheck tells whether it was the endpoint's first check.
	FirstCheck bool `json:"firstCheck"`
	// Cause, Status (0 where there was none) and Err say how the check failed that decided. Empty for healthy.
	Cause  FailureType `json:"cause,omitempty"`
	Status int         `json:"status,omitempty"`
	Err    error       `json:"-"`
}

func (s *HealthCheck) check() error {
	var fs finding.Faults
	const at = "healthCheck"
	if s == nil {
		fs.Errorf(at, "nil, want settings")
		return fs.Err("breaker")
	}
	for _, d := range []struct {
		name string
		d    time.Duration
	}{
		{"timeout", s.Timeout}, {"interval", s.Interval}, {"unhealthyInterval", s.UnhealthyInterval},
		{"unhealthyEdgeInterval", s.UnhealthyEdgeInterval}, {"healthyEdgeInterval", s.HealthyEdgeInterval},
		{"initialJitter", s.InitialJitter}, {"intervalJitter", s.IntervalJitter},
	} {
		notNegative(&fs, finding.Join(at, d.name), d.d)
	}
	percent(&fs, at+".intervalJitterPercent", s.IntervalJitterPercent, 0)
	atLeast(&fs, at+".unhealthyThreshold", s.UnhealthyThreshold, 0)
	atLeast(&fs, at+".healthyThreshold", s.HealthyThreshold, 0)
	if (s.HTTPHealthCheck == nil) == (s.TCPHealthCheck == nil) {
		fs.Errorf(at, "%s of httpHealthCheck and tcpHealthCheck is set, want one", map[bool]string{true: "none", false: "each"}[s.TCPHealthCheck == nil])
	}
	if h := s.HTTPHealthCheck; h != nil {
		const at = at + ".httpHealthCheck"
		if !strings.HasPrefix(h.Path, "/") {
			fs.Errorf(at+".path", "%q, want a path that starts with /", h.Path)
		} else if _, err := http.NewRequest(cmp.Or(h.Method, http.MethodGet), "http://host"+h.Path, nil); err != nil {
			fs.Errorf(at, "%v", err)
		}
		checkRanges(&fs, at+".expectedStatuses", h.ExpectedStatuses)
		checkRanges(&fs, at+".retriableStatuses", h.RetriableStatuses)
	}
	return fs.Err("breaker")
}
