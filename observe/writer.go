package observe

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// Writer is w, noting the code and counting the bytes. It can do what w can: flush, hijack, push, read from
// a reader; and it unwraps for [http.ResponseController].
func (c *Call) Writer(w http.ResponseWriter) http.ResponseWriter {
	c.writer.w, c.writer.c = w, c
	return c.writer.facade()
}

// writer is what all facades have in common.
type writer struct {
	w        http.ResponseWriter
	c        *Call
	code     atomic.Int32
	hijacked atomic.Bool
	failed   atomic.Bool // a write did not reach the client
}

// Unwrap is for [http.ResponseController].
func (w *writer) Unwrap() http.ResponseWriter { return w.w }

// Header implements [http.ResponseWriter].
func (w *writer) Header() http.Header { return w.w.Header() }

// WriteHeader implements [http.ResponseWriter]. Informational headers are passed on and do not count.
func (w *writer) WriteHeader(code int) {
	w.w.WriteHeader(code)
	if code >= 200 || code == http.StatusSwitchingProtocols {
		w.code.CompareAndSwap(0, int32(code))
	}
}

// Write implements [io.Writer].
func (w *writer) Write(p []byte) (int, error) {
	w.code.CompareAndSwap(0, http.StatusOK)
	n, err := w.w.Write(p)
	w.wrote(int64(n), err)
	return n, err
}

// WriteString implements [io.StringWriter].
func (w *writer) WriteString(s string) (int, error) {
	w.code.CompareAndSwap(0, http.StatusOK)
	n, err := io.WriteString(w.w, s)
	w.wrote(int64(n), err)
	return n, err
}

func (w *writer) wrote(n int64, err error) {
	if w.c.Record.Method != http.MethodHead {
		w.c.sent.Add(n)
	}
	switch err {
	case nil, http.ErrBodyNotAllowed, http.ErrContentLength, http.ErrHijacked, http.ErrHandlerTimeout:
	default:
		w.failed.Store(true)
	}
}

func (w *writer) flush() error {
	w.code.CompareAndSwap(0, http.StatusOK)
	return http.NewResponseController(w.w).Flush()
}

func (w *writer) hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := w.w.(http.Hijacker).Hijack()
	if err == nil {
		w.hijacked.Store(true)
		w.code.CompareAndSwap(0, http.StatusSwitchingProtocols)
	}
	return conn, rw, err
}

func (w *writer) readFrom(src io.Reader) (int64, error) {
	w.code.CompareAndSwap(0, http.StatusOK)
	n, err := w.w.(io.ReaderFrom).ReadFrom(src)
	w.wrote(n, nil)
	return n, err
}
