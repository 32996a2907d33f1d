package mesh_test

import (
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/go-inmesh/inmesh/mesh"
)

// still is an upstream that costs nothing: it answers the same thing every time.
func still() http.RoundTripper {
	resp := &http.Response{StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody}
	return roundTripper(func(*http.Request) (*http.Response, error) { return resp, nil })
}

// The cost of a call in allocations, of which machine and load make no difference. The budgets of perf.md are the
// most that is allowed; the numbers here are what it is, so that it does not grow unseen.
func TestAllocs(t *testing.T) {
	telemetry := &mesh.Options{Registerer: prometheus.NewRegistry(), TracerProvider: noop.NewTracerProvider(), Propagator: propagation.TraceContext{}}
	everything := rules(entry("a.com", "10.0.0.1 version=v1", "10.0.0.2 version=v1", "10.0.0.3 version=v2"),
		destination("a.com", `trafficPolicy: {connectionPool: {tcp: {maxConnections: 1000}, http: {http1MaxPendingRequests: 1000, http2MaxRequests: 1000}}, outlierDetection: {consecutive5xxErrors: 5}},
		  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]`))
	routed := virtual("a.com", "[{match: [{headers: {x-none: {exact: a}}}], directResponse: {status: 418}}, {route: [{destination: {host: a.com, subset: v1}, weight: 90}, {destination: {host: a.com, subset: v2}, weight: 10}]}]")
	limited := virtual("a.com", "[{timeout: 10s, retries: {attempts: 2, retryOn: 5xx}, route: [{destination: {host: a.com}}]}]")
	tests := []struct {
		name, rules string
		opts        *mesh.Options
		url         string
		want        float64
	}{
		{"passthrough", "", nil, "http://b.com/", 3},                                                 // must: at most 3
		{"passthrough, with rules for others", rules(everything, routed), nil, "http://b.com/", 3},   // must: at most 3
		{"routed, nothing else", entry("a.com", "10.0.0.1"), nil, "http://a.com/", 5},                // must: at most 8, aim: 4
		{"routed, everything on", rules(everything, routed), telemetry, "http://a.com/", 5},          // must: at most 8, aim: 4
		{"routed, with a timeout and retries", rules(everything, limited), nil, "http://a.com/", 12}, // must: at most 12
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := open(t, tt.rules, tt.opts)
			rt := m.Transport(still())
			req := newRequest(t, "GET", tt.url, nil, "accept: a", "user-agent: b", "x-a: c", "cookie: d=e")
			got := testing.AllocsPerRun(1000, func() {
				resp, err := rt.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
			})
			if got != tt.want {
				t.Errorf("got %v allocations, want %v", got, tt.want)
			}
		})
	}
}
