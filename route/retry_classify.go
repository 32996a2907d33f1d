package route

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"syscall"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// Envoy's reasons for a stream that ended before the response began, as its answers spell them.
const (
	reasonConnect    = "remote connection failure"
	reasonLocal      = "local connection failure"
	reasonDialTime   = "connection timeout"
	reasonClosed     = "connection termination"
	reasonReset      = "remote reset"
	reasonRefused    = "remote refused stream reset"
	reasonLocalReset = "local reset"
	reasonProtocol   = "protocol error"
)

const (
	resetText   = "upstream connect error or disconnect/reset before headers. "
	timeoutText = "upstream request timeout"
)

// Classify tells what a sidecar would have answered in place of the error that a try ended with. An error that
// carries an answer already keeps it. wrote is false if no byte of the request can have gone out: what broke
// then was the connection's making; true if some may have. A dialer's errors are best wrapped in a
// [net.OpError] with the Op "dial", as package net does. Classify(nil, …) is nil.
func Classify(err error, wrote bool) *answer.Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*answer.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[refusal](err); ok {
		return &answer.Error{Sentinel: ErrUpstreamFailure, Flag: e.ResponseFlag(), Status: e.StatusCode(), Cause: err}
	}
	if reason, detail, ok := connectFailure(err, wrote); ok {
		return reset(answer.UpstreamFailure, reason, detail, err)
	}
	if flag, reason, ok := streamReset(err); ok {
		return reset(flag, reason, "", err)
	}
	switch {
	case isTimeout(err):
		return &answer.Error{
			Sentinel: ErrTimeout, Flag: answer.UpstreamTimeout, Status: http.StatusGatewayTimeout,
			Details: "response_timeout", Body: timeoutText, Cause: err,
		}
	case errors.Is(err, context.Canceled):
		return reset(localReset, reasonLocalReset, "", err)
	case isProtocol(err):
		return reset(answer.UpstreamProtocol, reasonProtocol, "", err)
	}
	return reset(answer.UpstreamClosed, reasonClosed, "", err)
}

// localReset is Envoy's flag for a stream that our side gave up.
const localReset = "LR"

// refusal is an error that tells itself what a sidecar would have answered.
type refusal interface {
	error
	ResponseFlag() string
	StatusCode() int
}

// reset is the answer for a stream that ended before the response began.
func reset(flag, reason, transport string, cause error) *answer.Error {
	e := &answer.Error{
		Sentinel: ErrUpstreamFailure, Flag: flag, Status: http.StatusServiceUnavailable,
		Body: resetText + "reset reason: " + reason, Details: reason, Cause: cause,
	}
	if flag == answer.UpstreamProtocol {
		e.Status = http.StatusBadGateway
	}
	if transport != "" {
		e.Body += ", transport failure reason: " + transport
		e.Details += "|" + transport
	}
	e.Details = "upstream_reset_before_response_started{" + strings.ReplaceAll(e.Details, " ", "_") + "}"
	return e
}

// connectFailure tells whether no connection came about, and why.
func connectFailure(err error, wrote bool) (reason, transport string, ok bool) {
	if why, ok := handshake(err); ok {
		return reasonConnect, "TLS_error: " + why, true
	}
	op, isOp := errors.AsType[*net.OpError](err)
	dial := isOp && (op.Op == "dial" || op.Op == "proxyconnect" || op.Op == "socks connect")
	if dns, isDNS := errors.AsType[*net.DNSError](err); isDNS && !dns.IsTimeout {
		return reasonConnect, "DNS: " + dns.Err, true
	} else if !dial && !isDNS && wrote {
		return "", "", false
	}
	if isTimeout(err) {
		return reasonDialTime, "", true
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		text := errno.Error()
		transport = "delayed connect error: " + strings.ToUpper(text[:1]) + text[1:]
		switch errno {
		case syscall.EADDRNOTAVAIL, syscall.EACCES, syscall.EPERM, syscall.EMFILE, syscall.ENFILE:
			return reasonLocal, transport, true
		}
		return reasonConnect, transport, true
	}
	if errors.Is(err, context.Canceled) {
		return "", "", false
	}
	return reasonConnect, "", true
}

// handshake tells whether the two sides did not agree on TLS, and why.
func handshake(err error) (why string, ok bool) {
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e.Err.Error(), true
	}
	if e, ok := errors.AsType[tls.AlertError](err); ok {
		return e.Error(), true
	}
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return e.Msg, true
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return e.Error(), true
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return e.Error(), true
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return e.Error(), true
	}
	return "", false
}

// streamError has the shape of net/http's own HTTP/2 stream error, which knows how to turn itself into one.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return "stream error" }

const (
	http2ProtocolError = 0x1
	http2RefusedStream = 0x7
)

// streamReset tells whether the upstream reset an HTTP/2 stream. golang.org/x/net's error, which we do not link,
// is known by its text.
func streamReset(err error) (flag, reason string, ok bool) {
	text := ""
	e, ok := errors.AsType[streamError](err)
	if !ok {
		if text = err.Error(); !strings.Contains(text, "stream error: stream ID ") {
			return "", "", false
		}
	}
	switch {
	case e.Code == http2RefusedStream || strings.Contains(text, "; REFUSED_STREAM"):
		return answer.UpstreamReset, reasonRefused, true
	case e.Code == http2ProtocolError || strings.Contains(text, "; PROTOCOL_ERROR"):
		return answer.UpstreamProtocol, reasonProtocol, true
	}
	return answer.UpstreamReset, reasonReset, true
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && e.Timeout()
}

// isProtocol tells whether the upstream's answer was not HTTP. Most of net/http's errors for it have no type.
func isProtocol(err error) bool {
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*http.ProtocolError](err); ok {
		return true
	}
	text := err.Error()
	for _, s := range []string{
		"malformed HTTP", "malformed MIME header", "malformed chunked encoding", "invalid header", "bad Content-Length",
		"unsupported transfer encoding", "too many transfer encodings", "server gave HTTP response to HTTPS client",
		"server response headers exceeded", "too many 1xx informational responses", "http2: response header list larger",
		"connection error: PROTOCOL_ERROR", "malformed response from server", "unexpected ALPN protocol",
	} {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}

// lossOf sorts the answer by what retries ask about.
func lossOf(e *answer.Error) loss {
	flag, _, _ := strings.Cut(e.Flag, ",")
	switch flag {
	case answer.UpstreamFailure:
		return lossConnect
	case answer.UpstreamReset:
		if strings.Contains(e.Details, "refused_stream") {
			return lossRefused
		}
		return lossReset
	case answer.UpstreamClosed, answer.UpstreamProtocol, answer.UpstreamTimeout, localReset:
		return lossReset
	}
	return lossFinal
}
