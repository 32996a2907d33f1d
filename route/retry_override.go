package route

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Overrides are what the caller's own x-envoy- headers change about retries and timeouts. The zero value changes
// nothing.
//
// See https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#http-headers-consumed-from-downstream.
type Overrides struct {
	x *overrides // nil in all but a few requests
}

type overrides struct {
	retryOn        // what x-envoy-retry-on and its kin add
	maxRetries int // -1 unless given
	timeout    time.Duration
	hasTimeout bool
	perTry     time.Duration
	hasPerTry  bool
	noContent  bool  // x-envoy-upstream-rq-timeout-alt-response: a timeout is answered 204
	hedge      *bool // x-envoy-hedge-on-per-try-timeout
}

// TakeOverrides reads the caller's headers and removes them from h: x-envoy-max-retries, -retry-on,
// -retry-grpc-on, -retriable-status-codes, -retriable-header-names, -upstream-rq-timeout-ms,
// -upstream-rq-per-try-timeout-ms, -upstream-rq-timeout-alt-response and -hedge-on-per-try-timeout. What does not
// parse is removed and changes nothing. Headers without any of these, nearly all, cost one look at each name. A
// gateway has nothing to take for callers from outside: it strips the headers before.
func TakeOverrides(h http.Header) Overrides {
	var x *overrides
	for name, values := range h {
		if len(name) < len("X-Envoy-Retry-On") || name[:8] != "X-Envoy-" || len(values) == 0 {
			continue
		}
		if x == nil {
			x = &overrides{maxRetries: -1}
		}
		if !x.take(name[8:], values[0]) {
			continue
		}
		delete(h, name)
	}
	if x == nil || !x.any() {
		return Overrides{}
	}
	return Overrides{x}
}

// take reads one header; it tells whether the header is one that we consume.
func (x *overrides) take(name, value string) bool {
	switch name {
	case "Max-Retries":
		if n, ok := number(value); ok {
			x.maxRetries = int(n)
		}
	case "Retry-On":
		for word := range strings.SplitSeq(value, ",") {
			x.conditions |= httpCondition(strings.TrimSpace(word))
		}
	case "Retry-Grpc-On":
		for word := range strings.SplitSeq(value, ",") {
			x.conditions |= grpcCondition(strings.TrimSpace(word))
		}
	case "Retriable-Status-Codes":
		for word := range strings.SplitSeq(value, ",") {
			if code, ok := number(strings.TrimSpace(word)); ok {
				x.codes = append(x.codes, int(code))
			}
		}
	case "Retriable-Header-Names":
		for word := range strings.SplitSeq(value, ",") {
			if word = strings.TrimSpace(word); word != "" {
				x.headers = append(x.headers, http.CanonicalHeaderKey(word))
			}
		}
	case "Upstream-Rq-Timeout-Ms":
		if n, ok := number(value); ok {
			x.timeout, x.hasTimeout = time.Duration(n)*time.Millisecond, true
		}
	case "Upstream-Rq-Per-Try-Timeout-Ms":
		if n, ok := number(value); ok {
			x.perTry, x.hasPerTry = time.Duration(n)*time.Millisecond, true
		}
	case "Upstream-Rq-Timeout-Alt-Response":
		x.noContent = true
	case "Hedge-On-Per-Try-Timeout":
		if on := value == "true"; on || value == "false" {
			x.hedge = &on
		}
	default:
		return false
	}
	return true
}

func (x *overrides) any() bool {
	return x.conditions != 0 || x.codes != nil || x.headers != nil || x.maxRetries >= 0 || x.hasTimeout || x.hasPerTry || x.noContent || x.hedge != nil
}

// number reads a count or a number of milliseconds; more than a year of them is no number that anyone means.
func number(s string) (int64, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 35)
	return int64(n), err == nil
}
