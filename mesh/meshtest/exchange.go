package meshtest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
)

// exchange runs the handler for the request, as a server and a connection would.
func exchange(h http.Handler, req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	in := inbound(ctx, req)
	pr, pw := io.Pipe()
	w := &writer{req: req, header: make(http.Header), body: pw, head: make(chan *http.Response, 1)}
	resp := &http.Response{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Body: &respBody{PipeReader: pr, cancel: cancel}, Trailer: http.Header{},
	}
	w.resp = resp
	// A cancelled request breaks off the body, for the client and for a handler that is writing it.
	stop := context.AfterFunc(ctx, func() { _ = pw.CloseWithError(context.Cause(ctx)) })
	go serve(h, w, in, func() { stop(); cancel() })
	select {
	case <-w.head:
		if w.failed != nil {
			cancel()
			return nil, w.failed
		}
		if req.Context().Err() != nil { // the client has left before
			_ = resp.Body.Close()
			return nil, context.Cause(req.Context())
		}
		return resp, nil
	case <-req.Context().Done():
		cancel()
		return nil, context.Cause(req.Context())
	}
}

// inbound is the request as a server sees it.
func inbound(ctx context.Context, req *http.Request) *http.Request {
	in := req.Clone(ctx)
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	in.RequestURI = req.URL.RequestURI()
	in.URL.Scheme, in.URL.Host, in.URL.User = "", "", nil
	in.RemoteAddr = "192.0.2.1:1234"
	in.Response, in.GetBody, in.Cancel = nil, nil, nil // Cancel is cleared, not used
	if in.Header == nil {
		in.Header = http.Header{}
	}
	if _, ok := in.Header["User-Agent"]; !ok {
		in.Header.Set("User-Agent", "Go-http-client/1.1")
	}
	if in.Body == nil {
		in.Body = http.NoBody
	} else if in.ContentLength == 0 && req.Body != http.NoBody {
		in.ContentLength = -1
	}
	if len(req.Trailer) > 0 {
		in.Body = &trailing{in.Body, req.Trailer, in.Trailer}
	}
	return in
}

// trailing is a request's body with trailers: their values are known when it has ended.
type trailing struct {
	io.ReadCloser
	from, to http.Header
}

func (b *trailing) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		maps.Copy(b.to, b.from)
	}
	return n, err
}

// serve runs the handler and ends the exchange, however it ends: end is called when all is written.
func serve(h http.Handler, w *writer, in *http.Request, end func()) {
	var err error
	defer func() {
		if e := recover(); e != nil {
			err = errReset
			if e != http.ErrAbortHandler {
				err = fmt.Errorf("meshtest: the handler panicked: %v: %w", e, errReset)
			}
		}
		_ = in.Body.Close()
		if err == nil && w.req.Context().Err() != nil {
			err = context.Cause(w.req.Context()) // what is not said yet, the client never hears
		}
		w.finish(err)
		end()
	}()
	h.ServeHTTP(w, in)
}

// respBody cancels the handler's context when the client is done with the response.
type respBody struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (b *respBody) Close() error {
	err := b.CloseWithError(errHandler)
	b.cancel()
	return err
}

// writer is the handler's end. It is used by the handler's goroutine alone, but for head.
type writer struct {
	req    *http.Request
	header http.Header
	body   *io.PipeWriter
	resp   *http.Response
	head   chan *http.Response
	failed error // set before head is sent on, if there is no response

	once  sync.Once
	wrote bool
	buf   *bufio.Writer
}

func (w *writer) Header() http.Header { return w.header }

// WriteHeader sends the header; informational ones go to the client's trace.
func (w *writer) WriteHeader(code int) {
	if code >= 100 && code < 200 && code != http.StatusSwitchingProtocols {
		if t := httptrace.ContextClientTrace(w.req.Context()); t != nil && t.Got1xxResponse != nil {
			_ = t.Got1xxResponse(code, textproto.MIMEHeader(w.header.Clone()))
		}
		return
	}
	if w.wrote {
		return
	}
	w.wrote = true
	h := w.header.Clone()
	for _, names := range h["Trailer"] {
		for name := range strings.SplitSeq(names, ",") {
			w.resp.Trailer[http.CanonicalHeaderKey(strings.TrimSpace(name))] = nil
		}
	}
	maps.DeleteFunc(h, func(k string, _ []string) bool { return strings.HasPrefix(k, http.TrailerPrefix) })
	delete(h, "Trailer")
	w.resp.Header, w.resp.StatusCode = h, code
	w.resp.Status = strconv.Itoa(code) + " " + http.StatusText(code)
	w.resp.ContentLength = -1
	if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil {
		w.resp.ContentLength = n
	}
	w.buf = bufio.NewWriterSize(w.body, 4096)
	w.once.Do(func() { w.head <- w.resp })
}

// Write sends body, and the header before it.
func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.req.Method == http.MethodHead {
		return len(p), nil
	}
	return w.buf.Write(p)
}

// Flush sends what was written so far.
func (w *writer) Flush() {
	w.WriteHeader(http.StatusOK)
	_ = w.buf.Flush()
}

// finish ends the response: an error breaks it off, else the trailers follow the body.
func (w *writer) finish(err error) {
	if err != nil && !w.wrote {
		w.once.Do(func() { w.failed = err; w.head <- nil })
		return
	}
	w.WriteHeader(http.StatusOK)
	flushErr := w.buf.Flush()
	for k := range w.resp.Trailer {
		w.resp.Trailer[k] = w.header[k]
	}
	for k, v := range w.header {
		if name, ok := strings.CutPrefix(k, http.TrailerPrefix); ok {
			w.resp.Trailer[http.CanonicalHeaderKey(name)] = v
		}
	}
	if err == nil {
		err = flushErr
	}
	_ = w.body.CloseWithError(err)
}

var _ net.Addr = address("")
