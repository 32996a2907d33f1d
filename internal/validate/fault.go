package validate

import (
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// HTTPFault judges an injected delay and abort.
func HTTPFault(fs *finding.Faults, path string, f *networking.HTTPFaultInjection) {
	if f == nil {
		return
	}
	if f.Abort == nil && f.Delay == nil {
		fs.Errorf(path, "nothing is injected, want delay or abort")
	}
	abort(fs, finding.Join(path, "abort"), f.Abort)
	delay(fs, finding.Join(path, "delay"), f.Delay)
}

func abort(fs *finding.Faults, path string, a *networking.HTTPFaultInjection_Abort) {
	if a == nil {
		return
	}
	Percent(fs, finding.Join(path, "percentage"), a.Percentage)
	switch e := a.ErrorType.(type) {
	case *networking.HTTPFaultInjection_Abort_HttpStatus:
		if e.HttpStatus < 200 || e.HttpStatus > 600 {
			fs.Errorf(finding.Join(path, "httpStatus"), "%d is not in 200..600", e.HttpStatus)
		}
	case *networking.HTTPFaultInjection_Abort_GrpcStatus:
		if !isGRPCStatus(e.GrpcStatus) {
			fs.Errorf(finding.Join(path, "grpcStatus"), "%q is not the name of a status of gRPC, such as UNAVAILABLE", e.GrpcStatus)
		}
	case *networking.HTTPFaultInjection_Abort_Http2Error:
		fs.Errorf(finding.Join(path, "http2Error"), "aborts with an error of HTTP/2 are not supported by Istio")
	default:
		fs.Warnf(path, codeSchema, "no httpStatus and no grpcStatus, so that nothing is aborted")
	}
}

func delay(fs *finding.Faults, path string, d *networking.HTTPFaultInjection_Delay) {
	if d == nil {
		return
	}
	Percent(fs, finding.Join(path, "percentage"), d.Percentage)
	switch t := d.HttpDelayType.(type) {
	case *networking.HTTPFaultInjection_Delay_FixedDelay:
		if t.FixedDelay == nil {
			fs.Errorf(finding.Join(path, "fixedDelay"), "null, want a duration")
		}
		Duration(fs, finding.Join(path, "fixedDelay"), t.FixedDelay)
	case *networking.HTTPFaultInjection_Delay_ExponentialDelay:
		fs.Errorf(finding.Join(path, "exponentialDelay"), "exponential delays are not supported by Istio")
	default:
		fs.Warnf(path, finding.CodeSuspicious, "no fixedDelay, so that nothing is delayed")
	}
}

// isGRPCStatus tells whether s names a status code of https://grpc.io/docs/guides/status-codes/.
func isGRPCStatus(s string) bool {
	switch s {
	case "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
		"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
		"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED":
		return true
	}
	return false
}
