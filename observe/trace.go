package observe

import (
	"context"
	"net/http"
	"reflect"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// traces finds the tracer and the propagator to use. Globals are read anew for each request, as they may be
// set at any time; what they mean is worked out once for each value.
type traces struct {
	provider   trace.TracerProvider          // nil = the global one
	propagator propagation.TextMapPropagator // nil = the global one

	tracers     atomic.Pointer[tracerOf]
	propagators atomic.Pointer[propagatorOf]
}

type tracerOf struct {
	provider trace.TracerProvider
	tracer   trace.Tracer // nil if it records nothing
}

type propagatorOf struct{ given, used propagation.TextMapPropagator }

// w3c is what we use where nobody said otherwise.
var w3c propagation.TextMapPropagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{},
	propagation.Baggage{})

// tracer is the tracer to use now; nil if spans go nowhere.
func (t *traces) tracer() trace.Tracer {
	p := t.provider
	if p == nil {
		p = otel.GetTracerProvider()
	}
	if _, ok := p.(noop.TracerProvider); ok {
		return nil
	}
	if known := t.tracers.Load(); known != nil && same(known.provider, p) {
		return known.tracer
	}
	found := &tracerOf{provider: p}
	if !silent(p) {
		found.tracer = p.Tracer(module + "/observe")
	}
	t.tracers.Store(found)
	return found.tracer
}

// propagation is the propagator to use now.
func (t *traces) propagation() propagation.TextMapPropagator {
	if t.propagator != nil {
		return t.propagator
	}
	p := otel.GetTextMapPropagator()
	if known := t.propagators.Load(); known != nil && same(known.given, p) {
		return known.used
	}
	found := &propagatorOf{given: p, used: p}
	if len(p.Fields()) == 0 {
		found.used = w3c
	}
	t.propagators.Store(found)
	return found.used
}

// given takes what the options say; a placeholder for a global means the global.
func (t *traces) given(provider trace.TracerProvider, propagator propagation.TextMapPropagator) {
	if !placeholder(provider) {
		t.provider = provider
	}
	if !placeholder(propagator) {
		t.propagator = propagator
	}
}

// silent tells whether a provider is known to record nothing: OpenTelemetry's no-op, or its global one as
// long as nobody set another.
func silent(p trace.TracerProvider) bool {
	_, ok := p.(*noop.TracerProvider)
	return ok || placeholder(p)
}

// placeholder tells whether a value is what OpenTelemetry hands out for a global that nobody has set.
func placeholder(v any) bool {
	typ := reflect.TypeOf(v)
	return typ != nil && typ.Kind() == reflect.Pointer &&
		typ.Elem().PkgPath() == "go.opentelemetry.io/otel/internal/global"
}

// same compares two values of interfaces whose types may not be comparable; OpenTelemetry's composite
// propagator is a slice.
func same(a, b any) bool {
	switch v, w := reflect.ValueOf(a), reflect.ValueOf(b); {
	case reflect.TypeOf(a) != reflect.TypeOf(b):
		return false
	case v.Kind() == reflect.Slice:
		return v.UnsafePointer() == w.UnsafePointer() && v.Len() == w.Len()
	case v.Kind() == reflect.Pointer:
		return a == b
	default:
		return v.Comparable() && w.Comparable() && a == b
	}
}

// carrier reads and writes headers by the names that propagators use, without making new strings.
type carrier http.Header

// Get implements [propagation.TextMapCarrier].
func (c carrier) Get(name string) string { return http.Header(c).Get(canonical(name)) }

// Values implements [propagation.ValuesGetter].
func (c carrier) Values(name string) []string { return c[canonical(name)] }

// Set implements [propagation.TextMapCarrier].
func (c carrier) Set(name, value string) { http.Header(c).Set(canonical(name), value) }

// Keys implements [propagation.TextMapCarrier].
func (c carrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for k := range c {
		keys = append(keys, k)
	}
	return keys
}

func canonical(name string) string {
	switch name {
	case "traceparent":
		return "Traceparent"
	case "tracestate":
		return "Tracestate"
	case "baggage":
		return "Baggage"
	}
	return http.CanonicalHeaderKey(name)
}

var (
	clientKind = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient)}
	serverKind = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
)

// start begins the span of a request, if anybody wants it. A caller that decided not to sample is obeyed, as
// Istio does: the decision goes on with the trace context, and no span is made. A server trusts the
// headers; a client only where its context knows of no trace, which is where the application copied
// headers by hand.
func (o *Observer) start(ctx context.Context, r *Record, h http.Header) context.Context {
	parent := trace.SpanContextFromContext(ctx)
	if r.Reporter != ReporterSource || !parent.IsValid() {
		ctx = o.traces.propagation().Extract(ctx, carrier(h))
		parent = trace.SpanContextFromContext(ctx)
	}
	tracer := o.traces.tracer()
	if tracer == nil || parent.IsValid() && !parent.IsSampled() {
		return ctx
	}
	kind := clientKind
	if r.Reporter != ReporterSource {
		kind = serverKind
	}
	ctx, span := tracer.Start(ctx, r.Method, kind...)
	if span.IsRecording() {
		r.span = span
	}
	return ctx
}
