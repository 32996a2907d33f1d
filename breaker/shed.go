package breaker

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-inmesh/inmesh/internal/answer"
	"github.com/go-inmesh/inmesh/internal/finding"
)

// ErrAdmissionDenied means that so many requests have failed of late that this one was not tried: 503.
var ErrAdmissionDenied = errors.New("breaker: denied by admission control")

// AdmissionControl says when requests are refused by chance because too many of those before have failed, in the
// terms of Envoy's admission control filter. The probability is
//
//	(requests - successes / srThreshold) / (requests + 1)
//
// of the requests that were let in during the sampling window, to the power of 1/aggression, within 0 and
// MaxRejectionProbability.
//
// Priorities are ours: with them that share of all requests is refused at the expense of the least important ones.
//
// See https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/admission_control_filter.
type AdmissionControl struct {
	// SamplingWindow is how far back the successes are counted, in whole seconds. 0 means 30 s.
	SamplingWindow time.Duration
	// Aggression is how steeply the probability rises; 1 is a line. 0 means 1.
	Aggression float64
	// SRThreshold is the success rate in percent, 1..100, below which requests are refused. 0 means 95.
	SRThreshold float64
	// RPSThreshold is how many requests a second there must be, on the average of the window, for any to be refused.
	RPSThreshold int
	// MaxRejectionProbability is the highest probability, in percent. 0 means 80.
	MaxRejectionProbability float64
	// SuccessCriteria say what is a success.
	SuccessCriteria SuccessCriteria

	// Priorities are names for how important a request is, the most important first. As long as a share of all
	// requests is to be refused, it is taken of the last ones, all of them if need be, then of those before them.
	// Nil means that all requests are alike.
	Priorities []string
	// PriorityHeader is the request header that names the priority. [WithPriority] goes before it. It is the caller's
	// word: where callers are not trusted, let what faces them set it.
	PriorityHeader string
	// DefaultPriority is for requests that name none of the priorities. Empty means the last.
	DefaultPriority string
	// Rand gives numbers in [0, 1). Nil means one that cannot be repeated.
	Rand func() float64
}

// SuccessCriteria say which answers are successes. An answer whose content type is application/grpc goes by its
// grpc-status, others by their status. No answer at all is a failure, unless the caller has left.
type SuccessCriteria struct {
	// HTTP are the statuses that are successes. Nil means all below 500.
	HTTP []StatusRange
	// GRPC are the statuses that are successes. Nil means OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, NOT_FOUND,
	// ALREADY_EXISTS, PERMISSION_DENIED, FAILED_PRECONDITION, OUT_OF_RANGE, UNIMPLEMENTED and UNAUTHENTICATED.
	GRPC []int
}

// StatusRange is the HTTP statuses from Start up to, and not with, End.
type StatusRange struct{ Start, End int }

// has tells whether the status is in one of the ranges.
func has(ranges []StatusRange, code int) bool {
	return slices.ContainsFunc(ranges, func(r StatusRange) bool { return r.Start <= code && code < r.End })
}

var successesGRPC = []int{0, 1, 2, 3, 5, 6, 7, 9, 11, 12, 16}

func (s *AdmissionControl) check() error {
	var fs finding.Faults
	const at = "admissionControl"
	if s == nil {
		fs.Errorf(at, "nil, want settings")
		return fs.Err("breaker")
	}
	if w := s.SamplingWindow; w != 0 && (w < time.Second || w > time.Hour || w%time.Second != 0) {
		fs.Errorf(at+".samplingWindow", "%v, want whole seconds up to 1h", w)
	}
	if a := s.Aggression; a != 0 && !(a >= 1 && a <= 1000) {
		fs.Errorf(at+".aggression", "%v is not in 1..1000", a)
	}
	if s.SRThreshold != 0 {
		percent(&fs, at+".srThreshold", s.SRThreshold, 1)
	}
	atLeast(&fs, at+".rpsThreshold", s.RPSThreshold, 0)
	percent(&fs, at+".maxRejectionProbability", s.MaxRejectionProbability, 0)
	checkRanges(&fs, at+".successCriteria.http", s.SuccessCriteria.HTTP)
	for i, g := range s.SuccessCriteria.GRPC {
		if g < 0 || g > 16 {
			fs.Errorf(finding.Index(at+".successCriteria.grpc", i), "%d is not in 0..16", g)
		}
	}
	for i, p := range s.Priorities {
		if p == "" {
			fs.Errorf(finding.Index(at+".priorities", i), "empty, want a name")
		} else if slices.Index(s.Priorities, p) != i {
			fs.Errorf(finding.Index(at+".priorities", i), "%q is there already", p)
		}
	}
	if p := s.DefaultPriority; p != "" && !slices.Contains(s.Priorities, p) {
		fs.Errorf(at+".defaultPriority", "%q is none of the priorities", p)
	}
	if s.PriorityHeader != "" && len(s.Priorities) == 0 {
		fs.Errorf(at+".priorityHeader", "%q and there are no priorities", s.PriorityHeader)
	}
	return fs.Err("breaker")
}

// checkRanges judges ranges of statuses, as Envoy does.
func checkRanges(fs *finding.Faults, path string, ranges []StatusRange) {
	for i, r := range ranges {
		if r.Start < 100 || r.End > 600 || r.Start >= r.End {
			fs.Errorf(finding.Index(path, i), "[%d, %d) is not a range within [100, 600)", r.Start, r.End)
		}
	}
}

// NewAdmission makes an admission control that has seen nothing yet.
func NewAdmission(s *AdmissionControl) (*Admission, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	a := &Admission{
		threshold: orf(s.SRThreshold, 95) / 100, power: 1 / orf(s.Aggression, 1), rps: int64(s.RPSThreshold),
		most: orf(s.MaxRejectionProbability, 80) / 100, http: s.SuccessCriteria.HTTP, grpc: s.SuccessCriteria.GRPC,
		priorities: s.Priorities, header: http.CanonicalHeaderKey(s.PriorityHeader), rand: s.Rand,
	}
	if a.grpc == nil {
		a.grpc = successesGRPC
	}
	if a.rand == nil {
		a.rand = rand.Float64
	}
	levels := max(1, len(s.Priorities))
	a.fallback = levels - 1
	if i := slices.Index(s.Priorities, s.DefaultPriority); i >= 0 {
		a.fallback = i
	}
	a.window = newWindow(or(int(s.SamplingWindow/time.Second), 30), levels)
	return a, nil
}

func orf(v, def float64) float64 {
	if v == 0 {
		return def
	}
	return v
}

// admissionRefusal is a value and never changed.
var admissionRefusal = &answer.Error{Sentinel: ErrAdmissionDenied, Status: http.StatusServiceUnavailable, Details: "denied_by_admission_control"}

// success judges an answer by its status, its headers and its trailers, which may be nil.
func (a *Admission) success(code int, header, trailer http.Header) bool {
	if answer.IsGRPC(header) {
		for _, v := range [...][]string{header["Grpc-Status"], trailer["Grpc-Status"], header[http.TrailerPrefix+"Grpc-Status"]} {
			if len(v) > 0 {
				n, err := strconv.Atoi(v[0])
				return err == nil && slices.Contains(a.grpc, n)
			}
		}
		return false
	}
	if a.http == nil {
		return code < 500
	}
	return has(a.http, code)
}
