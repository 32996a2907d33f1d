package observe

import (
	"cmp"
	"slices"
	"time"
)

// Graph is the traffic that one process saw: who talks to which service.
type Graph struct {
	// Edges are sorted by reporter, source and destination.
	Edges []Edge `json:"edges"`
}

// Edge is the traffic from one workload to one service, as one side saw it.
type Edge struct {
	// Reporter is "source" where this process made the requests, "destination" where it answered them.
	Reporter string `json:"reporter"`
	// Source and SourceNamespace name the workload that asks, or "unknown".
	Source          string `json:"source"`
	SourceNamespace string `json:"sourceNamespace"`
	// Service is the host that was asked, Workload and Namespace who answered.
	Service   string `json:"service"`
	Workload  string `json:"workload"`
	Version   string `json:"version"`
	Namespace string `json:"namespace"`
	// Requests counts the requests; Errors those with a code of 500 and more, or with none, or with a gRPC
	// status other than 0; MutualTLS those with certificates on both ends.
	Requests  uint64 `json:"requests"`
	Errors    uint64 `json:"errors"`
	MutualTLS uint64 `json:"mutualTLS"`
	// Mean, P50, P95 and P99 are durations, in nanoseconds in JSON. The quantiles are guessed from the
	// buckets of the histogram, as Prometheus does.
	Mean time.Duration `json:"mean"`
	P50  time.Duration `json:"p50"`
	P95  time.Duration `json:"p95"`
	P99  time.Duration `json:"p99"`
}

// Graph is the traffic so far, as the metrics count it: observers that share a registry share it. It is
// empty if Options.NoGraph said so.
func (o *Observer) Graph() Graph {
	g := Graph{Edges: []Edge{}}
	if o.table == nil {
		return g
	}
	sums := map[Edge]*totals{}
	errors := map[Edge]uint64{}
	for _, s := range o.table.snapshot() {
		id, t := s.key.edge(), s.totals()
		if sums[id] == nil {
			sums[id] = &totals{}
		}
		sums[id].merge(&t)
		if s.key.code == 0 || s.key.code >= 500 || s.key.grpc > 0 {
			errors[id] += t.count
		}
	}
	for e, t := range sums {
		e.Requests, e.Errors, e.MutualTLS = t.count, errors[e], t.mutual
		if t.count > 0 {
			e.Mean = time.Duration(t.nanoseconds / t.count)
		}
		e.P50, e.P95, e.P99 = t.quantile(0.50), t.quantile(0.95), t.quantile(0.99)
		g.Edges = append(g.Edges, e)
	}
	slices.SortFunc(g.Edges, func(a, b Edge) int {
		return cmp.Or(cmp.Compare(a.Reporter, b.Reporter), cmp.Compare(a.SourceNamespace, b.SourceNamespace),
			cmp.Compare(a.Source, b.Source), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.Workload, b.Workload), cmp.Compare(a.Version, b.Version))
	})
	return g
}

// edge is what tells the edge of a series from others.
func (k key) edge() Edge {
	src, dst, svc := k.source.values(), k.destination.values(), k.service.values()
	if k.overflow {
		svc.host = "overflow"
	}
	namespace := dst.namespace
	if namespace == unknown {
		namespace = svc.namespace
	}
	return Edge{Reporter: k.reporter.String(), Source: src.workload, SourceNamespace: src.namespace,
		Service: svc.host, Workload: dst.workload, Version: dst.version, Namespace: namespace}
}

func (t *totals) merge(u *totals) {
	for i := range buckets {
		t.duration[i] += u.duration[i]
		t.request[i] += u.request[i]
		t.response[i] += u.response[i]
	}
	t.count += u.count
	t.nanoseconds += u.nanoseconds
	t.bytesIn += u.bytesIn
	t.bytesOut += u.bytesOut
	t.mutual += u.mutual
}

// quantile guesses the duration that the share q of the requests did not exceed, evenly within a bucket.
func (t *totals) quantile(q float64) time.Duration {
	if t.count == 0 {
		return 0
	}
	rank, seen := q*float64(t.count), 0.0
	for i, n := range t.duration {
		if next := seen + float64(n); next >= rank && n > 0 && i < len(bounds) {
			low := int64(0)
			if i > 0 {
				low = times.bounds[i-1]
			}
			return time.Duration(float64(low) + float64(times.bounds[i]-low)*(rank-seen)/float64(n))
		}
		seen += float64(n)
	}
	return time.Duration(times.bounds[len(bounds)-1])
}
