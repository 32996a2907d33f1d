package observe_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/go-inmesh/inmesh/observe"
)

func TestGraph(t *testing.T) {
	for _, reg := range []prometheus.Registerer{nil, prometheus.NewRegistry()} {
		o := newObserver(t, &observe.Options{Registerer: reg, Workload: productpage})
		if b, err := json.Marshal(o.Graph()); string(b) != `{"edges":[]}` || err != nil {
			t.Errorf("got %s, %v, want no edges", b, err)
		}
		toReviews := observe.NewService("reviews.default.svc.cluster.local", "reviews", "default")
		for i := range 100 {
			r := observe.Record{Source: o.Self(), Destination: o.Peer(reviews), DestinationService: toReviews, Code: 200,
				Duration: 20 * time.Millisecond, MutualTLS: i%2 == 0}
			switch {
			case i < 4:
				r.Code = 503
			case i < 6:
				r.Code, r.Flags = 0, observe.FlagDC
			case i < 9:
				r.GRPC, r.GRPCStatus, r.Duration = true, 13, 2*time.Second
			case i < 20:
				r.GRPC = true
			}
			o.Finish(t.Context(), &r)
		}
		o.Finish(t.Context(), &observe.Record{Reporter: observe.ReporterDestination, Destination: o.Self(), Code: 404,
			Duration: 3 * time.Hour})
		ms := time.Millisecond
		want := observe.Graph{Edges: []observe.Edge{
			{Reporter: "destination", Source: "unknown", SourceNamespace: "unknown", Service: "unknown",
				Workload: "productpage-v1", Version: "v1", Namespace: "default", Requests: 1, Mean: 3 * time.Hour,
				P50: time.Hour, P95: time.Hour, P99: time.Hour},
			{Reporter: "source", Source: "productpage-v1", SourceNamespace: "default",
				Service: "reviews.default.svc.cluster.local", Workload: "reviews-v2", Version: "v2", Namespace: "default",
				Requests: 100, Errors: 9, MutualTLS: 50, Mean: (97*20*ms + 3*2*time.Second) / 100,
				P50: 17731958, P95: 24690721, P99: 2 * time.Second},
		}}
		if diff := cmp.Diff(o.Graph(), want); diff != "" {
			t.Errorf("-got +want:\n%s", diff)
		}
	}
	o := newObserver(t, &observe.Options{NoGraph: true})
	o.Finish(t.Context(), &observe.Record{})
	if got := o.Graph(); len(got.Edges) != 0 {
		t.Errorf("got %v, want no edges", got)
	}
}
