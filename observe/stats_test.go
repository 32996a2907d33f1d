package observe_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/go-inmesh/inmesh/observe"
)

const cluster = "outbound|9080|v2|reviews.default.svc.cluster.local"

func TestCollector(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(observe.NewCollector(func() []observe.ClusterStats {
		return []observe.ClusterStats{{
			Cluster: cluster, Members: 1, Healthy: 2, Ejected: 3, Pending: 4, Active: 5, Connections: 6, Ejections: 7,
			EjectionsOverflow: 8, PendingOverflow: 9, ConnectionOverflow: 10, Requests: 11, Retries: 12, RetrySuccess: 13,
			RetryOverflow: 14, RetryExhausted: 15, Timeouts: 16, PerTryTimeouts: 17, ConnectFailures: 18,
		}}
	}))
	got := strings.ReplaceAll(strings.Join(samples(t, reg, "envoy_cluster_"), "\n"), `{cluster_name="`+cluster+`"}`, "")
	want := `envoy_cluster_membership_healthy 2
envoy_cluster_membership_total 1
envoy_cluster_outlier_detection_ejections_active 3
envoy_cluster_outlier_detection_ejections_enforced_total 7
envoy_cluster_outlier_detection_ejections_overflow_total 8
envoy_cluster_upstream_cx_active 6
envoy_cluster_upstream_cx_connect_fail_total 18
envoy_cluster_upstream_cx_overflow_total 10
envoy_cluster_upstream_rq_active 5
envoy_cluster_upstream_rq_pending_active 4
envoy_cluster_upstream_rq_pending_overflow_total 9
envoy_cluster_upstream_rq_per_try_timeout_total 17
envoy_cluster_upstream_rq_retry_limit_exceeded_total 15
envoy_cluster_upstream_rq_retry_overflow_total 14
envoy_cluster_upstream_rq_retry_success_total 13
envoy_cluster_upstream_rq_retry_total 12
envoy_cluster_upstream_rq_timeout_total 16
envoy_cluster_upstream_rq_total 11`
	if diff := cmp.Diff(strings.Split(got, "\n"), strings.Split(want, "\n")); diff != "" {
		t.Errorf("-got +want:\n%s", diff)
	}
}

func TestFeedsComeAndGo(t *testing.T) {
	reg := prometheus.NewRegistry()
	o := newObserver(t, &observe.Options{Registerer: reg})
	stop := o.AddClusters(func() []observe.ClusterStats {
		return []observe.ClusterStats{{Cluster: cluster}, {Cluster: cluster, Active: 3}, {Cluster: "a\nb"}, {}}
	})
	const name = "envoy_cluster_upstream_rq_active"
	want := []string{name + `{cluster_name="a_b"} 0`, name + `{cluster_name="` + cluster + `"} 3`,
		name + `{cluster_name="unknown"} 0`}
	if diff := cmp.Diff(samples(t, reg, name), want); diff != "" {
		t.Errorf("-got +want:\n%s", diff)
	}
	stop()
	stop()
	if got := samples(t, reg, name); len(got) != 0 {
		t.Errorf("got %v, want nothing any more", got)
	}
	silent := newObserver(t, nil)
	silent.AddClusters(nil)()
	silent.Reloaded(time.Second, nil)
}

func TestReloaded(t *testing.T) {
	reg := prometheus.NewRegistry()
	synctest.Test(t, func(t *testing.T) { // the time is that of 2000-01-01
		o := newObserver(t, &observe.Options{Registerer: reg})
		o.Reloaded(250*time.Millisecond, nil)
		time.Sleep(time.Hour)
		o.Reloaded(500*time.Millisecond, errors.New("bad rule"))
	})
	want := []string{"inmesh_reload_duration_seconds 0.5", "inmesh_reload_last_success_timestamp_seconds 9.466848e+08",
		`inmesh_reloads_total{result="failure"} 1`, `inmesh_reloads_total{result="success"} 1`}
	if diff := cmp.Diff(samples(t, reg, "inmesh_reload"), want); diff != "" {
		t.Errorf("-got +want:\n%s", diff)
	}
}

// TestNames lints all names. Istio's milliseconds are Istio's.
func TestNames(t *testing.T) {
	reg := prometheus.NewRegistry()
	o := newObserver(t, &observe.Options{Registerer: reg})
	o.AddClusters(func() []observe.ClusterStats { return []observe.ClusterStats{{}} })
	o.Finish(t.Context(), &observe.Record{})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if p.Metric != "istio_request_duration_milliseconds" && p.Metric != "envoy_cluster_membership_total" {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	got := samples(t, reg, "istio_build")
	if len(got) != 1 || !strings.HasPrefix(got[0], `istio_build{component="proxy",tag="`) {
		t.Errorf("got %v, want the build", got)
	}
}
