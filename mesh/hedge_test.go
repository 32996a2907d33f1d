package mesh_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

// annotated is a VirtualService for a.com with annotations, in flow style.
func annotated(annotations, http string) string {
	return strings.Replace(virtual("a.com", http), "metadata: {name: a.com}", "metadata: {name: a.com, annotations: {"+annotations+"}}", 1)
}

const hedging = `inmesh/hedge-on-per-try-timeout: "true"`

// three are three endpoints of a.com that take turns.
var three = rules(entry("a.com", "10.0.0.1", "10.0.0.2", "10.0.0.3"), destination("a.com", "trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}"))

// after answers with the endpoint's place in the order of attempts, after the time that the attempt has; a negative one
// hangs. It is safe for concurrent use.
type after struct {
	times []time.Duration

	mu    sync.Mutex
	n     int
	hosts []string
	began []time.Duration
	gone  int
	start time.Time
}

func (a *after) fleet() meshtest.Fleet {
	a.start = time.Now()
	f := meshtest.Fleet{}
	for i := 1; i <= 3; i++ {
		host := fmt.Sprintf("10.0.0.%d:80", i)
		f[host] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serve(host, w, r) })
	}
	return f
}

func (a *after) serve(host string, w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	a.mu.Lock()
	a.n++
	n := a.n
	a.hosts, a.began = append(a.hosts, host), append(a.began, time.Since(a.start))
	a.mu.Unlock()
	var done <-chan time.Time
	if d := a.times[min(n, len(a.times))-1]; d >= 0 {
		done = time.After(d)
	}
	select {
	case <-done:
		_, _ = fmt.Fprint(w, n)
	case <-r.Context().Done():
		a.mu.Lock()
		a.gone++
		a.mu.Unlock()
	}
}

func TestHedging(t *testing.T) {
	const ms = time.Millisecond
	const policy = "timeout: 5s, retries: {attempts: 2, perTryTimeout: 100ms, retryOn: 5xx, backoff: 1ms}, "
	tests := []struct {
		name, annotation, header string
		times                    []time.Duration
		want                     string
		began                    []time.Duration
		gone                     int
		took                     time.Duration
	}{
		{"the second answers first", hedging, "", []time.Duration{-1, 30 * ms}, "2", []time.Duration{0, 100 * ms}, 1, 130 * ms},
		{"the first after all", hedging, "", []time.Duration{150 * ms, -1}, "1", []time.Duration{0, 100 * ms}, 1, 150 * ms},
		{"all at once", hedging, "", []time.Duration{-1, -1, 10 * ms}, "3", []time.Duration{0, 100 * ms, 200 * ms}, 2, 210 * ms},
		{"none in time", hedging, "", []time.Duration{-1}, "504 UT,URX", []time.Duration{0, 100 * ms, 200 * ms}, 3, 5 * time.Second},
		{"not asked for", "a: b", "", []time.Duration{150 * ms, 10 * ms}, "2", []time.Duration{0, 100 * ms}, 1, 110 * ms},
		{"switched off", `inmesh/hedge-on-per-try-timeout: "false"`, "", []time.Duration{150 * ms, 10 * ms}, "2", []time.Duration{0, 100 * ms}, 1, 110 * ms},
		{"the caller asks", "a: b", "x-envoy-hedge-on-per-try-timeout: true", []time.Duration{150 * ms, -1}, "1", []time.Duration{0, 100 * ms}, 1, 150 * ms},
		{"the caller declines", hedging, "x-envoy-hedge-on-per-try-timeout: false", []time.Duration{150 * ms, 10 * ms}, "2", []time.Duration{0, 100 * ms}, 1, 110 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := open(t, rules(three, annotated(tt.annotation, "[{"+policy+to("a.com")+"}]")), &mesh.Options{Rand: meshtest.Always(0)})
				up := &after{times: tt.times}
				client := clientOf(m, up.fleet())
				header := []string{}
				if tt.header != "" {
					header = append(header, tt.header)
				}
				resp, err := client.Do(newRequest(t, "POST", "http://a.com/", strings.NewReader("body"), header...))
				o := mesh.Outcome(resp, err)
				got := verdict(err)
				if err == nil {
					got = drain(t, resp)
				}
				if took := time.Since(up.start); got != tt.want || took != tt.took {
					t.Errorf("got %s after %v, want %s after %v", got, took, tt.want, tt.took)
				}
				synctest.Wait()
				if diff := cmp.Diff(up.began, tt.began); diff != "" || up.gone != tt.gone {
					t.Errorf("%d given up, want %d; attempts (-got +want):\n%s", up.gone, tt.gone, diff)
				}
				if o.Attempts != len(tt.began) {
					t.Errorf("the outcome has %d attempts, want %d", o.Attempts, len(tt.began))
				}
				if err == nil && o.Endpoint != up.hosts[int(got[0]-'1')] {
					t.Errorf("the outcome names %s, of %v answered %s", o.Endpoint, up.hosts, got)
				}
				// Hedges avoid each other's endpoints.
				seen := map[string]bool{}
				for _, h := range up.hosts {
					if seen[h] {
						t.Errorf("%s was tried twice: %v", h, up.hosts)
					}
					seen[h] = true
				}
			})
		})
	}
}

