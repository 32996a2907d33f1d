package route

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// The headers that each try's request carries.
const (
	headerAttempt  = "X-Envoy-Attempt-Count"
	headerExpected = "X-Envoy-Expected-Rq-Timeout-Ms"
	headerGRPCTime = "Grpc-Timeout"
)

// limits are the timeouts of one call; 0 is none.
type limits struct {
	total, perTry time.Duration
	grpc          bool
	hedge         bool // perTry ends no try, but has another one begin
}

// limitsOf puts together what the rule, the gRPC client and the caller's headers say. A gRPC client's own
// timeout counts up to the rule's; the caller's headers replace both. A limit per try that is not below that of
// the whole is dropped.
func limitsOf(route time.Duration, p *RetryPolicy, o Overrides, h http.Header) limits {
	l := limits{total: max(route, 0), perTry: p.PerTryTimeout(), hedge: p != nil && p.Hedge}
	if len(h["Content-Type"]) > 0 && answer.IsGRPC(h) {
		l.grpc = true
		if v := h[headerGRPCTime]; len(v) > 0 {
			if own := parseGRPCTimeout(v[0]); own > 0 && (l.total == 0 || own < l.total) {
				l.total = own
			}
		}
	}
	if x := o.x; x != nil {
		if x.hasTimeout {
			l.total = x.timeout
		}
		if x.hasPerTry {
			l.perTry = x.perTry
		}
		if x.hedge != nil {
			l.hedge = *x.hedge
		}
	}
	if l.total > 0 && l.perTry >= l.total {
		l.perTry = 0
	}
	return l
}

// announce tells the upstream how long we shall wait for this try: what is left of the route's timeout, of the
// try's own and of the caller's deadline, whichever ends first. elapsed is what the call has used up. A try that
// hedges is not given up at its own limit. Where nothing limits the try, nothing is said.
func (l limits) announce(h http.Header, elapsed time.Duration, deadline time.Time) {
	left := time.Duration(forever)
	if l.perTry > 0 && !l.hedge {
		left = l.perTry
	}
	if l.total > 0 {
		left = min(left, l.total-elapsed)
	}
	if !deadline.IsZero() {
		left = min(left, time.Until(deadline))
	}
	if left == forever {
		return
	}
	left = max(left, time.Millisecond)
	h[headerExpected] = []string{strconv.FormatInt(left.Milliseconds(), 10)}
	if l.grpc {
		h[headerGRPCTime] = []string{formatGRPCTimeout(left)}
	}
}

// TimeLeft is how long the caller of a request will wait for it, as the request's headers tell: the smaller of
// x-envoy-expected-rq-timeout-ms and, on gRPC requests, grpc-timeout. It is 0 where no time is left, and ok is false
// where nothing is said or can be read.
func TimeLeft(h http.Header) (left time.Duration, ok bool) {
	left = forever
	if v := h[headerExpected]; len(v) > 0 {
		if ms, is := number(v[0]); is && ms > 0 { // as elsewhere in Envoy, 0 would be no timeout
			left = time.Duration(ms) * time.Millisecond
		}
	}
	if v := h[headerGRPCTime]; len(v) > 0 && answer.IsGRPC(h) {
		if own := parseGRPCTimeout(v[0]); own > 0 || noTime(v[0]) {
			left = min(left, own)
		}
	}
	return left, left != forever
}

// noTime tells whether a grpc-timeout is 0 of any unit: gRPC clients write so what is late already.
func noTime(s string) bool {
	return len(s) >= 2 && len(s) <= 9 && strings.Trim(s[:len(s)-1], "0") == "" && strings.IndexByte("HMSmun", s[len(s)-1]) >= 0
}

// parseGRPCTimeout reads gRPC's "<at most 8 digits><unit>", in whole milliseconds rounded up; 0 if it is not
// one, which means no limit, as 0 itself does.
// See https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
func parseGRPCTimeout(s string) time.Duration {
	if len(s) < 2 || len(s) > 9 {
		return 0
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	if err != nil || s[0] == '+' {
		return 0
	}
	var unit time.Duration
	switch s[len(s)-1] {
	case 'H':
		unit = time.Hour
	case 'M':
		unit = time.Minute
	case 'S':
		unit = time.Second
	case 'm':
		unit = time.Millisecond
	case 'u':
		unit = time.Microsecond
	case 'n':
		unit = time.Nanosecond
	default:
		return 0
	}
	if unit == time.Hour {
		n = min(n, 1_000_000) // more hours than a Duration holds
	}
	d := time.Duration(n) * unit
	return (d + time.Millisecond - 1).Truncate(time.Millisecond)
}

// formatGRPCTimeout writes the duration in the finest unit from milliseconds up that takes at most 8 digits.
func formatGRPCTimeout(d time.Duration) string {
	for _, u := range [...]struct {
		unit time.Duration
		name string
	}{{time.Millisecond, "m"}, {time.Second, "S"}, {time.Minute, "M"}} {
		if n := d / u.unit; n < 100_000_000 {
			return strconv.FormatInt(int64(n), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d/time.Hour), 10) + "H"
}
