package observe_test

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/go-inmesh/inmesh/observe"
)

// recorder is a TracerProvider that keeps the spans that have ended.
type recorder struct {
	embedded.TracerProvider
	drop bool // samples nothing

	mu    sync.Mutex
	spans []*span
}

type tracer struct {
	embedded.Tracer
	*recorder
}

type span struct {
	noop.Span
	rec     *recorder
	name    string
	kind    trace.SpanKind
	parent  trace.SpanContext
	context trace.SpanContext
	attrs   map[string]any
	status  codes.Code
	ends    int
}

func (r *recorder) Tracer(string, ...trace.TracerOption) trace.Tracer { return tracer{recorder: r} }

func (t tracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	start := trace.NewSpanStartConfig(opts...)
	s := &span{rec: t.recorder, name: name, kind: start.SpanKind(), attrs: map[string]any{}}
	s.parent = trace.SpanContextFromContext(ctx)
	config := trace.SpanContextConfig{TraceID: s.parent.TraceID(), TraceFlags: trace.FlagsSampled}
	if t.drop {
		config.TraceFlags = 0
	}
	if !s.parent.IsValid() {
		_, _ = rand.Read(config.TraceID[:])
	}
	_, _ = rand.Read(config.SpanID[:])
	s.context = trace.NewSpanContext(config)
	return trace.ContextWithSpan(ctx, s), s
}

func (s *span) SpanContext() trace.SpanContext      { return s.context }
func (s *span) IsRecording() bool                   { return !s.rec.drop }
func (s *span) SetName(name string)                 { s.name = name }
func (s *span) SetStatus(code codes.Code, _ string) { s.status = code }
func (s *span) SetAttributes(kv ...attribute.KeyValue) {
	for _, a := range kv {
		s.attrs[string(a.Key)] = a.Value.AsInterface()
	}
}

func (s *span) End(...trace.SpanEndOption) {
	s.rec.mu.Lock()
	defer s.rec.mu.Unlock()
	if s.ends++; s.ends == 1 {
		s.rec.spans = append(s.rec.spans, s)
	}
}

// TestTree has a request pass through three services whose handlers copy no header.
func TestTree(t *testing.T) {
	rec := &recorder{}
	var ids []string
	service := func(name string, next http.Handler) http.Handler {
		o := newObserver(t, &observe.Options{TracerProvider: rec, MeshID: "mesh1",
			Workload: observe.Workload{Name: name, Namespace: "default", Labels: map[string]string{"app": name}}})
		mux := http.NewServeMux()
		mux.HandleFunc("GET /{page}", func(w http.ResponseWriter, req *http.Request) {
			ids = append(ids, req.Header.Get("X-Request-Id"), observe.RequestID(req.Context()))
			if next == nil {
				_, _ = io.WriteString(w, baggage.FromContext(req.Context()).Member("user").Value())
				return
			}
			client := &http.Client{Transport: o.Transport(serve(next))}
			out, _ := http.NewRequestWithContext(req.Context(), "GET", "http://next:9080/page?sig=secret&x=1", nil)
			resp, err := client.Do(out)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			_, _ = io.Copy(w, resp.Body)
		})
		return o.Handler(mux)
	}
	front := service("productpage", service("reviews", service("ratings", nil)))
	req := httptest.NewRequest("GET", "http://front/page", nil)
	req.Header.Set("Baggage", "user=jason")
	w := httptest.NewRecorder()
	front.ServeHTTP(w, req)
	if got := w.Body.String(); got != "jason" {
		t.Errorf("got baggage %q, want jason", got)
	}
	for _, id := range ids {
		if id != ids[0] || len(id) != 36 {
			t.Errorf("got request id %q, want %q", id, ids[0])
		}
	}
	// They end from the inside out: ratings' server, reviews' client, …
	var got []string
	for i, s := range rec.spans {
		got = append(got, s.kind.String()+" "+s.name+" "+s.attrs["istio.canonical_service"].(string))
		if i+1 < len(rec.spans) && s.parent.SpanID() != rec.spans[i+1].context.SpanID() {
			t.Errorf("span %d: the parent is not the next", i)
		}
		if s.context.TraceID() != rec.spans[0].context.TraceID() || s.ends != 1 {
			t.Errorf("span %d: another trace, or ended %d times", i, s.ends)
		}
	}
	want := []string{"server GET /{page} ratings", "client GET reviews", "server GET /{page} reviews",
		"client GET productpage", "server GET /{page} productpage"}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("-got +want:\n%s", diff)
	}
}

