package observe_test

import (
	"context"
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
