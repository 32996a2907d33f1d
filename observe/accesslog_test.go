package observe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/go-inmesh/inmesh/observe"
)

// lineLogger writes a warning's message and attributes to w.
func lineLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// logged is a record with everything in it.
func logged() observe.Record {
	return observe.Record{
		Start: time.Date(2026, 11, 22, 10, 20, 30, 456e6, time.UTC), Duration: 12345678, UpstreamTime: 11 * time.Millisecond,
		Method: "GET", Path: "/reviews/0", Query: "a=b", Protocol: "HTTP/1.1", Code: 200, BytesReceived: 3, BytesSent: 295,
		ForwardedFor: "10.1.2.3", UserAgent: "curl/8.0", RequestID: "84961386-6d84-4f1d-9b4f-1c5b5b5b5b5b",
		Authority: "reviews:9080", UpstreamHost: "10.0.0.7:9080",
		Cluster:       "outbound|9080|v2|reviews.default.svc.cluster.local",
		UpstreamLocal: "10.0.0.3:40002", DownstreamLocal: "10.96.0.9:9080", DownstreamRemote: "10.0.0.3:40001",
		ServerName: "outbound_.9080_._.reviews.default.svc.cluster.local", RouteName: "reviews-v2",
	}
}

func TestLine(t *testing.T) {
	const to = `"10.1.2.3" "curl/8.0" "84961386-6d84-4f1d-9b4f-1c5b5b5b5b5b" "reviews:9080" `
	const rest = `outbound|9080|v2|reviews.default.svc.cluster.local 10.0.0.3:40002 10.96.0.9:9080 10.0.0.3:40001 ` +
		`outbound_.9080_._.reviews.default.svc.cluster.local reviews-v2` + "\n"
	const start = `[2026-11-22T10:20:30.456Z] "GET /reviews/0?a=b HTTP/1.1" `
	refused := func(code int, flags, details string) func(*observe.Record) {
		return func(r *observe.Record) {
			r.Code, r.Flags, r.Details, r.BytesSent = code, observe.ParseFlags(flags), details, 0
			r.UpstreamTime, r.UpstreamHost = -1, ""
		}
	}
	tests := []struct {
		name   string
		change func(*observe.Record)
		want   string
	}{
		{"answered", func(*observe.Record) {},
			start + `200 - via_upstream - "-" 3 295 12 11 ` + to + `"10.0.0.7:9080" ` + rest},
		{"nothing known", func(r *observe.Record) { *r = observe.Record{Start: r.Start, UpstreamTime: -1} },
			`[2026-11-22T10:20:30.456Z] "- - -" 0 - - - "-" 0 0 0 - "-" "-" "-" "-" "-" - - - - - -` + "\n"},
		{"NR", refused(404, "NR", "route_not_found"), start + `404 NR route_not_found - "-" 3 0 12 - ` + to + `"-" ` + rest},
		{"NC", refused(503, "NC", "cluster_not_found"),
			start + `503 NC cluster_not_found - "-" 3 0 12 - ` + to + `"-" ` + rest},
		{"UH", refused(503, "UH", "no_healthy_upstream"),
			start + `503 UH no_healthy_upstream - "-" 3 0 12 - ` + to + `"-" ` + rest},
		{"UO", refused(503, "UO", "upstream_reset_before_response_started{overflow}"),
			start + `503 UO upstream_reset_before_response_started{overflow} - "-" 3 0 12 - ` + to + `"-" ` + rest},
		{"UF and URX", func(r *observe.Record) {
			refused(503, "URX,UF", "upstream_reset_before_response_started{remote_connection_failure}")(r)
			r.TransportFailure = "delayed connect error: 111"
		}, start + `503 UF,URX upstream_reset_before_response_started{remote_connection_failure} - ` +
			`"delayed connect error: 111" 3 0 12 - ` + to + `"-" ` + rest},
		{"UC", refused(503, "UC", "upstream_reset_before_response_started{connection_termination}"),
			start + `503 UC upstream_reset_before_response_started{connection_termination} - "-" 3 0 12 - ` +
				to + `"-" ` + rest},
		{"UR", refused(503, "UR", "upstream_reset_before_response_started{remote_reset}"),
			start + `503 UR upstream_reset_before_response_started{remote_reset} - "-" 3 0 12 - ` +
				to + `"-" ` + rest},
		{"UPE", refused(502, "UPE", "upstream_reset_before_response_started{protocol_error}"),
			start + `502 UPE upstream_reset_before_response_started{protocol_error} - "-" 3 0 12 - ` + to + `"-" ` + rest},
		{"UT", refused(504, "UT", "response_timeout"), start + `504 UT response_timeout - "-" 3 0 12 - ` + to + `"-" ` + rest},
		{"FI", refused(500, "FI", "fault_filter_abort"),
			start + `500 FI fault_filter_abort - "-" 3 0 12 - ` + to + `"-" ` + rest},
		{"DI", func(r *observe.Record) { r.Flags = observe.FlagDI },
			start + `200 DI via_upstream - "-" 3 295 12 11 ` + to + `"10.0.0.7:9080" ` + rest},
		{"RL", refused(429, "RL", "request_rate_limited"),
			start + `429 RL request_rate_limited - "-" 3 0 12 - ` + to + `"-" ` + rest},
		{"UAEX", refused(403, "UAEX", "ext_authz_denied"),
			start + `403 UAEX ext_authz_denied - "-" 3 0 12 - ` + to + `"-" ` + rest},
		{"denied", refused(403, "", "rbac_access_denied_matched_policy[none]"),
			start + `403 - rbac_access_denied_matched_policy[none] - "-" 3 0 12 - ` + to + `"-" ` + rest},
		{"DC", refused(0, "DC", "downstream_remote_disconnect"),
			start + `0 DC downstream_remote_disconnect - "-" 3 0 12 - ` + to + `"-" ` + rest},
		{"forged", func(r *observe.Record) { r.UserAgent, r.Path, r.Query = "a\n[forged]\u2028\xff", "/\x1b[31m", "" },
			`[2026-11-22T10:20:30.456Z] "GET /_[31m HTTP/1.1" 200 - via_upstream - "-" 3 295 12 11 ` +
				strings.Replace(to, "curl/8.0", "a_[forged]_\ufffd", 1) + `"10.0.0.7:9080" ` + rest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := logged()
			tt.change(&r)
			if diff := cmp.Diff(observe.Line(&r), tt.want); diff != "" {
				t.Errorf("-got +want:\n%s", diff)
			}
			// The handler for slog writes the same line.
			var b bytes.Buffer
			o := newObserver(t, &observe.Options{AccessLog: slog.New(observe.NewLineHandler(&b)).With("more", 1).WithGroup("g")})
			if r.Duration == 0 {
				r.Duration = 1
			}
			o.Finish(t.Context(), &r)
			_ = o.Close()
			if diff := cmp.Diff(b.String(), tt.want); diff != "" {
				t.Errorf("slog: -got +want:\n%s", diff)
			}
		})
	}
}

