package route

import (
	"net/http"
)

// Transport sends requests where the routes say; nil means [http.DefaultTransport]. It goes by the URL's host and
// port no further than matches do: every request takes one of the routes, or fails with [ErrNoRoute].
//
// It does what an HTTPRoute can say without a mesh: match, redirect, direct response, CORS, rewrite, headers,
// split, timeout and retries. A destination's host is looked up as a name, at the port of the rule or of the
// request. Subsets, mirrors and faults need more than routes and are not acted on here.
func (r *Router) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{r, next}
}

type transport struct {
	router *Router
	next   http.RoundTripper
}

// RoundTrip answers the request itself or sends a copy of it.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	q := RequestOf(req)
	hit := t.router.Match(&q)
	if hit == nil {
		closeBody(req)
		return nil, noRoute()
	}
	env := envOf(req, &q, hit)
	if reply, ok := hit.Answer(&q, env); ok {
		closeBody(req)
		return reply.Response(req), nil
	}
	dest := t.router.draw(hit)
	out := hit.rewritten(req, &q, dest, env)
	call := &Call{Retry: hit.retry, Timeout: hit.timeout, Overrides: TakeOverrides(out.Header), Rand: t.router.Rand}
	resp, err := call.Do(out, t)
	if err != nil {
		return nil, err
	}
	env.Request.Header = out.Header
	env.ResponseCode, env.ResponseFlags = resp.StatusCode, call.Flags
	hit.finish(dest, &q, resp.Header, env)
	resp.Request = req
	return resp, nil
}

// Send makes one try.
func (t *transport) Send(r *http.Request, _ int) (*http.Response, error) { return t.next.RoundTrip(r) }

// CloseIdleConnections passes the wish on to next.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close() // the request is refused; nobody waits for the rest of its body
	}
}
