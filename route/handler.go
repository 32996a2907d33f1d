package route

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// Handler answers requests as the routes say or passes a copy on to next, rewritten; nil means
// [http.DefaultServeMux]. The copy's URL leads to the destination, so that next may be an httputil.ReverseProxy
// with nothing left to do. A request that no route matches is answered with 404.
//
// Timeout, retries, mirrors, faults and subsets are the business of whoever forwards.
func (r *Router) Handler(next http.Handler) http.Handler {
	if next == nil {
		next = http.DefaultServeMux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		q := RequestOf(req)
		if addr, ok := req.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok && q.Port == 0 {
			q.Port = addr.Port
		}
		hit := r.Match(&q)
		if hit == nil {
			answer.ReplyOf(noRoute()).Write(w, req)
			return
		}
		env := envOf(req, &q, hit)
		if reply, ok := hit.Answer(&q, env); ok {
			reply.Write(w, req)
			return
		}
		dest := r.draw(hit)
		out := hit.rewritten(req, &q, dest, env)
		if hit.cors == nil && hit.responds == nil && hit.dests[dest].response == nil {
			next.ServeHTTP(w, out)
			return
		}
		env.Request.Header = out.Header
		rw := &responder{ResponseWriter: w, finish: func(code int) {
			env.ResponseCode = code
			hit.finish(dest, &q, w.Header(), env)
		}}
		next.ServeHTTP(rw, out)
		rw.begin(http.StatusOK) // a handler may leave the status to net/http
	})
}

// responder changes a response's header when its final status is known.
type responder struct {
	http.ResponseWriter
	finish func(code int)
	begun  bool
}

// begin runs finish once; informational responses pass before it.
func (w *responder) begin(code int) {
	if w.begun || code < 200 && code != http.StatusSwitchingProtocols {
		return
	}
	w.begun = true
	w.finish(code)
}

// WriteHeader changes the header, then sends it.
func (w *responder) WriteHeader(code int) {
	w.begin(code)
	w.ResponseWriter.WriteHeader(code)
}

// Write begins the response if nothing has.
func (w *responder) Write(p []byte) (int, error) {
	w.begin(http.StatusOK)
	return w.ResponseWriter.Write(p)
}

// ReadFrom begins the response if nothing has, and lets net/http copy in its own way.
func (w *responder) ReadFrom(r io.Reader) (int64, error) {
	w.begin(http.StatusOK)
	return io.Copy(w.ResponseWriter, r)
}

// FlushError begins the response if nothing has, and sends what there is.
func (w *responder) FlushError() error {
	w.begin(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush is FlushError for callers that do not ask.
func (w *responder) Flush() {
	_ = w.FlushError() // http.Flusher has no way to tell
}

// Hijack hands over the connection.
func (w *responder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.begun = true
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// Unwrap is for [http.ResponseController].
func (w *responder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
