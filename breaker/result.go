package breaker

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strconv"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// Result is how one try at an endpoint ended, as outlier detection sees it: the status of the answer, or one
// of the negative values below where there was none. 0 means that it says nothing about the endpoint: the
// caller gave up, or we refused the request ourselves.
type Result int

// What may happen in place of an answer.
const (
	Ignored Result = 0
	// ConnectFailed means that there was no connection: refused, unreachable, timed out, TLS failed.
	ConnectFailed Result = -1
	// Reset means that there was a connection and it ended before the answer began.
	Reset Result = -2
	// TimedOut means that there was a connection and the answer did not begin in the time of the try.
	TimedOut Result = -3
)

// ResultOf is the result of a round trip. A gRPC status in the headers of the answer counts as the HTTP status
// that stands for it. A cancelled request is Ignored, and so is a refusal of ours (an error that tells a
// response flag), but for a timeout: that is the endpoint's.
func ResultOf(resp *http.Response, err error) Result {
	switch {
	case err != nil:
		return resultOfError(err)
	case resp == nil:
		return Ignored
	}
	if s := resp.Header["Grpc-Status"]; len(s) > 0 && resp.StatusCode == http.StatusOK {
		if code, err := strconv.Atoi(s[0]); err == nil {
			return Result(answer.HTTPStatus(code))
		}
	}
	return Result(resp.StatusCode)
}

func resultOfError(err error) Result {
	var refusal interface {
		error
		ResponseFlag() string
	}
	if errors.As(err, &refusal) && refusal.ResponseFlag() != answer.UpstreamTimeout {
		return Ignored
	}
	if errors.Is(err, context.Canceled) {
		return Ignored
	}
	if noConnection(err) {
		return ConnectFailed
	}
	var slow net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &slow) && slow.Timeout() {
		return TimedOut
	}
	return Reset
}

// noConnection tells whether dialling or the TLS handshake failed. The two op names are crypto/tls's for
// alerts, sent and received.
func noConnection(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "dial" || op.Op == "remote error" || op.Op == "local error") {
		return true
	}
	var record tls.RecordHeaderError
	var cert *tls.CertificateVerificationError
	return errors.As(err, &record) || errors.As(err, &cert)
}
