package observe

import (
	"log/slog"
	"strconv"
	"time"
)

// logTime is how Envoy writes the start time.
const logTime = "2006-01-02T15:04:05.000Z"

// logKeys are the keys of Istio's JSON access log, in the order of its text format.
var logKeys = [...]string{"start_time", "method", "path", "protocol", "response_code", "response_flags",
	"response_code_details", "connection_termination_details", "upstream_transport_failure_reason", "bytes_received",
	"bytes_sent", "duration", "upstream_service_time", "x_forwarded_for", "user_agent", "request_id", "authority",
	"upstream_host", "upstream_cluster", "upstream_local_address", "downstream_local_address",
	"downstream_remote_address", "requested_server_name", "route_name"}

// values are the values of logKeys. What is not known has the zero Value, which is nil.
func (r *Record) values(took time.Duration) (v [len(logKeys)]slog.Value) {
	details := r.Details
	if details == "" && r.Flags&^(FlagDI|FlagURX) == 0 && r.Code != 0 {
		details = "via_upstream"
	}
	path := r.Path
	if r.Query != "" {
		path += "?" + r.Query
	}
	upstream := slog.Value{}
	if r.UpstreamTime >= 0 && r.Code != 0 {
		upstream = slog.StringValue(strconv.FormatInt(r.UpstreamTime.Milliseconds(), 10))
	}
	return [...]slog.Value{
		slog.StringValue(r.Start.UTC().Format(logTime)), text(r.Method), text(path), text(r.Protocol),
		slog.IntValue(r.Code), slog.StringValue(r.Flags.String()), text(details), text(r.Termination),
		text(r.TransportFailure), slog.Int64Value(r.BytesReceived), slog.Int64Value(r.BytesSent),
		slog.Int64Value(took.Milliseconds()), upstream, text(r.ForwardedFor), text(r.UserAgent), text(r.RequestID),
		text(r.Authority), text(r.UpstreamHost), text(r.Cluster), text(r.UpstreamLocal), text(r.DownstreamLocal),
		text(r.DownstreamRemote), text(r.ServerName), text(r.RouteName),
	}
}

func text(s string) slog.Value {
	if s == "" {
		return slog.Value{}
	}
	return slog.StringValue(s)
}

// logged is the record as slog takes it.
func (r *Record) logged(took time.Duration) slog.Record {
	out := slog.NewRecord(r.Start.Add(took), slog.LevelInfo, "access", 0)
	values := r.values(took)
	attrs := make([]slog.Attr, len(logKeys))
	for i, k := range logKeys {
		attrs[i] = slog.Attr{Key: k, Value: values[i]}
	}
	out.AddAttrs(attrs...)
	return out
}
