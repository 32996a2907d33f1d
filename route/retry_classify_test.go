package route

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-inmesh/inmesh/internal/answer"
)

type timeout struct{}

func (timeout) Error() string { return "too slow" }
func (timeout) Timeout() bool { return true }

type flagged struct{}

func (flagged) Error() string        { return "flagged" }
func (flagged) ResponseFlag() string { return "UH" }
func (flagged) StatusCode() int      { return 503 }

func dialError(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }

func TestClassify(t *testing.T) {
	const start = "upstream connect error or disconnect/reset before headers. reset reason: "
	own := &answer.Error{Sentinel: ErrNoHealthyUpstream, Flag: "UH", Status: 503}
	tests := []struct {
		name    string
		err     error
		unsent  bool
		flag    string
		status  int
		body    string
		details string
		loss    loss
	}{
		{name: "own answer", err: fmt.Errorf("try 2: %w", own), flag: "UH", status: 503, loss: lossFinal},
		{name: "own interface", err: fmt.Errorf("try 2: %w", flagged{}), flag: "UH", status: 503, loss: lossFinal},
		{
			name: "refused", err: dialError(os.NewSyscallError("connect", syscall.ECONNREFUSED)), flag: "UF", status: 503,
			body:    start + "remote connection failure, transport failure reason: delayed connect error: Connection refused",
			details: "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
			loss:    lossConnect,
		},
		{
			name: "no ports left", err: dialError(os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)), flag: "UF", status: 503,
			body:    start + "local connection failure, transport failure reason: delayed connect error: Cannot assign requested address",
			details: "upstream_reset_before_response_started{local_connection_failure|delayed_connect_error:_Cannot_assign_requested_address}",
			loss:    lossConnect,
		},
		{
			name: "dial timeout", err: dialError(timeout{}), flag: "UF", status: 503, body: start + "connection timeout",
			details: "upstream_reset_before_response_started{connection_timeout}", loss: lossConnect,
		},
		{
			name: "no such name", err: dialError(&net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}), flag: "UF", status: 503,
			body:    start + "remote connection failure, transport failure reason: DNS: no such host",
			details: "upstream_reset_before_response_started{remote_connection_failure|DNS:_no_such_host}", loss: lossConnect,
		},
		{
			name: "handshake", err: tls.AlertError(42), flag: "UF", status: 503,
			body:    start + "remote connection failure, transport failure reason: TLS_error: tls: bad certificate",
			details: "upstream_reset_before_response_started{remote_connection_failure|TLS_error:_tls:_bad_certificate}", loss: lossConnect,
		},
		{
			name: "broken before anything was sent", err: io.EOF, unsent: true, flag: "UF", status: 503,
			body: start + "remote connection failure", details: "upstream_reset_before_response_started{remote_connection_failure}", loss: lossConnect,
		},
		{
			name: "closed", err: io.ErrUnexpectedEOF, flag: "UC", status: 503, body: start + "connection termination",
			details: "upstream_reset_before_response_started{connection_termination}", loss: lossReset,
		},
		{
			name: "reset by peer", err: &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, flag: "UC", status: 503,
			body: start + "connection termination", details: "upstream_reset_before_response_started{connection_termination}", loss: lossReset,
		},
		{
			name: "unknown", err: errors.New("boom"), flag: "UC", status: 503, body: start + "connection termination",
			details: "upstream_reset_before_response_started{connection_termination}", loss: lossReset,
		},
		{
			name: "refused stream of x/net", err: errors.New("stream error: stream ID 3; REFUSED_STREAM; received from peer"), flag: "UR", status: 503,
			body: start + "remote refused stream reset", details: "upstream_reset_before_response_started{remote_refused_stream_reset}", loss: lossRefused,
		},
		{
			name: "refused stream", err: streamError{3, http2RefusedStream, nil}, flag: "UR", status: 503,
			body: start + "remote refused stream reset", details: "upstream_reset_before_response_started{remote_refused_stream_reset}", loss: lossRefused,
		},
		{
			name: "reset stream", err: streamError{3, 2, nil}, flag: "UR", status: 503,
			body: start + "remote reset", details: "upstream_reset_before_response_started{remote_reset}", loss: lossReset,
		},
		{
			name: "protocol error on a stream", err: streamError{3, http2ProtocolError, nil}, flag: "UPE", status: 502,
			body: start + "protocol error", details: "upstream_reset_before_response_started{protocol_error}", loss: lossReset,
		},
		{
			name: "bad header", err: textproto.ProtocolError("malformed MIME header line: x"), flag: "UPE", status: 502,
			body: start + "protocol error", details: "upstream_reset_before_response_started{protocol_error}", loss: lossReset,
		},
		{
			name: "the transport's own timeout", err: timeout{}, flag: "UT", status: 504, body: "upstream request timeout",
			details: "response_timeout", loss: lossReset,
		},
		{
			name: "the transport gave up", err: context.Canceled, flag: "LR", status: 503, body: start + "local reset",
			details: "upstream_reset_before_response_started{local_reset}", loss: lossReset,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := Classify(tt.err, !tt.unsent)
			type facts struct {
				Flag    string
				Status  int
				Body    string
				Details string
				Loss    loss
			}
			got := facts{e.Flag, e.Status, e.Body, e.Details, lossOf(e)}
			if diff := cmp.Diff(got, facts{tt.flag, tt.status, tt.body, tt.details, tt.loss}); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
			if e != own && !errors.Is(e, tt.err) && !errors.Is(tt.err, e) {
				t.Error("the cause is lost")
			}
		})
	}
	if e := Classify(nil, true); e != nil {
		t.Errorf("of no error: got %v", e)
	}
}

