package route

import (
	"net/http"
	"strconv"
	"strings"
)

// Request is the part of a request that routes look at. It is a view: it shares the header with the request
// that it was made from.
type Request struct {
	// Method is upper case; empty counts as GET.
	Method string
	// Scheme is "http" or "https".
	Scheme string
	// Authority is the host as the caller named it, with the port if the caller wrote one.
	Authority string
	// Path is the escaped path, normalised: dot segments are resolved, doubled slashes are kept.
	Path string
	// RawQuery is the query without its question mark, as it was sent.
	RawQuery string
	// Header has canonical keys, as net/http makes them. Nil is an empty header.
	Header http.Header
	// Port is the service port (on a gateway: the server's port) that the request came to. 0 means unknown:
	// a match on a port is then never met.
	Port int
	// Claims are those of a verified JWT, for matches on "@request.auth.claims". Nil means none.
	Claims map[string]any
}

// RequestOf is the view of a request that a client is about to send or that a server has received. The port is
// that of a client's URL (or its scheme's default) and 0 on a server, where the listener knows it. Ordinary
// requests cost no allocation; a path that needs normalising does.
func RequestOf(r *http.Request) Request {
	q := Request{Method: r.Method, Scheme: r.URL.Scheme, Authority: r.Host, RawQuery: r.URL.RawQuery, Header: r.Header}
	if q.Method == "" {
		q.Method = http.MethodGet
	}
	if host := r.URL.Host; host != "" {
		if q.Authority == "" {
			q.Authority = host
		}
		q.Port = portOf(host, r.URL.Scheme)
	}
	if q.Scheme == "" {
		q.Scheme = "http"
		if r.TLS != nil {
			q.Scheme = "https"
		}
	}
	q.Path = escapedPath(r.URL)
	return q
}

// target is the path with the query.
func (q *Request) target() string {
	if q.RawQuery == "" {
		return q.Path
	}
	return q.Path + "?" + q.RawQuery
}

// portOf is the port in host:port, else the scheme's own, else 0.
func portOf(host, scheme string) int {
	if _, p := splitPort(host); p != "" {
		if n, err := strconv.Atoi(p); err == nil && n > 0 && n <= 65535 {
			return n
		}
		return 0
	}
	switch scheme {
	case "http":
		return 80
	case "https":
		return 443
	}
	return 0
}

// splitPort cuts "host:port" and "[v6]:port"; the port is empty where there is none.
func splitPort(authority string) (host, port string) {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || strings.IndexByte(authority[i:], ']') >= 0 {
		return authority, ""
	}
	if authority[0] != '[' && strings.IndexByte(authority[:i], ':') >= 0 {
		return authority, "" // a bare IPv6 address
	}
	return authority[:i], authority[i+1:]
}

// first is the header's value, several joined with a comma as Envoy does, and whether there is any.
func first(h http.Header, name string) (string, bool) {
	switch v := h[name]; len(v) {
	case 0:
		return "", false
	case 1:
		return v[0], true
	default:
		return strings.Join(v, ","), true
	}
}
