// Package meshtest makes unit tests of rules short: a [Fleet] of handlers stands for the endpoints, nothing is sent
// over a socket, time is virtual inside synctest.Test, and chance is repeatable.
//
//	func TestJasonSeesVersion2(t *testing.T) {
//		client := meshtest.Client(t, "rules.d", meshtest.Fleet{"10.0.0.1:9080": meshtest.Name("v1"), "10.0.0.2:9080": meshtest.Name("v2")})
//		got := meshtest.Do(t, client, "GET", "http://reviews:9080/", "end-user: jason")
//		if got.Body != "v2" {
//			t.Error(got)
//		}
//	}
package meshtest

import (
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
)

// Fleet is a base transport in which each endpoint's address ("10.0.0.1:9080", "/run/app.sock" for a unix socket)
// is a handler. The request comes to the handler as it would over the wire, streaming in both directions; the
// client's cancellation ends its context. An address that is not in the fleet, or nil, refuses the connection.
// A fleet must not be changed while it is in use.
type Fleet map[string]http.Handler

// RoundTrip hands the request to the handler of its address. It returns as soon as the handler has sent its header.
func (f Fleet) RoundTrip(req *http.Request) (*http.Response, error) {
	h := f[req.URL.Host]
	if h == nil {
		h = f[withPort(req)]
	}
	if h == nil {
		closeBody(req)
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: address(req.URL.Host), Err: syscall.ECONNREFUSED}
	}
	return exchange(h, req)
}

func withPort(req *http.Request) string {
	if req.URL.Port() != "" {
		return ""
	}
	port := "80"
	if req.URL.Scheme == "https" {
		port = "443"
	}
	return net.JoinHostPort(req.URL.Hostname(), port)
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// address is a net.Addr of the text.
type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

// Hang is an endpoint that takes the request and never answers; it ends with the request.
var Hang http.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })

// Reset is an endpoint that breaks the connection instead of answering.
var Reset http.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })

// Name is an endpoint that answers 200 with its name.
func Name(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
}

// Status is an endpoint that answers with the status code.
func Status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

// errReset is what the client of a broken connection sees.
var errReset = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

// errHandler ends an exchange whose handler has returned.
var errHandler = errors.New("meshtest: the handler has returned")