// serve is a transport that asks a handler.
func serve(h http.Handler) http.RoundTripper {
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		in := req.Clone(req.Context())
		in.RequestURI = req.URL.RequestURI()
		if in.Body == nil {
			in.Body = http.NoBody
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, in.WithContext(context.WithValue(context.Background(), http.ServerContextKey, "")))
		return w.Result(), nil
	})
}

func TestAttributes(t *testing.T) {
	const id = "84961386-6d84-4f1d-9b4f-1c5b5b5b5b5b"
	tests := []struct {
		name   string
		server bool
		change func(*observe.Record)
		want   map[string]any
		status codes.Code
	}{
		{name: "client", change: func(r *observe.Record) {
			r.Code, r.Cluster, r.UpstreamHost, r.Attempts = 200, "outbound|9080||reviews", "10.0.0.7:9080", 3
			r.BytesSent, r.Operation = 7, "reviews:9080/*"
		}, want: map[string]any{
			"http.request.method": "GET", "server.address": "reviews", "server.port": int64(9080), "url.scheme": "http",
			"url.full": "http://reviews:9080/a%20b?x=1&sig=REDACTED", "http.response.status_code": int64(200),
			"network.protocol.version": "1.1", "network.peer.address": "10.0.0.7", "network.peer.port": int64(9080),
			"http.request.resend_count": int64(2), "user_agent.original": "curl",
			"component": "proxy", "guid:x-request-id": id, "http.url": "http://reviews:9080/a%20b?x=1&sig=REDACTED",
			"http.method": "GET", "http.protocol": "HTTP/1.1", "http.status_code": "200", "user_agent": "curl",
			"request_size": "0", "response_size": "7", "response_flags": "-", "downstream_cluster": "-",
			"upstream_cluster": "outbound|9080||reviews", "upstream_cluster.name": "outbound|9080||reviews",
			"peer.address": "10.0.0.7", "istio.canonical_service": "productpage", "istio.canonical_revision": "v1",
			"istio.namespace": "default", "istio.cluster_id": "Kubernetes",
		}},
		{name: "client refused", change: func(r *observe.Record) { r.Code, r.Flags = 503, observe.FlagUH }, status: codes.Error,
			want: map[string]any{"error": true, "error.type": "UH", "response_flags": "UH", "http.status_code": "503"}},
		{name: "client gRPC", change: func(r *observe.Record) { r.Code, r.GRPC, r.GRPCStatus = 200, true, 14 },
			status: codes.Error, want: map[string]any{"error": true, "error.type": "14", "grpc.status_code": "14"}},
		{name: "client not found", change: func(r *observe.Record) { r.Code = 404 }, status: codes.Error,
			want: map[string]any{"error.type": "404"}},
		{name: "client without answer", change: func(*observe.Record) {}, status: codes.Error,
			want: map[string]any{"error.type": "_OTHER", "http.status_code": "0"}},
		{name: "odd method", change: func(r *observe.Record) { r.Code, r.Method = 200, "PURGE" },
			want: map[string]any{"http.request.method": "_OTHER", "http.request.method_original": "PURGE"}},
		{name: "aborted by rule", change: func(r *observe.Record) { r.Code, r.Flags = 200, observe.FlagFI },
			want: map[string]any{"response_flags": "FI"}},
		{name: "server", server: true, change: func(r *observe.Record) { r.Code = 404 }, want: map[string]any{
			"url.path": "/a%20b", "url.query": "x=1&sig=REDACTED", "url.scheme": "http", "client.address": "192.0.2.1",
			"network.peer.address": "192.0.2.1", "network.peer.port": int64(1234), "http.response.status_code": int64(404),
			"peer.address": "192.0.2.1", "server.address": "reviews", "server.port": int64(9080)}},
		{name: "server behind a proxy", server: true,
			change: func(r *observe.Record) { r.Code, r.ForwardedFor = 500, "203.0.113.9, 10.0.0.1" }, status: codes.Error,
			want: map[string]any{"client.address": "203.0.113.9", "error.type": "500", "error": true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := &recorder{}
			o := newObserver(t, &observe.Options{TracerProvider: rec, Workload: productpage})
			req := httptest.NewRequest("GET", "http://reviews:9080/a%20b?x=1&sig=abc", nil)
			req.Header.Set("User-Agent", "curl")
			req.Header.Set("X-Request-Id", id)
			c := &observe.Call{}
			if tt.server {
				o.StartServer(c, req)
			} else {
				o.StartClient(c, req)
			}
			tt.change(&c.Record)
			c.Settle(nil)
			c.Settle(nil)
			if len(rec.spans) != 1 {
				t.Fatalf("got %d spans, want 1", len(rec.spans))
			}
			s := rec.spans[0]
			got := s.attrs
			if tt.name != "client" { // compare those that are asked for
				got = map[string]any{}
				for k := range tt.want {
					got[k] = s.attrs[k]
				}
				if _, ok := s.attrs["error.type"]; ok != (tt.status == codes.Error) {
					t.Errorf("got error.type %v, want one with an error", s.attrs["error.type"])
				}
			} else if s.name != "reviews:9080/*" {
				t.Errorf("got name %q, want reviews:9080/*", s.name)
			}
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("-got +want:\n%s", diff)
			}
			if s.status != tt.status {
				t.Errorf("got status %v, want %v", s.status, tt.status)
			}
		})
	}
}

