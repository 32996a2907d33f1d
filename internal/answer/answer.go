// Package answer holds what a sidecar says when it answers in place of the upstream: the status, the body,
// the response flag and the details of every refusal, as an error and as an HTTP response.
//
// See https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage (response flags).
package answer

import (
	"fmt"
	"strings"
)

// Envoy's response flags, as access logs and metrics show them. Several join with a comma.
const (
	NoRoute              = "NR"
	NoCluster            = "NC"
	NoHealthyUpstream    = "UH"
	UpstreamOverflow     = "UO"
	UpstreamFailure      = "UF"
	UpstreamClosed       = "UC"
	UpstreamReset        = "UR"
	UpstreamProtocol     = "UPE"
	UpstreamTimeout      = "UT"
	RetriesExhausted     = "URX"
	FaultInjected        = "FI"
	DelayInjected        = "DI"
	RateLimited          = "RL"
	DownstreamTerminated = "DC"
	ExternalAuthDenied   = "UAEX"
)

// Error is a refusal of ours: no response was obtained from upstream. It tells what a sidecar would have
// answered. Errors are values: they are not changed after they were returned.
type Error struct {
	// Sentinel is the exported error of the room that refused, for errors.Is.
	Sentinel error
	// Flag is Envoy's response flag, or several joined with a comma; empty where Envoy sets none.
	Flag string
	// Status is the HTTP status that a sidecar would have answered.
	Status int
	// Details is Envoy's response code details.
	Details string
	// Body is the text that a sidecar would have answered; empty for none.
	Body string
	// Header holds further response headers, such as x-envoy-overloaded; nil for none.
	Header map[string]string
	// GRPC is the gRPC status for gRPC requests; 0 means that it follows from Status.
	GRPC int
	// Cause is what went wrong beneath, if anything did.
	Cause error
}

// Error says the sentinel's text, the flag and status, then the cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Sentinel.Error())
	fmt.Fprintf(&b, " (%d", e.Status)
	if e.Flag != "" {
		b.WriteString(" " + e.Flag)
	}
	b.WriteString(")")
	if e.Cause != nil {
		b.WriteString(": " + e.Cause.Error())
	}
	return b.String()
}

// Unwrap gives the sentinel and the cause to errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Sentinel}
	}
	return []error{e.Sentinel, e.Cause}
}

// ResponseFlag is Envoy's flag for this refusal.
func (e *Error) ResponseFlag() string { return e.Flag }

// StatusCode is the HTTP status that a sidecar would have answered.
func (e *Error) StatusCode() int { return e.Status }

// Timeout tells net/http's callers whether the refusal was a timeout.
func (e *Error) Timeout() bool { return e.Status == 504 }
