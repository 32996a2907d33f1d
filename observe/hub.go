package observe

import (
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// module is the path under which build information has our version.
const module = "github.com/go-inmesh/inmesh"

// descs describe the metrics.
type descs struct {
	requests, duration, requestBytes, responseBytes, build *prometheus.Desc
	overflow, dropped, reloads, reloadTime, reloaded       *prometheus.Desc
	clusters                                               []*prometheus.Desc // as clusterMetrics
}

func newDescs() *descs {
	d := &descs{
		requests: prometheus.NewDesc("istio_requests_total", "Requests, by what became of them.", labelNames, nil),
		duration: prometheus.NewDesc("istio_request_duration_milliseconds",
			"Duration of requests up to the end of the answer's body.", labelNames, nil),
		requestBytes: prometheus.NewDesc("istio_request_bytes", "Size of requests with their headers.", labelNames, nil),
		responseBytes: prometheus.NewDesc("istio_response_bytes", "Size of answers with their headers.",
			labelNames, nil),
		build: prometheus.NewDesc("istio_build", "Component and version, always 1.", []string{"component", "tag"}, nil),
		overflow: prometheus.NewDesc("inmesh_metric_overflow_total",
			"Requests counted in overflow series, for there were too many series.", nil, nil),
		dropped: prometheus.NewDesc("inmesh_access_log_dropped_total",
			"Access log records that were not written.", []string{"reason"}, nil),
		reloads: prometheus.NewDesc("inmesh_reloads_total", "Attempts to load rules, by result.",
			[]string{"result"}, nil),
		reloadTime: prometheus.NewDesc("inmesh_reload_duration_seconds", "How long the last attempt to load rules took.",
			nil, nil),
		reloaded: prometheus.NewDesc("inmesh_reload_last_success_timestamp_seconds",
			"When rules were last loaded with success.", nil, nil),
	}
	d.clusters = clusterDescs()
	return d
}

// hub is what one registry holds of all observers that share it.
type hub struct {
	*descs
	table *table
	tag   string

	dropped, failed    atomic.Uint64 // access log records
	succeeded, refused atomic.Uint64 // reloads
	took, last         atomic.Int64  // nanoseconds; since 1970, 0 = never

	mu    sync.Mutex
	feeds map[*feed]struct{}
}

// feed is one source of cluster states.
type feed struct{ read func() []ClusterStats }

// register finds or makes the hub of a registry.
func register(opts *Options) (*hub, error) {
	d := newDescs()
	h := &hub{descs: d, table: newTable(opts.maxSeries(), d.requests, opts.logger()), tag: version(),
		feeds: map[*feed]struct{}{}}
	err := opts.Registerer.Register(h)
	if err == nil {
		return h, nil
	}
	if are := (prometheus.AlreadyRegisteredError{}); errors.As(err, &are) {
		if old, ok := are.ExistingCollector.(*hub); ok {
			return old, nil
		}
	}
	return nil, fmt.Errorf("observe: registerer: it holds a foreign metric under one of Istio's names: %w", err)
}

// version is the tag of istio_build: that of the module as it was built into the program.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return unknown
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == module && m.Version != "" && m.Version != "(devel)" {
			return clean(m.Version)
		}
	}
	return unknown
}

// Describe implements [prometheus.Collector].
func (h *hub) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{h.requests, h.duration, h.requestBytes, h.responseBytes, h.build, h.overflow,
		h.descs.dropped, h.reloads, h.reloadTime, h.reloaded} {
		out <- d
	}
	for _, d := range h.clusters {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (h *hub) Collect(out chan<- prometheus.Metric) {
	for _, s := range h.table.snapshot() {
		t := s.totals()
		out <- &counter{h.requests, s, t.count}
		out <- &histogram{h.duration, s, float64(t.nanoseconds) / 1e6, &t.duration}
		out <- &histogram{h.requestBytes, s, float64(t.bytesIn), &t.request}
		out <- &histogram{h.responseBytes, s, float64(t.bytesOut), &t.response}
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(h.build, 1, "proxy", h.tag)
	count(h.overflow, h.table.overflow.Load())
	count(h.descs.dropped, h.dropped.Load(), "queue_full")
	count(h.descs.dropped, h.failed.Load(), "write_failed")
	count(h.reloads, h.succeeded.Load(), "success")
	count(h.reloads, h.refused.Load(), "failure")
	gauge(h.reloadTime, time.Duration(h.took.Load()).Seconds())
	gauge(h.reloaded, float64(h.last.Load())/1e9)
	collectClusters(out, h.clusters, h.readFeeds())
}

// readFeeds reads all cluster states, outside the lock, for reading them is foreign code.
func (h *hub) readFeeds() []ClusterStats {
	h.mu.Lock()
	feeds := slices.Collect(maps.Keys(h.feeds))
	h.mu.Unlock()
	var all []ClusterStats
	for _, f := range feeds {
		all = append(all, f.read()...)
	}
	return all
}

// AddClusters has the state of clusters told with the metrics; read is called at each scrape and must be
// safe for concurrent use. Observers that share a registry tell the sum. stop ends it. Without a registerer
// it does nothing.
func (o *Observer) AddClusters(read func() []ClusterStats) (stop func()) {
	if o.hub == nil {
		return func() {}
	}
	f := &feed{read}
	o.hub.mu.Lock()
	defer o.hub.mu.Unlock()
	o.hub.feeds[f] = struct{}{}
	return func() {
		o.hub.mu.Lock()
		defer o.hub.mu.Unlock()
		delete(o.hub.feeds, f)
	}
}

// Reloaded counts an attempt to load rules that took that long; err is why it failed, or nil.
func (o *Observer) Reloaded(took time.Duration, err error) {
	if o.hub == nil {
		return
	}
	o.hub.took.Store(int64(took))
	if err != nil {
		o.hub.refused.Add(1)
		return
	}
	o.hub.succeeded.Add(1)
	o.hub.last.Store(time.Now().UnixNano())
}