const (
	sampled   = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
)

func TestPropagation(t *testing.T) {
	tests := []struct {
		name     string
		provider trace.TracerProvider
		in       string
		spans    int
		out      string // of the traceparent; * for the trace id
	}{
		{name: "nobody traces", provider: noop.NewTracerProvider()},
		{name: "nobody traces, passed on", provider: noop.NewTracerProvider(), in: sampled, out: sampled},
		{name: "not set, passed on", in: sampled, out: sampled},
		{name: "decided not to sample", provider: &recorder{}, in: unsampled, out: unsampled},
		{name: "decided to sample", provider: &recorder{}, in: sampled, spans: 2,
			out: "00-4bf92f3577b34da6a3ce929d0e0e4736-*-01"},
		{name: "we begin", provider: &recorder{}, spans: 2, out: "00-*-*-01"},
		{name: "the sampler says no", provider: &recorder{drop: true}, out: "00-*-*-00"},
		{name: "broken header", provider: &recorder{}, in: "00-zz-01", spans: 2, out: "00-*-*-01"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := newObserver(t, &observe.Options{TracerProvider: tt.provider})
			var out http.Header
			next := o.Transport(roundTrip(func(req *http.Request) (*http.Response, error) {
				out = req.Header
				return &http.Response{StatusCode: 204, Header: http.Header{}}, nil
			}))
			h := o.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if _, err := next.RoundTrip(newRequest(t, "GET", "http://next/", nil).WithContext(req.Context())); err != nil {
					t.Error(err)
				}
			}))
			req := httptest.NewRequest("GET", "/", nil)
			if tt.in != "" {
				req.Header.Set("Traceparent", tt.in)
			}
			h.ServeHTTP(httptest.NewRecorder(), req)
			got := out.Get("Traceparent")
			parts, want := strings.Split(got, "-"), strings.Split(tt.out, "-")
			for i := range min(len(parts), len(want)) {
				if want[i] == "*" {
					parts[i] = "*"
				}
			}
			if s := strings.Join(parts, "-"); s != tt.out {
				t.Errorf("got traceparent %q, want %q", got, tt.out)
			}
			if rec, ok := tt.provider.(*recorder); ok && len(rec.spans) != tt.spans {
				t.Errorf("got %d spans, want %d", len(rec.spans), tt.spans)
			}
		})
	}
}

