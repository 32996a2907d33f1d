package observe

import (
	"net/http"
	"strings"
	"time"
)

// Handler observes the requests that next answers, with reporter "destination". The source is known as far
// as a client certificate tells. A panic is told as the sidecar would see it and goes on.
func (o *Observer) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c := new(Call)
		ctx := o.StartServer(c, req)
		if c.Record.MutualTLS {
			c.Record.Source = o.certified(req)
		}
		c.Serve(w, req.WithContext(ctx), next)
	})
}

// Serve has next answer the request, which carries the context that StartServer gave, and settles the call
// after it. A handler that panics closed the connection on the client: 503 and UC, and the panic goes on.
func (c *Call) Serve(w http.ResponseWriter, req *http.Request, next http.Handler) {
	req.Body = c.RequestBody(req.Body)
	returned := false
	defer func() { c.served(req, returned) }()
	next.ServeHTTP(c.Writer(w), req)
	returned = true
}

// served takes what the writer noted and settles the call.
func (c *Call) served(req *http.Request, returned bool) {
	r, w := &c.Record, &c.writer
	if outer := c.original; outer != nil && outer != req {
		outer.Pattern = first(outer.Pattern, req.Pattern)
		if outer.MultipartForm == nil { // the server removes its files
			outer.MultipartForm = req.MultipartForm
		}
	}
	if r.Operation == "" && req.Pattern != "" && r.span != nil {
		r.Operation = req.Pattern
		if !strings.Contains(req.Pattern, " ") {
			r.Operation = r.Method + " " + req.Pattern
		}
		r.route = req.Pattern
	}
	code := int(w.code.Load())
	left := c.ctx.Context.Err() != nil || w.failed.Load()
	switch {
	case !returned:
		details := "upstream_reset_after_response_started{connection_termination}"
		if code == 0 {
			code, details = http.StatusServiceUnavailable, "upstream_reset_before_response_started{connection_termination}"
		}
		r.Flags |= FlagUC
		r.Details = first(r.Details, details)
	case left:
		r.Flags |= FlagDC
		r.Details = first(r.Details, "downstream_remote_disconnect")
	case code == 0:
		code = http.StatusOK
	}
	if r.Code == 0 {
		r.Code = code
	}
	h := w.w.Header()
	if c.o.hub != nil && !w.hijacked.Load() {
		r.ResponseHeaderBytes = statusLine(r.Code) + HeaderBytes(h)
	}
	r.grpcStatus(h, "Grpc-Status")
	r.grpcStatus(h, http.TrailerPrefix+"Grpc-Status")
	if r.UpstreamTime < 0 {
		r.UpstreamTime = time.Since(r.Start)
	}
	c.Settle(nil)
}

// certified is the peer that a client certificate names.
func (o *Observer) certified(req *http.Request) Peer {
	for _, uri := range req.TLS.PeerCertificates[0].URIs {
		if uri.Scheme != "spiffe" {
			continue
		}
		w := Workload{Principal: uri.String()}
		if part := strings.Split(uri.Path, "/"); len(part) == 5 && part[1] == "ns" && part[3] == "sa" {
			w.Namespace = part[2]
		}
		return o.Peer(w)
	}
	return Peer{}
}
