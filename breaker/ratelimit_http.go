package breaker

import (
	"errors"
	"net/http"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// Handler is next behind the limit; a nil next is [http.DefaultServeMux]. Refused requests are answered with 429,
// "local_rate_limited" and x-envoy-ratelimited, as a sidecar does; next does not see them.
func (l *RateLimit) Handler(next http.Handler) http.Handler {
	if next == nil {
		next = http.DefaultServeMux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := l.Allow(r, w.Header()); err != nil {
			deny(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Transport is next behind the limit; a nil next is [http.DefaultTransport]. A refused request is an error that is
// [ErrRateLimited] and tells the status and flag of a sidecar's answer.
func (l *RateLimit) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &limitedTransport{l, next}
}

type limitedTransport struct {
	limit *RateLimit
	next  http.RoundTripper
}

func (t *limitedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.limit.Allow(req, nil); err != nil {
		closeBody(req)
		return nil, err
	}
	return t.next.RoundTrip(req)
}

// CloseIdleConnections passes the call on.
func (t *limitedTransport) CloseIdleConnections() { closeIdle(t.next) }

// deny answers with a refusal of this package.
func deny(w http.ResponseWriter, r *http.Request, err error) {
	if e, ok := errors.AsType[*answer.Error](err); ok {
		answer.ReplyOf(e).Write(w, r)
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

func closeIdle(rt http.RoundTripper) {
	if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