// serveRaw answers every connection with what f does to it, once a request has been read.
func serveRaw(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skipf("no loopback: %v", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				f(c)
			}
			c.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return "http://" + ln.Addr().String()
}

// TestClassifyWire provokes over loopback the errors that net/http has no types for, so that a Go release that
// words them differently is noticed.
func TestClassifyWire(t *testing.T) {
	write := func(s string) func(net.Conn) { return func(c net.Conn) { io.WriteString(c, s) } }
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skipf("no loopback: %v", err)
	}
	closed.Close()
	quiet := log.New(io.Discard, "", 0)
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = quiet
	secure.StartTLS()
	defer secure.Close()
	open := httptest.NewUnstartedServer(http.NotFoundHandler())
	open.Config.ErrorLog = quiet
	open.Start()
	defer open.Close()
	h2 := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	h2.EnableHTTP2, h2.Config.ErrorLog = true, quiet
	h2.StartTLS()
	defer h2.Close()

	plain := &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: 100 * time.Millisecond}
	defer plain.CloseIdleConnections()
	tests := []struct {
		name string
		url  string
		via  http.RoundTripper
		flag string
	}{
		{"nobody listens", "http://" + closed.Addr().String(), plain, "UF"},
		{"closed without an answer", serveRaw(t, func(net.Conn) {}), plain, "UC"},
		{"closed in the headers", serveRaw(t, write("HTTP/1.1 200 OK\r\nX-A: b\r\n")), plain, "UC"},
		{"garbage", serveRaw(t, write("ceci n'est pas HTTP\r\n\r\n")), plain, "UPE"},
		{"bad status", serveRaw(t, write("HTTP/1.1 2x0 OK\r\n\r\n")), plain, "UPE"},
		{"bad version", serveRaw(t, write("HTTP/x 200 OK\r\n\r\n")), plain, "UPE"},
		{"bad header", serveRaw(t, write("HTTP/1.1 200 OK\r\nno colon\r\n\r\n")), plain, "UPE"},
		{"bad length", serveRaw(t, write("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n")), plain, "UPE"},
		{"headers too large", serveRaw(t, func(c net.Conn) {
			c.Write([]byte("HTTP/1.1 200 OK\r\nX: "))
			c.Write(bytes.Repeat([]byte("x"), 1<<20))
		}), &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 1 << 10}, "UPE"},
		{"silent", serveRaw(t, func(c net.Conn) { io.Copy(io.Discard, c) }), plain, "UT"},
		{"reset", serveRaw(t, func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }), plain, "UC"},
		{"unknown authority", secure.URL, plain, "UF"},
		{"plain HTTP for TLS", "https" + open.URL[4:], plain, "UF"},
		{"HTTP/2 stream reset", h2.URL, h2.Client().Transport, "UR"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), "GET", tt.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := tt.via.RoundTrip(req)
			if err == nil {
				resp.Body.Close()
				t.Fatal("got a response")
			}
			if e := Classify(err, true); e.Flag != tt.flag {
				t.Errorf("got %s for %T %v, want %s", e.Flag, err, err, tt.flag)
			}
		})
	}
}

func FuzzClassify(f *testing.F) {
	f.Add("stream error: stream ID 1; REFUSED_STREAM", true)
	f.Add("malformed HTTP response", false)
	f.Fuzz(func(t *testing.T, text string, wrote bool) {
		e := Classify(errors.New(text), wrote)
		if e.Flag == "" || e.Status < 502 || e.Status > 504 || e.Body == "" || e.Sentinel == nil {
			t.Errorf("%q: got %+v", text, e)
		}
	})
}
