package breaker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// mostOfAnswer is how much of an answer's body is read so that its connection can be used again.
const mostOfAnswer = 64 << 10

// try makes one check of the endpoint.
func (h *Health) try(ctx context.Context, endpoint string) verdict {
	h.attempts.Add(1)
	ctx, cancel := context.WithTimeoutCause(ctx, h.spec.Timeout, errSlow)
	defer cancel()
	if h.spec.TCPHealthCheck != nil {
		return h.tryTCP(ctx, endpoint)
	}
	return h.tryHTTP(ctx, endpoint)
}

var errSlow = errors.New("breaker: the health check took too long")

// network is the verdict on an endpoint that did not answer.
func network(ctx context.Context, err error) verdict {
	if errors.Is(context.Cause(ctx), errSlow) {
		return verdict{cause: NetworkTimeout, err: errSlow}
	}
	return verdict{cause: NetworkFailure, err: err}
}

func (h *Health) tryTCP(ctx context.Context, endpoint string) verdict {
	dial := h.opts.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	kind := "tcp"
	if strings.HasPrefix(endpoint, "/") || strings.HasPrefix(endpoint, "@") {
		kind = "unix"
	}
	conn, err := dial(ctx, kind, endpoint)
	if err != nil {
		return network(ctx, err)
	}
	_ = conn.Close()
	return verdict{}
}

func (h *Health) tryHTTP(ctx context.Context, endpoint string) verdict {
	s := h.spec.HTTPHealthCheck
	u := &url.URL{Scheme: "http", Host: endpoint}
	u.Path, u.RawQuery, _ = strings.Cut(s.Path, "?")
	if p, err := url.PathUnescape(u.Path); err == nil && p != u.Path {
		u.RawPath, u.Path = u.Path, p
	}
	req := (&http.Request{Method: s.Method, URL: u, Host: cmp.Or(s.Host, endpoint), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"User-Agent": {"Envoy/HC"}}}).WithContext(ctx)
	for k, v := range s.RequestHeadersToAdd {
		req.Header[http.CanonicalHeaderKey(k)] = append([]string(nil), v...)
	}
	rt := h.opts.Transport
	if rt == nil {
		rt = http.DefaultTransport
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return network(ctx, err)
	}
	if resp.Body != nil {
		_, _ = io.CopyN(io.Discard, resp.Body, mostOfAnswer)
		_ = resp.Body.Close()
	}
	if ctx.Err() != nil {
		return network(ctx, ctx.Err())
	}
	if has(s.ExpectedStatuses, resp.StatusCode) {
		return verdict{}
	}
	return verdict{cause: ActiveFailure, retriable: has(s.RetriableStatuses, resp.StatusCode), status: resp.StatusCode,
		err: fmt.Errorf("breaker: health check answered %d", resp.StatusCode)}
}
