package breaker

import (
	"context"
	"math"
	"net/http"
	"slices"
	"sync/atomic"
)

// Admission is an [AdmissionControl] at work. It is safe for concurrent use and takes no lock but once a second.
type Admission struct {
	threshold, power, most float64
	rps                    int64
	http                   []StatusRange
	grpc                   []int
	priorities             []string
	header                 string
	fallback               int
	rand                   func() float64
	window                 *window

	rejected atomic.Uint64
}

// AdmissionStatus is the state of an admission control: the requests and successes of the sampling window, the
// probability that follows from them, and how many were refused since the beginning.
type AdmissionStatus struct {
	Requests    int64   `json:"requests"`
	Successes   int64   `json:"successes"`
	Probability float64 `json:"rejectionProbability"`
	Rejected    uint64  `json:"rqRejected"`
}

// Admit asks whether the request may be tried. The error is [ErrAdmissionDenied]. What was let in is told of with
// [Admission.Report] when it has ended, unless that says nothing.
func (a *Admission) Admit(r *http.Request) error {
	level := a.level(r)
	s := a.window.now()
	s.live.arrivals[level].Add(1)
	p := a.probability(s)
	if p > 0 && len(a.priorities) > 1 {
		p = s.share(p, level)
	}
	if p > 0 && a.rand() < p {
		a.rejected.Add(1)
		return admissionRefusal
	}
	return nil
}

// Report tells how a request ended that was let in: the status of the answer, its headers and, for gRPC, its
// trailers, which may be nil. A code of 0 means that there was no answer.
func (a *Admission) Report(code int, header, trailer http.Header) {
	live := a.window.now().live
	live.requests.Add(1)
	if code != 0 && a.success(code, header, trailer) {
		live.successes.Add(1)
	}
}

// Status is the state of this moment.
func (a *Admission) Status() AdmissionStatus {
	s := a.window.now()
	n, ok := s.counts()
	return AdmissionStatus{Requests: n, Successes: ok, Probability: a.probability(s), Rejected: a.rejected.Load()}
}

// probability is the share of all requests to refuse.
func (a *Admission) probability(s *cells) float64 {
	n, ok := s.counts()
	if a.rps > 0 && s.average() < a.rps {
		return 0
	}
	p := (float64(n) - float64(ok)/a.threshold) / float64(n+1)
	if p <= 0 {
		return 0
	}
	if a.power != 1 {
		p = math.Pow(p, a.power)
	}
	return min(p, a.most)
}

// level is the place of the request's priority in the list.
func (a *Admission) level(r *http.Request) int {
	if len(a.priorities) == 0 {
		return 0
	}
	name := PriorityFrom(r.Context())
	if name == "" && a.header != "" {
		if v := r.Header[a.header]; len(v) > 0 {
			name = v[0]
		}
	}
	if i := slices.Index(a.priorities, name); i >= 0 {
		return i
	}
	return a.fallback
}

type priorityKey struct{}

// WithPriority names the priority of the requests that are made or served with the context; see
// [AdmissionControl.Priorities].
func WithPriority(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, priorityKey{}, name)
}

// PriorityFrom is the priority that [WithPriority] named; empty if there is none.
func PriorityFrom(ctx context.Context) string {
	name, _ := ctx.Value(priorityKey{}).(string)
	return name
}
