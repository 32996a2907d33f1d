package route

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1"
)

// redirect makes the Location of a redirect.
type redirect struct {
	code         int
	scheme, host string
	uri          string
	ownQuery     bool // uri has a question mark
	prefix       string
	port         int  // 0: none named
	fromRequest  bool // the port is the one that the request came to
}

func newRedirect(r *networking.HTTPRedirect) (*redirect, error) {
	if r == nil {
		return nil, nil
	}
	out := &redirect{
		code: int(r.RedirectCode), scheme: r.Scheme, host: r.Authority,
		uri: r.Uri, ownQuery: strings.Contains(r.Uri, "?"), prefix: r.PrefixRewrite,
	}
	switch p := r.RedirectPort.(type) {
	case *networking.HTTPRedirect_Port:
		out.port = int(p.Port)
	case *networking.HTTPRedirect_DerivePort:
		out.fromRequest = p.DerivePort == networking.HTTPRedirect_FROM_REQUEST_PORT
	}
	switch out.code {
	case 0:
		out.code = http.StatusMovedPermanently
	case 301, 302, 303, 307, 308:
	default:
		return nil, fieldError("redirect.redirectCode", fmt.Errorf("%d is not 301, 302, 303, 307 or 308", out.code))
	}
	return out, nil
}

// location is scheme://host[:port]path[?query].
func (r *redirect) location(q *Request, uri *text) string {
	scheme := q.Scheme
	if r.scheme != "" {
		scheme = r.scheme
	}
	port := r.port
	if r.fromRequest {
		port = q.Port
	}
	// Ports 80 of http and 443 of https are not written.
	if scheme == "http" && port == 80 || scheme == "https" && port == 443 {
		port = 0
	}
	host := r.host
	if host == "" {
		host = q.Authority
		if h, p := splitPort(host); p != "" {
			old := scheme != q.Scheme && (q.Scheme == "http" && p == "80" || q.Scheme == "https" && p == "443")
			if port != 0 || old {
				host = h
			}
		}
	} else if port != 0 {
		host, _ = splitPort(host)
	}
	path, query := q.Path, q.RawQuery
	switch {
	case r.prefix != "":
		path = swapMatched(path, uri, r.prefix)
	case r.uri != "":
		path = r.uri
		if r.ownQuery {
			query = ""
		}
	}
	var b strings.Builder
	b.Grow(len(scheme) + len(host) + len(path) + len(query) + 10)
	b.WriteString(scheme)
	b.WriteString("://")
	b.WriteString(host)
	if port != 0 {
		b.WriteByte(':')
		b.WriteString(strconv.Itoa(port))
	}
	b.WriteString(path)
	if query != "" {
		b.WriteByte('?')
		b.WriteString(query)
	}
	return b.String()
}
