package observe

import (
	"context"
	"io"
	"log/slog"
	"sync"
)

// quoted are the fields that stand in quotes in Envoy's line; method, path and protocol share a pair.
var quoted = map[string]bool{"upstream_transport_failure_reason": true, "x_forwarded_for": true, "user_agent": true,
	"request_id": true, "authority": true, "upstream_host": true}

// Line writes a record as Envoy's default access log does, with the new line at its end. Control characters
// become underscores, so that no header can forge a line.
func Line(r *Record) string {
	return string(appendLine(nil, r.values(r.Duration)))
}

func appendLine(b []byte, values [len(logKeys)]slog.Value) []byte {
	for i, key := range logKeys {
		s := "-"
		if v := values[i]; v.Any() != nil {
			s = printable(v.String())
		}
		if i > 0 {
			b = append(b, ' ')
		}
		switch {
		case key == "start_time":
			b = append(append(append(b, '['), s...), ']')
		case key == "method":
			b = append(append(b, '"'), s...)
		case key == "protocol":
			b = append(append(b, s...), '"')
		case quoted[key]:
			b = append(append(append(b, '"'), s...), '"')
		default:
			b = append(b, s...)
		}
	}
	return append(b, '\n')
}

// NewLineHandler gives a handler for Options.AccessLog that writes Envoy's default text lines, each with one Write.
// Attributes that Istio's access log does not have are left out.
func NewLineHandler(w io.Writer) slog.Handler { return &lineHandler{w: w, mu: new(sync.Mutex)} }

type lineHandler struct {
	w  io.Writer
	mu *sync.Mutex
}

// Enabled implements [slog.Handler].
func (h *lineHandler) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements [slog.Handler].
func (h *lineHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup implements [slog.Handler].
func (h *lineHandler) WithGroup(string) slog.Handler { return h }

// Handle implements [slog.Handler].
func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var values [len(logKeys)]slog.Value
	r.Attrs(func(a slog.Attr) bool {
		for i, k := range logKeys {
			if a.Key == k {
				values[i] = a.Value
			}
		}
		return true
	})
	line := appendLine(make([]byte, 0, 512), values)
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.w.Write(line)
	return err
}
