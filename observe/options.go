package observe

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Options say where to tell what was seen. The zero value, as nil, tells nobody but still carries trace
// context and request ids on and keeps the live graph.
type Options struct {
	// Registerer takes the metrics; nil means none. Several observers may share one: they count together, within the
	// MaxSeries of the first.
	Registerer prometheus.Registerer
	// TracerProvider makes the spans; nil means OpenTelemetry's global one, also if it is set later.
	TracerProvider trace.TracerProvider
	// Propagator carries the trace context in headers; nil means OpenTelemetry's global one, also if it is set
	// later, and W3C trace context and baggage as long as none was set.
	Propagator propagation.TextMapPropagator
	// AccessLog gets one record a request, with Istio's JSON keys, from a goroutine of the observer's own that
	// [Observer.Close] ends; nil means no access log and no goroutine.
	AccessLog *slog.Logger
	// AccessLogQueue is how many records may wait for AccessLog; more are dropped and counted. 0 means 1024.
	AccessLogQueue int
	// Workload is who we are.
	Workload Workload
	// Service is the service that requests to our handler are meant for; the zero Service is not known.
	Service Service
	// MeshID names the mesh in spans; empty leaves it out.
	MeshID string
	// MaxSeries bounds the combinations of label values that are told apart. What comes later is counted in
	// overflow series. 0 means 5000.
	MaxSeries int
	// NoGraph switches the live graph off where there is no Registerer.
	NoGraph bool
	// Logger takes the observer's own warnings; nil means slog.Default().
	Logger *slog.Logger
}

func (o *Options) logger() *slog.Logger {
	if o.Logger != nil {
		return o.Logger
	}
	return slog.Default()
}

func (o *Options) maxSeries() int {
	if o.MaxSeries > 0 {
		return o.MaxSeries
	}
	return 5000
}

func (o *Options) accessLogQueue() int {
	if o.AccessLogQueue > 0 {
		return o.AccessLogQueue
	}
	return 1024
}
