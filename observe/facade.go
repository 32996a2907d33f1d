package observe

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// The facades are pointers in disguise, so that handing one out does not allocate. A handler finds by type
// assertion just what it would find without us.
type (
	flusher  struct{ *writer }
	hijacker struct{ *writer }
	reader   struct{ *writer }
	pusher   struct{ *writer }
	// http1 is for the writers of net/http's HTTP/1 server, http2 for those of its HTTP/2 server.
	http1 struct{ *writer }
	http2 struct{ *writer }
)

// Flush implements [http.Flusher].
func (f flusher) Flush() { _ = f.flush() }

// FlushError is Flush for [http.ResponseController].
func (f flusher) FlushError() error { return f.flush() }

// Hijack implements [http.Hijacker].
func (f hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return f.hijack() }

// ReadFrom implements [io.ReaderFrom].
func (f reader) ReadFrom(src io.Reader) (int64, error) { return f.readFrom(src) }

// Push implements [http.Pusher].
func (f pusher) Push(target string, opts *http.PushOptions) error {
	return f.w.(http.Pusher).Push(target, opts)
}

// Flush implements [http.Flusher].
func (f http1) Flush() { _ = f.flush() }

// FlushError is Flush for [http.ResponseController].
func (f http1) FlushError() error { return f.flush() }

// Hijack implements [http.Hijacker].
func (f http1) Hijack() (net.Conn, *bufio.ReadWriter, error) { return f.hijack() }

// ReadFrom implements [io.ReaderFrom].
func (f http1) ReadFrom(src io.Reader) (int64, error) { return f.readFrom(src) }

// Flush implements [http.Flusher].
func (f http2) Flush() { _ = f.flush() }

// FlushError is Flush for [http.ResponseController].
func (f http2) FlushError() error { return f.flush() }

// Push implements [http.Pusher].
func (f http2) Push(target string, opts *http.PushOptions) error {
	return f.w.(http.Pusher).Push(target, opts)
}

// flushes is what a facade that flushes adds.
type flushes interface {
	http.Flusher
	FlushError() error
}

// facade picks the face that can do what the writer underneath can.
func (w *writer) facade() http.ResponseWriter {
	_, canFlush := w.w.(http.Flusher)
	_, canHijack := w.w.(http.Hijacker)
	_, canRead := w.w.(io.ReaderFrom)
	_, canPush := w.w.(http.Pusher)
	abilities := 0
	for i, can := range []bool{canFlush, canHijack, canRead, canPush} {
		if can {
			abilities |= 1 << i
		}
	}
	const f, h, r, p = 1, 2, 4, 8
	switch abilities {
	case f | h | r:
		return http1{w}
	case f | p:
		return http2{w}
	case f:
		return flusher{w}
	case h:
		return hijacker{w}
	case r:
		return reader{w}
	case p:
		return pusher{w}
	case f | h:
		return struct {
			*writer
			flushes
			http.Hijacker
		}{w, flusher{w}, hijacker{w}}
	case f | r:
		return struct {
			*writer
			flushes
			io.ReaderFrom
		}{w, flusher{w}, reader{w}}
	case h | r:
		return struct {
			*writer
			http.Hijacker
			io.ReaderFrom
		}{w, hijacker{w}, reader{w}}
	case h | p:
		return struct {
			*writer
			http.Hijacker
			http.Pusher
		}{w, hijacker{w}, pusher{w}}
	case r | p:
		return struct {
			*writer
			io.ReaderFrom
			http.Pusher
		}{w, reader{w}, pusher{w}}
	case f | h | p:
		return struct {
			*writer
			flushes
			http.Hijacker
			http.Pusher
		}{w, flusher{w}, hijacker{w}, pusher{w}}
	case f | r | p:
		return struct {
			*writer
			flushes
			io.ReaderFrom
			http.Pusher
		}{w, flusher{w}, reader{w}, pusher{w}}
	case h | r | p:
		return struct {
			*writer
			http.Hijacker
			io.ReaderFrom
			http.Pusher
		}{w, hijacker{w}, reader{w}, pusher{w}}
	case f | h | r | p:
		return struct {
			*writer
			flushes
			http.Hijacker
			io.ReaderFrom
			http.Pusher
		}{w, flusher{w}, hijacker{w}, reader{w}, pusher{w}}
	}
	return w
}
