package breaker

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// statusWriter notes the status of an answer. What the writer beneath can do, it can do: flush, hijack, read from a
// reader; and it unwraps for [http.ResponseController].
type statusWriter struct {
	http.ResponseWriter
	code int // 0: not answered yet
}

// Unwrap is for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader passes informational headers on without noting them.
func (w *statusWriter) WriteHeader(code int) {
	if code >= 200 || code == http.StatusSwitchingProtocols {
		w.note(code)
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *statusWriter) note(code int) {
	if w.code == 0 {
		w.code = code
	}
}

func (w *statusWriter) Write(p []byte) (int, error) {
	w.note(http.StatusOK)
	return w.ResponseWriter.Write(p)
}

// ReadFrom lets a file go to a socket without a copy.
func (w *statusWriter) ReadFrom(src io.Reader) (int64, error) {
	w.note(http.StatusOK)
	return io.Copy(w.ResponseWriter, src)
}

// Flush implements [http.Flusher].
func (w *statusWriter) Flush() {
	w.note(http.StatusOK)
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements [http.Hijacker].
func (w *statusWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.note(http.StatusSwitchingProtocols)
	}
	return conn, rw, err
}
