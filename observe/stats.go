package observe

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// ClusterStats is the state of one upstream cluster. It is told under Envoy's names, counters with the
// ending _total that Prometheus asks for.
//
// See https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats.
type ClusterStats struct {
	// Cluster is Envoy's name of the cluster, outbound|PORT|SUBSET|HOST.
	Cluster string

	// Members and Healthy count the endpoints and those that may be picked, Ejected those that outlier
	// detection holds back now.
	Members, Healthy, Ejected int64
	// Pending, Active and Connections count the requests that wait for a connection, those that run, and the
	// connections that are open.
	Pending, Active, Connections int64

	// Ejections counts the ejections that took place, EjectionsOverflow those that the percentage forbade.
	Ejections, EjectionsOverflow uint64
	// PendingOverflow counts requests refused because too many wait or run, ConnectionOverflow connections
	// refused because too many are open.
	PendingOverflow, ConnectionOverflow uint64
	// Requests counts attempts, Retries those that are not the first of their request.
	Requests, Retries uint64
	// RetrySuccess counts retries that helped, RetryOverflow those that limits forbade, RetryExhausted
	// requests that used up their retries.
	RetrySuccess, RetryOverflow, RetryExhausted uint64
	// Timeouts counts requests that ran out of time, PerTryTimeouts attempts, ConnectFailures connections
	// that failed.
	Timeouts, PerTryTimeouts, ConnectFailures uint64
}

// clusterMetric is one metric of a cluster.
type clusterMetric struct {
	name, help string
	kind       prometheus.ValueType
	value      func(*ClusterStats) float64
	add        func(sum, s *ClusterStats)
}

// clusterMetrics gives each field its name.
var clusterMetrics = []clusterMetric{
	gauge("membership_total", "Endpoints.", func(s *ClusterStats) *int64 { return &s.Members }),
	gauge("membership_healthy", "Endpoints that may be picked.", func(s *ClusterStats) *int64 { return &s.Healthy }),
	gauge("outlier_detection_ejections_active", "Endpoints that are ejected.",
		func(s *ClusterStats) *int64 { return &s.Ejected }),
	gauge("upstream_rq_pending_active", "Requests that wait for a connection.",
		func(s *ClusterStats) *int64 { return &s.Pending }),
	gauge("upstream_rq_active", "Requests that run.", func(s *ClusterStats) *int64 { return &s.Active }),
	gauge("upstream_cx_active", "Open connections.", func(s *ClusterStats) *int64 { return &s.Connections }),
	count("outlier_detection_ejections_enforced_total", "Ejections.",
		func(s *ClusterStats) *uint64 { return &s.Ejections }),
	count("outlier_detection_ejections_overflow_total", "Ejections that the percentage forbade.",
		func(s *ClusterStats) *uint64 { return &s.EjectionsOverflow }),
	count("upstream_rq_pending_overflow_total", "Requests refused because too many wait or run.",
		func(s *ClusterStats) *uint64 { return &s.PendingOverflow }),
	count("upstream_cx_overflow_total", "Connections refused because too many are open.",
		func(s *ClusterStats) *uint64 { return &s.ConnectionOverflow }),
	count("upstream_rq_total", "Attempts.", func(s *ClusterStats) *uint64 { return &s.Requests }),
	count("upstream_rq_retry_total", "Retries.", func(s *ClusterStats) *uint64 { return &s.Retries }),
	count("upstream_rq_retry_success_total", "Retries that helped.",
		func(s *ClusterStats) *uint64 { return &s.RetrySuccess }),
	count("upstream_rq_retry_overflow_total", "Retries that limits forbade.",
		func(s *ClusterStats) *uint64 { return &s.RetryOverflow }),
	count("upstream_rq_retry_limit_exceeded_total", "Requests that used up their retries.",
		func(s *ClusterStats) *uint64 { return &s.RetryExhausted }),
	count("upstream_rq_timeout_total", "Requests that ran out of time.",
		func(s *ClusterStats) *uint64 { return &s.Timeouts }),
	count("upstream_rq_per_try_timeout_total", "Attempts that ran out of time.",
		func(s *ClusterStats) *uint64 { return &s.PerTryTimeouts }),
	count("upstream_cx_connect_fail_total", "Connections that failed.",
		func(s *ClusterStats) *uint64 { return &s.ConnectFailures }),
}

func gauge(name, help string, field func(*ClusterStats) *int64) clusterMetric {
	return clusterMetric{name, help, prometheus.GaugeValue,
		func(s *ClusterStats) float64 { return float64(*field(s)) },
		func(sum, s *ClusterStats) { *field(sum) += *field(s) }}
}

func count(name, help string, field func(*ClusterStats) *uint64) clusterMetric {
	return clusterMetric{name, help, prometheus.CounterValue,
		func(s *ClusterStats) float64 { return float64(*field(s)) },
		func(sum, s *ClusterStats) { *field(sum) += *field(s) }}
}

func clusterDescs() []*prometheus.Desc {
	list := make([]*prometheus.Desc, len(clusterMetrics))
	for i, m := range clusterMetrics {
		list[i] = prometheus.NewDesc("envoy_cluster_"+m.name, m.help, []string{"cluster_name"}, nil)
	}
	return list
}

// collectClusters tells the clusters in the order of their names; states of one name are added up.
func collectClusters(out chan<- prometheus.Metric, descs []*prometheus.Desc, all []ClusterStats) {
	sums := map[string]*ClusterStats{}
	for i := range all {
		name := clean(all[i].Cluster)
		sum := sums[name]
		if sum == nil {
			sum = &ClusterStats{}
			sums[name] = sum
		}
		for _, m := range clusterMetrics {
			m.add(sum, &all[i])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		for i, m := range clusterMetrics {
			out <- prometheus.MustNewConstMetric(descs[i], m.kind, m.value(sums[name]), name)
		}
	}
}

// NewCollector tells the state of clusters to a registry of the caller's choice; read is called at each
// scrape and must be safe for concurrent use. A registry that an [Observer] tells its metrics to takes them
// by [Observer.AddClusters].
func NewCollector(read func() []ClusterStats) prometheus.Collector {
	return &clusterCollector{clusterDescs(), read}
}

type clusterCollector struct {
	descs []*prometheus.Desc
	read  func() []ClusterStats
}

// Describe implements [prometheus.Collector].
func (c *clusterCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *clusterCollector) Collect(out chan<- prometheus.Metric) {
	collectClusters(out, c.descs, c.read())
}
