package validate

import (
	"net/http"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// Retry judges a retry policy.
func Retry(fs *finding.Faults, path string, r *networking.HTTPRetry) {
	if r == nil {
		return
	}
	notNegative(fs, finding.Join(path, "attempts"), r.Attempts)
	if r.Attempts == 0 {
		for _, f := range []struct {
			name string
			set  bool
		}{
			{"perTryTimeout", r.PerTryTimeout != nil},
			{"retryOn", r.RetryOn != ""},
			{"retryRemoteLocalities", r.RetryRemoteLocalities != nil},
		} {
			if f.set {
				fs.Errorf(finding.Join(path, f.name), "set while attempts is 0, which turns retries off")
			}
		}
	}
	Duration(fs, finding.Join(path, "perTryTimeout"), r.PerTryTimeout)
	Duration(fs, finding.Join(path, "backoff"), r.Backoff)
	if r.RetryOn == "" {
		return
	}
	for on := range strings.SplitSeq(r.RetryOn, ",") {
		switch {
		case isRetryCondition(on):
		case on != strings.TrimSpace(on):
			fs.Errorf(finding.Join(path, "retryOn"), "%q has a space, want conditions divided by commas alone", on)
		default:
			fs.Errorf(finding.Join(path, "retryOn"), "%q is not a condition or status code to retry on", on)
		}
	}
}

// isRetryCondition tells whether s is a status code of HTTP, or a condition of Envoy's x-envoy-retry-on or
// x-envoy-retry-grpc-on.
func isRetryCondition(s string) bool {
	switch s {
	case "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx", "refused-stream",
		"retriable-status-codes", "retriable-headers", "envoy-ratelimited", "http3-post-connect-failure",
		"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable":
		return true
	}
	code, err := strconv.Atoi(s)
	return err == nil && http.StatusText(code) != ""
}
