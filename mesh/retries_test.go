package mesh_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

// A retry looks for an endpoint that was not tried, whoever asks for the retry.
func TestRetriesAvoidTriedEndpoints(t *testing.T) {
	tests := []struct {
		name, retries string
		header        []string
		distinct      bool
	}{
		{"the rule", "retries: {attempts: 2, retryOn: 5xx}", nil, true},
		{"the caller, over the default", "", []string{"x-envoy-retry-on: 5xx", "x-envoy-max-retries: 2"}, true},
		{"the caller, where the rule has none", "retries: {attempts: 0}", []string{"x-envoy-retry-on: 5xx", "x-envoy-max-retries: 2"}, true},
		{"the rule says no", "retries: {attempts: 2, retryOn: 5xx, retryIgnorePreviousHosts: false}", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				route := to("a.com")
				if tt.retries != "" {
					route = tt.retries + ", " + route
				}
				m := open(t, rules(entry("a.com", "10.0.0.1", "10.0.0.2", "10.0.0.3"), destination("a.com", "trafficPolicy: {loadBalancer: {simple: RANDOM}}"),
					virtual("a.com", "[{"+route+"}]")), nil)
				var seen []string
				client := clientOf(m, roundTripper(func(r *http.Request) (*http.Response, error) {
					seen = append(seen, r.URL.Host)
					return respond(r, 503, ""), nil
				}))
				repeated := 0
				for range 100 {
					seen = nil
					meshtest.Do(t, client, "GET", "http://a.com/", tt.header...)
					if len(seen) != 3 {
						t.Fatalf("%d tries, want 3", len(seen))
					}
					if seen[0] == seen[1] || seen[1] == seen[2] || seen[0] == seen[2] {
						repeated++
					}
				}
				// With five redraws a third endpoint is missed once in a hundred times; left to chance, seven times in nine.
				if tt.distinct && repeated > 10 || !tt.distinct && repeated < 50 {
					t.Errorf("%d of 100 requests went to an endpoint twice", repeated)
				}
			})
		})
	}
}

// A budget bounds the retries that run by the requests that do, in place of maxRetries; what it forbids is answered as it
// came, with UO.
func TestRetryBudget(t *testing.T) {
	tests := []struct {
		name, policy string
		beside       int // requests that hang
		want         int // of 12 requests that fail
	}{
		{"20 % of 25", "retryBudget: {percent: 20, minRetryConcurrency: 1}", 24, 5},
		{"20 % of 24", "retryBudget: {percent: 20, minRetryConcurrency: 1}", 23, 4},
		{"at least 3", "retryBudget: {}", 4, 3},
		{"whatever maxRetries", "retryBudget: {percent: 100}, connectionPool: {http: {maxRetries: 1}}", 9, 10},
		{"maxRetries alone", "connectionPool: {http: {maxRetries: 4}}", 9, 4},
		{"neither", "", 0, 12},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				docs := []string{entry("a.com", "10.0.0.1"), virtual("a.com", "[{retries: {attempts: 1, retryOn: '503', backoff: 10s}, "+to("a.com")+"}]")}
				if tt.policy != "" {
					docs = append(docs, destination("a.com", "trafficPolicy: {"+tt.policy+"}"))
				}
				reg := prometheus.NewRegistry()
				m := open(t, rules(docs...), &mesh.Options{Rand: meshtest.Always(0.5), Registerer: reg})
				hang := make(chan struct{})
				client := clientOf(m, roundTripper(func(r *http.Request) (*http.Response, error) {
					switch {
					case r.URL.Path == "/hang":
						<-hang
					case r.Header.Get("X-Envoy-Attempt-Count") == "1":
						return respond(r, 503, ""), nil
					}
					return respond(r, 200, ""), nil
				}))
				var group sync.WaitGroup
				for range tt.beside {
					group.Go(func() { meshtest.Do(t, client, "GET", "http://a.com/hang") })
				}
				synctest.Wait()
				var retried, overflowed atomic.Int64
				for range 12 {
					group.Go(func() {
						resp, err := client.Do(newRequest(t, "GET", "http://a.com/", nil))
						if err != nil {
							t.Error(err)
							return
						}
						_ = resp.Body.Close()
						switch o := mesh.Outcome(resp, nil); {
						case o.Attempts == 2 && o.Code == 200 && o.Flags == "":
							retried.Add(1)
						case o.Attempts == 1 && o.Code == 503 && o.Flags == "UO":
							overflowed.Add(1)
						default:
							t.Errorf("got %+v", o)
						}
					})
					synctest.Wait() // it is in the pause before its retry, or over
				}
				close(hang)
				group.Wait()
				if int(retried.Load()) != tt.want || int(overflowed.Load()) != 12-tt.want {
					t.Errorf("%d retried and %d not, want %d and %d", retried.Load(), overflowed.Load(), tt.want, 12-tt.want)
				}
				if got := metric(t, reg, "envoy_cluster_upstream_rq_retry_overflow_total"); int64(got) != overflowed.Load() {
					t.Errorf("%v overflows are counted, want %d", got, overflowed.Load())
				}
			})
		})
	}
}

// clusterCounts are a cluster's figures, as the debug page has them.
func clusterCounts(t testing.TB, m *mesh.Mesh, name string) breaker.Counts {
	t.Helper()
	w := httptest.NewRecorder()
	m.DebugHandler().ServeHTTP(w, httptest.NewRequest("GET", "/debug/mesh/clusters", nil))
	var all []struct {
		Name   string
		Counts breaker.Counts
	}
	if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.Name == name {
			return c.Counts
		}
	}
	t.Fatalf("no cluster %s", name)
	return breaker.Counts{}
}

