package observe

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// Observer tells about requests. It is safe for concurrent use.
type Observer struct {
	hub     *hub   // nil without metrics
	table   *table // nil where neither metrics nor graph are kept
	log     *queue // nil without an access log
	self    Peer
	service Service
	cluster string
	traces  traces
	tags    []attribute.KeyValue // of every span
	closed  atomic.Bool
}

// New makes an observer. A nil opts is the zero Options. It is an error if the registry holds somebody
// else's metric under one of our names.
func New(opts *Options) (*Observer, error) {
	if opts == nil {
		opts = &Options{}
	}
	o := &Observer{cluster: first(opts.Workload.Cluster, "Kubernetes"), service: opts.Service}
	own := opts.Workload
	own.Cluster = o.cluster
	o.self = o.Peer(own)
	o.traces.given(opts.TracerProvider, opts.Propagator)
	o.tags = spanTags(o.self.values(), opts.MeshID)
	switch {
	case opts.Registerer != nil:
		hub, err := register(opts)
		if err != nil {
			return nil, err
		}
		o.hub, o.table = hub, hub.table
	case !opts.NoGraph:
		o.table = newTable(opts.maxSeries(), newDescs().requests, opts.logger())
	}
	if opts.AccessLog != nil {
		o.log = newQueue(opts.AccessLog.Handler(), opts.accessLogQueue(), opts.logger(), o.hub)
	}
	return o, nil
}

// Close writes out the access log's queue and ends its goroutine. Requests that end later are not logged.
// Metrics and graph stay. It may be called more than once.
func (o *Observer) Close() error {
	if o.log != nil && !o.closed.Swap(true) {
		o.log.close()
	}
	return nil
}

// Finish tells about a request: metrics, graph, span, access log. ctx is handed to the access log's
// handler. Who follows a [Call] has no need of it. It does not allocate where no span is recorded.
func (o *Observer) Finish(ctx context.Context, r *Record) {
	took := r.Duration
	if took == 0 {
		took = time.Since(r.Start)
	}
	if o.table != nil {
		o.table.add(r, took)
	}
	if r.span != nil {
		o.endSpan(r, took)
	}
	if o.log != nil {
		o.log.put(ctx, r, took)
	}
}