func TestClientReadsCopiedHeaders(t *testing.T) {
	rec := &recorder{}
	o := newObserver(t, &observe.Options{TracerProvider: rec})
	var out http.Header
	rt := o.Transport(roundTrip(func(req *http.Request) (*http.Response, error) {
		out = req.Header
		return &http.Response{StatusCode: 204, Header: http.Header{}}, nil
	}))
	req := newRequest(t, "GET", "http://next/", nil)
	req.Header.Set("Traceparent", sampled)
	req.Header.Set("X-Request-Id", "mine")
	if _, err := rt.RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	if got := rec.spans[0].parent.SpanID().String(); got != "00f067aa0ba902b7" {
		t.Errorf("got parent %s, want 00f067aa0ba902b7", got)
	}
	if out.Get("Traceparent") == sampled || out.Get("X-Request-Id") != "mine" {
		t.Errorf("got %v, want the span's own id and the request's", out)
	}
	if got := req.Header.Get("Traceparent"); got != sampled {
		t.Errorf("the caller's request was changed: %s", got)
	}
}

// odd is a provider whose values cannot be compared.
type odd struct {
	embedded.TracerProvider
	_    []int
	spy  *recorder
	list []int
}

func (o odd) Tracer(name string, opts ...trace.TracerOption) trace.Tracer {
	return o.spy.Tracer(name, opts...)
}

var unsetProvider, unsetPropagator = otel.GetTracerProvider(), otel.GetTextMapPropagator()

func TestGlobals(t *testing.T) {
	defer otel.SetTracerProvider(noop.NewTracerProvider())
	defer otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator())
	// What stands for the globals as long as nobody set them means the same as nil.
	o := newObserver(t, &observe.Options{TracerProvider: unsetProvider, Propagator: unsetPropagator})
	send := func() http.Header {
		c := &observe.Call{}
		o.StartClient(c, newRequest(t, "GET", "http://next/", nil))
		h := http.Header{}
		c.Outgoing(h)
		c.Settle(nil)
		return h
	}
	if h := send(); h.Get("Traceparent") != "" || len(h) != 1 {
		t.Errorf("got %v, want only a request id", h)
	}
	rec := &recorder{}
	otel.SetTracerProvider(rec)
	if h := send(); h.Get("Traceparent") == "" || len(rec.spans) != 1 {
		t.Errorf("got %v, want the global provider's trace", h)
	}
	otel.SetTracerProvider(odd{spy: rec, list: []int{1}})
	otel.SetTextMapPropagator(upper{})
	if h := send(); h.Get("Trace") == "" || h.Get("Traceparent") != "" || len(rec.spans) != 2 {
		t.Errorf("got %v, want the global propagator's header", h)
	}
	if send(); len(rec.spans) != 3 {
		t.Errorf("got %d spans, want 3", len(rec.spans))
	}
}

// upper writes the trace into a header of its own.
type upper struct{ propagation.TraceContext }

func (upper) Inject(ctx context.Context, c propagation.TextMapCarrier) {
	c.Set("trace", trace.SpanContextFromContext(ctx).TraceID().String())
}

func (upper) Fields() []string { return []string{"trace"} }

func TestNothingAllocatedForTracing(t *testing.T) {
	req := newRequest(t, "GET", "http://reviews:9080/reviews/0", nil)
	req.Header.Set("X-Request-Id", "given")
	for name, provider := range map[string]trace.TracerProvider{"none": nil, "no-op": noop.NewTracerProvider()} {
		o := newObserver(t, &observe.Options{TracerProvider: provider})
		calls, i := make([]observe.Call, 300), 0
		h := http.Header{"X-Request-Id": {"given"}}
		got := testing.AllocsPerRun(200, func() {
			c := &calls[i]
			i++
			o.StartClient(c, req)
			c.Outgoing(h)
			c.Record.Code, c.Record.Duration = 200, time.Second
			c.Settle(nil)
		})
		if got != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, got)
		}
	}
}
