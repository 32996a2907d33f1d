package observe_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/go-inmesh/inmesh/observe"
)

// BenchmarkFinish is the metrics of one request: 25 labels, a counter and three histograms.
func BenchmarkFinish(b *testing.B) {
	o, r := finishing(b)
	ctx := context.Background()
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		rec := r
		for b.Loop() {
			o.Finish(ctx, &rec)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			rec := r
			for pb.Next() {
				o.Finish(ctx, &rec)
			}
		})
	})
}

// BenchmarkTransport is a client's request over a fake upstream, observed or not.
func BenchmarkTransport(b *testing.B) {
	h := http.Header{"Content-Type": {"text/plain"}, "Content-Length": {"600"}, "Date": {"now"}}
	upstream := roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: h, Body: io.NopCloser(strings.NewReader("hello"))}, nil
	})
	run := func(rt http.RoundTripper) func(*testing.B) {
		return func(b *testing.B) {
			req := httptest.NewRequest("GET", "http://reviews:9080/reviews/0", nil)
			req.Header = http.Header{"User-Agent": {"curl"}, "Accept": {"*/*"}, "Accept-Encoding": {"gzip"}}
			b.ReportAllocs()
			for b.Loop() {
				resp, _ := rt.RoundTrip(req)
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		}
	}
	o, _ := finishing(b)
	b.Run("bare", run(upstream))
	b.Run("observed", run(o.Transport(upstream)))
}

// BenchmarkHandler is a server's request, observed or not.
func BenchmarkHandler(b *testing.B) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })
	run := func(h http.Handler) func(*testing.B) {
		return func(b *testing.B) {
			req := httptest.NewRequest("GET", "http://reviews:9080/reviews/0", nil)
			req.Header = http.Header{"User-Agent": {"curl"}, "Accept": {"*/*"}, "X-Request-Id": {"given"}}
			w := &discard{h: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, req)
			}
		}
	}
	o, _ := finishing(b)
	b.Run("bare", run(ok))
	b.Run("observed", run(o.Handler(ok)))
}

type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Flush()                      {}

// finishing is an observer with metrics only, and a record of a healthy request.
func finishing(tb testing.TB) (*observe.Observer, observe.Record) {
	tb.Helper()
	o, err := observe.New(&observe.Options{Registerer: prometheus.NewRegistry(), Workload: productpage})
	if err != nil {
		tb.Fatal(err)
	}
	return o, observe.Record{Start: time.Now(), Duration: 12 * time.Millisecond, Source: o.Self(),
		Destination: o.Peer(reviews), Code: 200, GRPCStatus: -1, BytesReceived: 120, BytesSent: 3000,
		DestinationService: observe.NewService("reviews.default.svc.cluster.local", "reviews", "default")}
}
