package route

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// condition is one thing that a retry may be asked for, as a bit.
type condition uint32

const (
	on5xx condition = 1 << iota
	onGatewayError
	onReset
	onResetBeforeRequest
	onConnectFailure
	onRefusedStream
	onRetriable4xx
	onStatusCodes
	onHeaders
	onRateLimited
	onCancelled
	onDeadlineExceeded
	onResourceExhausted
	onInternal
	onUnavailable

	onGRPC = onCancelled | onDeadlineExceeded | onResourceExhausted | onInternal | onUnavailable
)

// retryOn is a list of conditions compiled. The zero value asks for nothing.
type retryOn struct {
	conditions condition
	codes      []int    // for onStatusCodes
	headers    []string // for onHeaders; canonical
}

// parseRetryOn reads a comma-separated list of conditions and status codes. Words that it does not know count
// for nothing, as in Envoy: in a rule, validation has refused them before. http3-post-connect-failure never
// happens here, for we do not speak HTTP/3.
func parseRetryOn(list string) retryOn {
	var on retryOn
	for word := range strings.SplitSeq(list, ",") {
		word = strings.TrimSpace(word)
		if c := httpCondition(word) | grpcCondition(word); c != 0 {
			on.conditions |= c
		} else if code, err := strconv.Atoi(word); err == nil {
			on.conditions |= onStatusCodes
			on.codes = append(on.codes, code)
		}
	}
	return on
}

func httpCondition(word string) condition {
	switch word {
	case "5xx":
		return on5xx
	case "gateway-error":
		return onGatewayError
	case "reset":
		return onReset
	case "reset-before-request":
		return onResetBeforeRequest
	case "connect-failure":
		return onConnectFailure
	case "refused-stream":
		return onRefusedStream
	case "retriable-4xx":
		return onRetriable4xx
	case "retriable-status-codes":
		return onStatusCodes
	case "retriable-headers":
		return onHeaders
	case "envoy-ratelimited":
		return onRateLimited
	}
	return 0
}

func grpcCondition(word string) condition {
	switch word {
	case "cancelled":
		return onCancelled
	case "deadline-exceeded":
		return onDeadlineExceeded
	case "resource-exhausted":
		return onResourceExhausted
	case "internal":
		return onInternal
	case "unavailable":
		return onUnavailable
	}
	return 0
}

// response tells whether the upstream's answer is one to try again. A gRPC status counts only in the headers:
// one that comes after data is the caller's.
func (on *retryOn) response(r *http.Response) bool {
	if r.StatusCode == http.StatusSwitchingProtocols {
		return false
	}
	if len(r.Header["X-Envoy-Ratelimited"]) > 0 {
		return on.conditions&onRateLimited != 0
	}
	c, code := on.conditions, r.StatusCode
	switch {
	case c&on5xx != 0 && code >= 500 && code < 600,
		c&onGatewayError != 0 && (code == 502 || code == 503 || code == 504),
		c&onRetriable4xx != 0 && code == http.StatusConflict,
		c&onStatusCodes != 0 && slices.Contains(on.codes, code):
		return true
	}
	if c&onHeaders != 0 {
		for _, name := range on.headers {
			if _, ok := r.Header[name]; ok {
				return true
			}
		}
	}
	if c&onGRPC != 0 {
		if v := r.Header["Grpc-Status"]; len(v) > 0 {
			return c&statusCondition(v[0]) != 0
		}
	}
	return false
}

func statusCondition(grpcStatus string) condition {
	switch grpcStatus {
	case "1":
		return onCancelled
	case "4":
		return onDeadlineExceeded
	case "8":
		return onResourceExhausted
	case "13":
		return onInternal
	case "14":
		return onUnavailable
	}
	return 0
}

// loss is how a try ended that brought no response.
type loss int

const (
	lossFinal   loss = iota // not worth another try: overflow, no healthy upstream, no such cluster
	lossReset               // the upstream broke off, or the try's own timeout passed
	lossConnect             // no connection came about
	lossRefused             // the upstream said that it has not begun with it
)

// lost tells whether a try that ended so is one to try again. sent is false where no byte of the request had
// gone out.
func (on *retryOn) lost(l loss, sent bool) bool {
	c := on.conditions
	switch {
	case l == lossFinal:
		return false
	case c&(onReset|on5xx|onGatewayError) != 0:
		return true
	}
	return c&onConnectFailure != 0 && l == lossConnect ||
		c&onRefusedStream != 0 && l == lossRefused ||
		c&onResetBeforeRequest != 0 && !sent
}
