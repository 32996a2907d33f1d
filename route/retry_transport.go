package route

import (
	"maps"
	"net/http"
)

// Transport retries what goes through next as the policy says, without a route's timeout; nil means
// [http.DefaultTransport]. The caller's x-envoy- headers are obeyed and removed. What no try could get is an
// error that tells the response flag and status of a sidecar.
func (p *RetryPolicy) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &retrier{p, next}
}

type retrier struct {
	policy *RetryPolicy
	next   http.RoundTripper
}

// RoundTrip sends a copy of the request, and further ones where the policy asks for them.
func (t *retrier) RoundTrip(r *http.Request) (*http.Response, error) {
	header := maps.Clone(r.Header)
	if header == nil {
		header = make(http.Header)
	}
	call := &Call{Retry: t.policy, Overrides: TakeOverrides(header)}
	own := r.WithContext(call.Begin(r.Context(), r))
	own.Header = header
	resp, err := call.Do(own, t)
	if err != nil {
		return nil, err
	}
	resp.Request = r
	return resp, nil
}

// Send makes one try.
func (t *retrier) Send(r *http.Request, _ int) (*http.Response, error) { return t.next.RoundTrip(r) }

// CloseIdleConnections passes the wish on to next.
func (t *retrier) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