// What was late counts as a timeout to outlier detection; what was given up for another counts as nothing.
func TestHedgingAndOutliers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		m := open(t, rules(entry("a.com", "10.0.0.1", "10.0.0.2", "10.0.0.3"),
			destination("a.com", "trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}, outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}}"),
			annotated(hedging, "[{retries: {attempts: 1, perTryTimeout: 100ms, retryOn: 5xx, backoff: 1ms}, "+to("a.com")+"}]")), &mesh.Options{Rand: meshtest.Always(0), Registerer: reg})
		up := &after{times: []time.Duration{120 * time.Millisecond, -1, 0}}
		client := clientOf(m, up.fleet())
		if got := meshtest.Do(t, client, "GET", "http://a.com/"); got.Body != "1" {
			t.Errorf("got %+v", got)
		}
		synctest.Wait()
		e, err := m.Explain(newRequest(t, "GET", "http://a.com/", nil))
		if err != nil {
			t.Fatal(err)
		}
		if d := e.Destinations[0]; !cmp.Equal(d.Ejected, []string{up.hosts[0]}) {
			t.Errorf("ejected %v, want the late %s alone", d.Ejected, up.hosts[0])
		}
		for name, want := range map[string]float64{"envoy_cluster_upstream_rq_per_try_timeout_total": 1, "envoy_cluster_upstream_rq_retry_success_total": 1,
			"envoy_cluster_upstream_rq_retry_total": 1, "envoy_cluster_upstream_rq_total": 2} {
			if got := metric(t, reg, name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
	})
}

// metric is the value of a metric of the only cluster that has it.
func metric(t testing.TB, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() == name && len(f.GetMetric()) == 1 {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// An aspect around attempts sees each of those that run at a time as its own.
func TestHedgingAspects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		seen := map[int]string{}
		m := open(t, rules(three, annotated(hedging, "[{retries: {attempts: 2, perTryTimeout: 100ms, retryOn: 5xx}, "+to("a.com")+"}]")), &mesh.Options{
			Aspects: mesh.Aspects{Attempt: []func(http.RoundTripper) http.RoundTripper{func(next http.RoundTripper) http.RoundTripper {
				return roundTripper(func(r *http.Request) (*http.Response, error) {
					c := mesh.CallFrom(r.Context())
					resp, err := next.RoundTrip(r)
					mu.Lock()
					defer mu.Unlock()
					seen[c.Attempts] = c.Endpoint
					if again := mesh.CallFrom(r.Context()); again.Attempts != c.Attempts || again.Endpoint != c.Endpoint || c.Endpoint != r.URL.Host {
						t.Errorf("%+v became %+v, sent to %s", c, again, r.URL.Host)
					}
					return resp, err
				})
			}}}})
		up := &after{times: []time.Duration{-1, -1, 10 * time.Millisecond}}
		meshtest.Do(t, clientOf(m, up.fleet()), "GET", "http://a.com/")
		synctest.Wait()
		if len(seen) != 3 || seen[1] == seen[2] || seen[2] == seen[3] {
			t.Errorf("got %v", seen)
		}
	})
}

func TestHedgingExplained(t *testing.T) {
	m := open(t, rules(three, annotated(hedging, "[{retries: {attempts: 2, perTryTimeout: 100ms}, "+to("a.com")+"}]")), nil)
	e, err := m.Explain(newRequest(t, "GET", "http://a.com/", nil))
	if err != nil || !e.Retries.Hedge || !strings.Contains(e.String(), "100ms per try, then another beside it") {
		t.Errorf("got %s, %v", e, err)
	}
}