// The counters of retries and timeouts, by Envoy's names.
func TestRetryCounters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{timeout: 1s, retries: {attempts: 2, perTryTimeout: 300ms, retryOn: 5xx, backoff: 1ms}, "+to("a.com")+"}]")),
			&mesh.Options{Rand: meshtest.Always(0), Registerer: reg})
		n := 0
		answers := []int{200, 503, 200, 503, 503, 503, 0, 200, 0, 0, 0} // 0 hangs
		client := clientOf(m, roundTripper(func(r *http.Request) (*http.Response, error) {
			n++
			if code := answers[n-1]; code > 0 {
				return respond(r, code, ""), nil
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		}))
		want := []string{"", "", "URX", "", "UT,URX"}
		for i := range want {
			resp, err := client.Do(newRequest(t, "GET", "http://a.com/", nil))
			if o := mesh.Outcome(resp, err); o.Flags != want[i] {
				t.Errorf("request %d: %+v, want %q", i+1, o, want[i])
			}
			if err == nil {
				_ = resp.Body.Close()
			}
		}
		for name, want := range map[string]float64{"rq_total": 11, "rq_retry_total": 6, "rq_retry_success_total": 2, "rq_retry_limit_exceeded_total": 2,
			"rq_per_try_timeout_total": 4, "rq_timeout_total": 0, "rq_retry_overflow_total": 0} {
			if got := metric(t, reg, "envoy_cluster_upstream_"+name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{timeout: 1s, "+to("a.com")+"}]")), &mesh.Options{Registerer: reg})
		meshtest.Do(t, clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Hang}), "GET", "http://a.com/")
		if a, b := metric(t, reg, "envoy_cluster_upstream_rq_timeout_total"), metric(t, reg, "envoy_cluster_upstream_rq_per_try_timeout_total"); a != 1 || b != 0 {
			t.Errorf("%v requests and %v attempts ran out of time, want 1 and 0", a, b)
		}
	})
}

// TestRetryProperties plays random clients over random upstreams at a time: permits and places come back, and nobody has
// more attempts than the rule allows.
func TestRetryProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		attempts := rapid.IntRange(0, 3).Draw(rt, "attempts")
		retries := fmt.Sprintf("retries: {attempts: %d", attempts)
		if attempts > 0 {
			retries += fmt.Sprintf(", retryOn: 5xx, perTryTimeout: %dms", rapid.IntRange(1, 100).Draw(rt, "perTry"))
		}
		timeout := rapid.IntRange(1, 300).Draw(rt, "timeout")
		policy := fmt.Sprintf("connectionPool: {tcp: {maxConnections: %d}, http: {http1MaxPendingRequests: %d, maxRetries: %d}}",
			rapid.IntRange(1, 4).Draw(rt, "connections"), rapid.IntRange(1, 4).Draw(rt, "pending"), rapid.IntRange(1, 3).Draw(rt, "maxRetries"))
		if rapid.Bool().Draw(rt, "budget") {
			policy += ", retryBudget: {percent: 50, minRetryConcurrency: 1, budgetInterval: 10ms}"
		}
		hedge := fmt.Sprintf("inmesh/hedge-on-per-try-timeout: %q", fmt.Sprint(rapid.Bool().Draw(rt, "hedge")))
		if rapid.Bool().Draw(rt, "faults") {
			hedge += ", " + eachAttempt
		}
		clients := rapid.IntRange(1, 8).Draw(rt, "clients")
		work := rapid.SliceOfN(rapid.IntRange(0, 150), 8, 8).Draw(rt, "work")
		seed := rapid.Uint64().Draw(rt, "seed")
		synctest.Test(t, func(t *testing.T) {
			m := open(t, rules(entry("a.com", "10.0.0.1", "10.0.0.2"), destination("a.com", "trafficPolicy: {"+policy+"}"),
				annotated(hedge, fmt.Sprintf("[{timeout: %dms, %s}, fault: {delay: {fixedDelay: 20ms, percentage: {value: 20}}, abort: {httpStatus: 503, percentage: {value: 20}}}, %s}]", timeout, retries, to("a.com")))),
				&mesh.Options{Rand: meshtest.Seed(seed)})
			var n atomic.Int64
			serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				i := n.Add(1)
				select {
				case <-time.After(time.Duration(work[i%8]) * time.Millisecond):
				case <-r.Context().Done():
				}
				w.WriteHeader([]int{200, 503, 200, 500}[i%4])
			})
			client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": serve, "10.0.0.2:80": serve})
			var group sync.WaitGroup
			for range clients {
				group.Go(func() {
					resp, err := client.Do(newRequest(t, "GET", "http://a.com/", nil))
					o := mesh.Outcome(resp, err)
					if o.Attempts > 1+attempts {
						rt.Errorf("%d attempts, want at most %d", o.Attempts, 1+attempts)
					}
					if err == nil {
						_ = resp.Body.Close()
					} else if verdict(err) == "-" {
						rt.Errorf("got %v", err)
					}
				})
			}
			group.Wait()
			time.Sleep(time.Second)
			synctest.Wait()
			counts := clusterCounts(t, m, "outbound|80||a.com")
			if counts.Active != 0 || counts.Retries != 0 || counts.Pending != 0 {
				rt.Errorf("still held: %+v", counts)
			}
		})
	})
}
