package route

import (
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	networking "istio.io/api/networking/v1"
)

// draw picks the destination of a request.
func (r *Router) draw(hit *Route) int {
	if r.Rand != nil {
		return hit.Split(r.Rand())
	}
	return hit.Split(rand.Float64())
}

// rewritten is a copy of the request as the destination gets it: its URL leads to the destination's host and
// port, Host is the authority, and path and header are as the route says. The header and the URL are the copy's
// own.
func (r *Route) rewritten(req *http.Request, q *Request, dest int, env *HeaderEnv) *http.Request {
	out := new(http.Request)
	*out = *req
	out.URL = new(url.URL)
	*out.URL = *req.URL
	out.Header = make(http.Header, len(req.Header)+4)
	for k, v := range req.Header {
		out.Header[k] = v
	}
	out.URL.Scheme = q.Scheme
	out.URL.Host = destinationHost(r.spec.Route[dest].GetDestination(), q)
	env.Upstream = out.URL.Host
	r.RequestHeaders(dest, out.Header, env)
	out.Host = q.Authority
	if a := r.Authority(dest); a != "" {
		out.Host = a
	}
	path, rewritten := r.Path(q)
	if rewritten {
		out.Header[headerOriginalPath] = []string{q.target()}
	}
	if path != req.URL.EscapedPath() {
		SetPath(out.URL, path)
	}
	return out
}

// destinationHost is host:port of a destination; without a port in the rule it is the one that the request came
// to, and the scheme's own is left out.
func destinationHost(d *networking.Destination, q *Request) string {
	port := int(d.GetPort().GetNumber())
	if port == 0 {
		port = q.Port
	}
	if port == 0 || port == portOf("", q.Scheme) {
		return d.GetHost()
	}
	return net.JoinHostPort(d.GetHost(), strconv.Itoa(port))
}

// envOf is what the formatters can tell of a request.
func envOf(req *http.Request, q *Request, hit *Route) *HeaderEnv {
	env := &HeaderEnv{
		Request: *q, RemoteAddr: req.RemoteAddr, TLS: req.TLS, Protocol: req.Proto, Route: hit.name, Start: time.Now(),
	}
	if addr, ok := req.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		env.LocalAddr = addr.String()
	}
	return env
}
