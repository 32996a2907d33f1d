package observe

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// Call follows one logical request from its start until it settles, which happens once. The zero Call is
// ready for [Observer.StartClient] or [Observer.StartServer]. It may be part of a larger struct, so that a
// request needs one allocation; it must not be copied, nor used for a second request.
type Call struct {
	// Record is what will be told. It may be written to until the call settles.
	Record Record
	// Ended is told when the call settles, before the record is: it may still complete the record. nil means
	// nobody is told.
	Ended Ender

	o        *Observer
	ctx      requestContext
	ids      [1]string     // of the x-request-id header
	original *http.Request // of the server
	resp     *http.Response
	settled  atomic.Bool
	received atomic.Int64 // bytes of the request's body
	sent     atomic.Int64 // bytes of the answer's body
	request  requestBody
	response responseBody
	writer   writer
}

// Ender is told that a call has ended, on the goroutine that saw the end of the answer. err is what broke the
// answer off, or nil.
type Ender interface {
	CallEnded(c *Call, err error)
}

// StartClient begins to follow a request that this process makes, and starts its span. The request is only
// read. The context is the request's with the span in it. The source is our own workload.
func (o *Observer) StartClient(c *Call, req *http.Request) context.Context {
	r := &c.Record
	r.Reporter, r.Source = ReporterSource, o.self
	o.begin(c, req)
	if req.URL != nil {
		r.Scheme, r.Authority = req.URL.Scheme, first(r.Authority, req.URL.Host)
	}
	if r.RequestID = header(req.Header, requestID); r.RequestID == "" {
		if r.RequestID = RequestID(req.Context()); r.RequestID == "" {
			r.RequestID = newRequestID()
		}
	}
	c.ctx.Context = o.start(req.Context(), r, req.Header)
	return c.ctx.Context
}

// StartServer begins to follow a request that this process answers: it takes the trace context from its
// headers, starts the span, and makes an x-request-id where there is none, which it adds to the headers. The
// context is the request's with all of it: a client's call made with it goes on with the trace and the
// request id without the application copying a header. The destination is our own workload.
func (o *Observer) StartServer(c *Call, req *http.Request) context.Context {
	r := &c.Record
	r.Reporter, r.Destination, r.DestinationService = ReporterDestination, o.self, o.service
	o.begin(c, req)
	r.Scheme, r.DownstreamRemote = "http", req.RemoteAddr
	c.original = req
	if a, ok := req.Context().Value(http.LocalAddrContextKey).(interface{ String() string }); ok && o.log != nil {
		r.DownstreamLocal = a.String()
	}
	if req.TLS != nil {
		r.Scheme, r.ServerName, r.MutualTLS = "https", req.TLS.ServerName, len(req.TLS.PeerCertificates) > 0
	}
	if r.RequestID = header(req.Header, requestID); r.RequestID == "" {
		r.RequestID = newRequestID()
		c.ids[0] = r.RequestID
		if req.Header == nil {
			req.Header = http.Header{}
		}
		req.Header[requestID] = c.ids[:]
	}
	c.ctx = requestContext{o.start(req.Context(), r, req.Header), c}
	return &c.ctx
}

// begin notes what client and server requests have in common.
func (o *Observer) begin(c *Call, req *http.Request) {
	c.o = o
	r := &c.Record
	r.Start, r.GRPC, r.GRPCStatus = time.Now(), answer.IsGRPC(req.Header), -1
	if r.Method = req.Method; r.Method == "" {
		r.Method = http.MethodGet
	}
	r.Authority, r.Protocol, r.Attempts = req.Host, protocol(req.ProtoMajor, req.ProtoMinor), 1
	if u := req.URL; u != nil {
		if r.Path, r.Query = u.EscapedPath(), u.RawQuery; u.Opaque != "" {
			r.Path = u.Opaque
		}
	}
	if r.Path == "" && r.Method != http.MethodConnect {
		r.Path = "/"
	}
	r.UserAgent, r.ForwardedFor = header(req.Header, "User-Agent"), header(req.Header, "X-Forwarded-For")
	if r.UpstreamTime = -1; o.hub != nil {
		r.RequestHeaderBytes = requestLine(r) + HeaderBytes(req.Header)
	}
}

// Outgoing writes the trace context and the x-request-id into the headers that go upstream. They must be the
// attempt's own, not those of the caller's request.
func (c *Call) Outgoing(h http.Header) {
	if header(h, requestID) == "" {
		c.ids[0] = c.Record.RequestID
		h[requestID] = c.ids[:]
	}
	c.o.traces.propagation().Inject(c.ctx.Context, carrier(h))
}

// Context is the context that the call was started with, with the span in it.
func (c *Call) Context() context.Context {
	if c.ctx.call != nil {
		return &c.ctx
	}
	return c.ctx.Context
}

// Settle tells about the call if nobody has. err is what broke the answer off, or nil: it sets a flag and
// details, if there are none yet.
func (c *Call) Settle(err error) { c.settle(err, nil) }

// settle also takes the gRPC status from the trailers that came at the end of an answer.
func (c *Call) settle(err error, trailer http.Header) {
	if c.settled.Swap(true) {
		return
	}
	r := &c.Record
	r.grpcStatus(trailer, "Grpc-Status")
	r.BytesReceived += c.received.Load()
	r.BytesSent += c.sent.Load()
	if r.Duration == 0 {
		r.Duration = time.Since(r.Start)
	}
	if c.Ended != nil {
		c.Ended.CallEnded(c, err)
	}
	if err != nil {
		r.brokenOff(err)
	}
	if r.Reporter == ReporterSource && r.DestinationService == (Service{}) {
		r.DestinationService = hostService(r.Authority)
	}
	c.o.Finish(c.ctx.Context, r)
}

// hostService makes a service of the host that the caller asked for.
func hostService(authority string) Service {
	host := authority
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host[i:], ']') < 0 {
		host = host[:i]
	}
	return NewService(strings.ToLower(host), "", "")
}

// header reads one header by its canonical name.
func header(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func protocol(major, minor int) string {
	switch {
	case major == 2:
		return "HTTP/2"
	case major == 3:
		return "HTTP/3"
	case major == 1 && minor == 0:
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// HeaderBytes is the size of headers as HTTP/1.1 writes them.
func HeaderBytes(h http.Header) int64 {
	n := 2
	for name, values := range h {
		for _, v := range values {
			n += len(name) + len(v) + 4
		}
	}
	return int64(n)
}

// requestLine is the size of what HTTP/1.1 writes before the headers, and of the Host header.
func requestLine(r *Record) int64 {
	n := len(r.Method) + len(r.Path) + len(r.Query) + len(r.Protocol) + 4 + len("Host: \r\n") + len(r.Authority)
	if r.Query != "" {
		n++
	}
	return int64(n)
}

// statusLine is the size of what HTTP/1.1 writes before an answer's headers.
func statusLine(code int) int64 { return int64(len("HTTP/1.1 200 \r\n") + len(http.StatusText(code))) }