func TestJSONLog(t *testing.T) {
	var b bytes.Buffer
	o := newObserver(t, &observe.Options{AccessLog: slog.New(slog.NewJSONHandler(&b, nil))})
	r := logged()
	r.ServerName, r.Termination = "", ""
	o.Finish(t.Context(), &r)
	_ = o.Close()
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, b.String())
	}
	for _, key := range []string{"time", "level", "msg"} {
		if got[key] == nil {
			t.Errorf("no %s in %s", key, b.String())
		}
		delete(got, key)
	}
	want := map[string]any{
		"start_time": "2026-11-22T10:20:30.456Z", "method": "GET", "path": "/reviews/0?a=b", "protocol": "HTTP/1.1",
		"response_code": 200.0, "response_flags": "-", "response_code_details": "via_upstream",
		"connection_termination_details": nil, "upstream_transport_failure_reason": nil, "bytes_received": 3.0,
		"bytes_sent": 295.0, "duration": 12.0, "upstream_service_time": "11", "x_forwarded_for": "10.1.2.3",
		"user_agent": "curl/8.0", "request_id": "84961386-6d84-4f1d-9b4f-1c5b5b5b5b5b", "authority": "reviews:9080",
		"upstream_host": "10.0.0.7:9080", "upstream_cluster": "outbound|9080|v2|reviews.default.svc.cluster.local",
		"upstream_local_address": "10.0.0.3:40002", "downstream_local_address": "10.96.0.9:9080",
		"downstream_remote_address": "10.0.0.3:40001", "requested_server_name": nil, "route_name": "reviews-v2",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("keys %v -got +want:\n%s", slices.Sorted(maps.Keys(got)), diff)
	}
}

