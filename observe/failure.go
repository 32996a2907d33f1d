package observe

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// refusal is an error that knows how a sidecar would have told it.
type refusal interface {
	error
	ResponseFlag() string
	StatusCode() int
}

// Fail settles a client's call that got no answer. An error with ResponseFlag and StatusCode methods says
// itself how it is told. Others are told as a sidecar would: code 0 and DC where the caller left or had no
// more time, UF where no connection came about, UC where it broke, UPE where the upstream spoke no
// HTTP. A code or flag that the record already has is kept. A gRPC request counts with code 200 and the gRPC
// status that a sidecar would have answered.
func (c *Call) Fail(err error) {
	if c.settled.Load() {
		return
	}
	r := &c.Record
	code, flags, details := classify(c.ctx.Context, err)
	if r.Code == 0 && r.Flags&FlagDC == 0 {
		r.Code = code
	}
	if r.Flags&^(FlagDI|FlagURX) == 0 {
		r.Flags |= flags
	}
	if r.Details == "" {
		r.Details = details
	}
	if r.GRPC && r.Code != 0 {
		if r.GRPCStatus < 0 {
			r.GRPCStatus = answer.GRPCStatus(r.Code)
		}
		r.Code = http.StatusOK
	}
	if r.TransportFailure == "" && flags == FlagUF {
		r.TransportFailure = err.Error()
	}
	c.Settle(nil)
}

// classify says how a sidecar would have told an error.
func classify(ctx context.Context, err error) (code int, flags Flags, details string) {
	if said := refusal(nil); errors.As(err, &said) {
		if e := (*answer.Error)(nil); errors.As(err, &e) {
			details = e.Details
		}
		return said.StatusCode(), ParseFlags(said.ResponseFlag()), details
	}
	if ctx.Err() != nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return 0, FlagDC, "downstream_remote_disconnect"
	}
	const before = "upstream_reset_before_response_started"
	op := (*net.OpError)(nil)
	switch dial := errors.As(err, &op) && op.Op == "dial"; {
	case dial && op.Timeout():
		return http.StatusServiceUnavailable, FlagUF, before + "{connection_timeout}"
	case dial:
		return http.StatusServiceUnavailable, FlagUF, before + "{remote_connection_failure}"
	case isTLS(err):
		return http.StatusServiceUnavailable, FlagUF, before + "{remote_connection_failure}"
	case strings.Contains(err.Error(), "malformed HTTP"):
		return http.StatusBadGateway, FlagUPE, before + "{protocol_error}"
	}
	return http.StatusServiceUnavailable, FlagUC, before + "{connection_termination}"
}

// brokenOff notes what ended an answer that had begun.
func (r *Record) brokenOff(err error) {
	if r.Flags&(FlagDC|FlagUC|FlagUR|FlagUT|FlagUMSDR) != 0 {
		return
	}
	flag, details := FlagUC, "upstream_reset_after_response_started{connection_termination}"
	if said := refusal(nil); errors.As(err, &said) {
		flag, details = ParseFlags(said.ResponseFlag()), ""
	} else if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		flag, details = FlagDC, "downstream_remote_disconnect"
	}
	r.Flags |= flag
	if r.Details == "" {
		r.Details = details
	}
}
