package fault

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/answer"
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/validate"
)

// Body is what an aborted request is answered with; gRPC callers find it in grpc-message.
const Body = "fault filter abort"

// whole is 100 % in Envoy's steps: percentages are counted in millionths.
const whole = 1_000_000

// Injector delays and aborts requests as its rule says. It is safe for concurrent use once Rand is set. A nil
// Injector injects nothing.
type Injector struct {
	// Rand draws a number in [0, 1); requests call it concurrently. Nil means math/rand/v2, which cannot be
	// seeded. A percentage of 0 or 100 draws nothing.
	Rand func() float64

	delay      time.Duration
	delayParts uint32
	abort      answer.Reply
	abortName  string // what the rule aborts with: "500" or "UNAVAILABLE"; empty for no abort
	abortParts uint32
}

// New compiles the rule. It refuses what Istio's admission refuses: neither delay nor abort, a delay that is not
// a whole number of milliseconds, a percentage outside 0..100 or in (0, 0.0001), a status outside 200..600, an
// unknown gRPC status name, exponentialDelay and http2Error. A delay without fixedDelay and an abort without a
// status are valid and do nothing.
func New(spec *networking.HTTPFaultInjection) (*Injector, error) {
	if spec == nil {
		return nil, errors.New("fault: no rule, want a delay or an abort")
	}
	var fs finding.Faults
	validate.HTTPFault(&fs, "", spec)
	if err := fs.Err("fault"); err != nil {
		return nil, err
	}
	in := &Injector{}
	if d := spec.GetDelay(); d != nil {
		in.delay = d.GetFixedDelay().AsDuration()
		in.delayParts = parts(d.GetPercentage(), d.GetPercent()) // percent is the old form, still honoured
	}
	if a := spec.GetAbort(); a != nil {
		in.abort = answer.Reply{Body: Body, GRPC: -1}
		switch e := a.GetErrorType().(type) {
		case *networking.HTTPFaultInjection_Abort_HttpStatus:
			in.abort.Status, in.abortName = int(e.HttpStatus), strconv.Itoa(int(e.HttpStatus))
		case *networking.HTTPFaultInjection_Abort_GrpcStatus:
			code, ok := grpcStatus[e.GrpcStatus]
			if !ok {
				return nil, fmt.Errorf("fault: abort.grpcStatus: %q is not the name of a gRPC status, such as UNAVAILABLE", e.GrpcStatus)
			}
			in.abort.Status, in.abort.GRPC, in.abortName = answer.HTTPStatus(code), code, e.GrpcStatus
		}
		if in.abortName != "" {
			in.abortParts = parts(a.GetPercentage(), 0)
		}
	}
	return in, nil
}

// parts is the percentage in millionths, cut off as Istio does; the old integer counts where there is none.
func parts(p *networking.Percent, old int32) uint32 {
	if p == nil {
		return uint32(min(max(old, 0), 100)) * (whole / 100)
	}
	return uint32(min(max(p.GetValue(), 0), 100) * (whole / 100))
}

// Decide draws what happens to one request: delay and abort each with its own percentage.
func (in *Injector) Decide() Decision {
	var d Decision
	if in == nil {
		return d
	}
	if in.delay > 0 && in.hit(in.delayParts) {
		d.Delay = in.delay
	}
	if in.hit(in.abortParts) {
		d.abort = &in.abort
	}
	return d
}

// hit draws once, but for 0 % and 100 %.
func (in *Injector) hit(parts uint32) bool {
	switch parts {
	case 0:
		return false
	case whole:
		return true
	}
	draw := in.Rand
	if draw == nil {
		draw = rand.Float64
	}
	return uint32(draw()*whole) < parts
}

// Flags are Envoy's response flags that the rule may set: "DI" for a delay, "FI" for an abort, "DI,FI" for both;
// empty where it can do neither.
func (in *Injector) Flags() string {
	if in == nil {
		return ""
	}
	return flags(in.delay > 0 && in.delayParts > 0, in.abortParts > 0)
}

// String describes the rule: "delay 2s 50%, abort 500 10%"; "none" if it can do nothing at all.
func (in *Injector) String() string {
	var s []string
	if in != nil && in.delay > 0 {
		s = append(s, "delay "+in.delay.String()+" "+percent(in.delayParts))
	}
	if in != nil && in.abortName != "" {
		s = append(s, "abort "+in.abortName+" "+percent(in.abortParts))
	}
	if len(s) == 0 {
		return "none"
	}
	return strings.Join(s, ", ")
}

func percent(parts uint32) string {
	return strconv.FormatFloat(float64(parts)/(whole/100), 'f', -1, 64) + "%"
}

func flags(delay, abort bool) string {
	switch {
	case delay && abort:
		return answer.DelayInjected + "," + answer.FaultInjected
	case delay:
		return answer.DelayInjected
	case abort:
		return answer.FaultInjected
	}
	return ""
}

// grpcStatus are the names that a rule may abort with.
// See https://github.com/grpc/grpc/blob/master/doc/statuscodes.md.
var grpcStatus = map[string]int{
	"OK": 0, "CANCELLED": 1, "UNKNOWN": 2, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5,
	"ALREADY_EXISTS": 6, "PERMISSION_DENIED": 7, "RESOURCE_EXHAUSTED": 8, "FAILED_PRECONDITION": 9, "ABORTED": 10,
	"OUT_OF_RANGE": 11, "UNIMPLEMENTED": 12, "INTERNAL": 13, "UNAVAILABLE": 14, "DATA_LOSS": 15, "UNAUTHENTICATED": 16,
}