// slowHandler waits for its channel before each record.
type slowHandler struct {
	slog.Handler
	next chan struct{}
	seen int
}

func (h *slowHandler) Handle(ctx context.Context, r slog.Record) error {
	<-h.next
	h.seen++
	return h.Handler.Handle(ctx, r)
}

func TestLogDropsRatherThanWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		var log strings.Builder
		h := &slowHandler{Handler: slog.DiscardHandler, next: make(chan struct{})}
		h.Handler = slog.NewTextHandler(io.Discard, nil)
		o := newObserver(t, &observe.Options{Registerer: reg, AccessLog: slog.New(h), AccessLogQueue: 3,
			Logger: lineLogger(&log)})
		r := logged()
		o.Finish(t.Context(), &r)
		synctest.Wait() // the goroutine holds the first
		for range 5 {
			o.Finish(t.Context(), &r)
		}
		close(h.next)
		if err := errors.Join(o.Close(), o.Close()); err != nil {
			t.Error(err)
		}
		if h.seen != 4 {
			t.Errorf("got %d records, want 4", h.seen)
		}
		o.Finish(t.Context(), &r) // after Close
		want := `inmesh_access_log_dropped_total{reason="queue_full"} 3`
		if got := samples(t, reg, "inmesh_access_log_dropped_total"); got[0] != want {
			t.Errorf("got %s, want %s", got[0], want)
		}
		if got := strings.Count(log.String(), "records are dropped"); got != 1 {
			t.Errorf("got %d warnings, want 1: %s", got, log.String())
		}
	})
}

type fullDisk struct{ panics bool }

func (d fullDisk) Write([]byte) (int, error) {
	if d.panics {
		panic("no disk")
	}
	return 0, errors.New("no space left on device")
}

func TestLogThatFails(t *testing.T) {
	for _, disk := range []fullDisk{{false}, {true}} {
		reg := prometheus.NewRegistry()
		var log strings.Builder
		o := newObserver(t, &observe.Options{Registerer: reg, AccessLog: slog.New(observe.NewLineHandler(disk)),
			Logger: lineLogger(&log)})
		r := logged()
		for range 3 {
			o.Finish(t.Context(), &r)
		}
		_ = o.Close()
		want := `inmesh_access_log_dropped_total{reason="write_failed"} 3`
		if got := samples(t, reg, "inmesh_access_log_dropped_total"); got[1] != want {
			t.Errorf("got %s, want %s", got[1], want)
		}
		if got := strings.Count(log.String(), "cannot be written"); got != 1 {
			t.Errorf("got %d warnings, want 1: %s", got, log.String())
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("GET", "/a", "x\ny")
	f.Fuzz(func(t *testing.T, method, path, agent string) {
		r := observe.Record{Method: method, Path: path, UserAgent: agent}
		if line := observe.Line(&r); strings.Count(line, "\n") != 1 || strings.ToValidUTF8(line, "") != line {
			t.Errorf("got %q, want one line of UTF-8", line)
		}
	})
}
