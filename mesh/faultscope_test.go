package mesh_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

const eachAttempt = "inmesh/fault-scope: attempt"

// In the scope of attempts a fault is under timeouts and retries, and each attempt draws its own.
func TestFaultsOfAttempts(t *testing.T) {
	const always = "percentage: {value: 100}"
	const half = "percentage: {value: 50}"
	tests := []struct {
		name, http, contentType string
		draws                   []float64
		want, flags             string
		attempts, calls         int
		took                    time.Duration
	}{
		{"an abort is tried again", "retries: {attempts: 3, retryOn: 5xx, backoff: 1ms}, fault: {abort: {httpStatus: 503, " + half + "}}", "",
			[]float64{0, 0, 0, 0, 0.9}, "ok", "FI", 3, 1, 0}, // a draw of chance, one of the pause, twice
		{"to the end", "retries: {attempts: 2, retryOn: 5xx, backoff: 1ms}, fault: {abort: {httpStatus: 503, " + always + "}}", "", nil, "503 fault filter abort", "FI,URX", 3, 0, 0},
		{"not what is retried", "retries: {attempts: 2, retryOn: 5xx}, fault: {abort: {httpStatus: 404, " + always + "}}", "", nil, "404 fault filter abort", "FI", 1, 0, 0},
		{"by its status", "retries: {attempts: 2, retryOn: '404', backoff: 1ms}, fault: {abort: {httpStatus: 404, " + always + "}}", "", nil, "404 fault filter abort", "FI,URX", 3, 0, 0},
		{"by its gRPC status", "retries: {attempts: 2, retryOn: unavailable, backoff: 1ms}, fault: {abort: {grpcStatus: UNAVAILABLE, " + always + "}}", "application/grpc", nil, "", "FI,URX", 3, 0, 0},
		{"a delay is under the timeout", "timeout: 1s, fault: {delay: {fixedDelay: 5s, " + always + "}}", "", nil, "504 UT", "DI,UT", 1, 0, time.Second},
		{"a delay is under the attempt's timeout", "retries: {attempts: 1, perTryTimeout: 1s, retryOn: reset, backoff: 1ms}, fault: {delay: {fixedDelay: 5s, " + half + "}}", "",
			[]float64{0, 0, 0.9}, "ok", "DI", 2, 1, time.Second},
		{"a delay of each attempt", "retries: {attempts: 2, retryOn: 5xx, backoff: 1ms}, fault: {delay: {fixedDelay: 2s, " + always + "}, abort: {httpStatus: 500, " + always + "}}", "", nil,
			"500 fault filter abort", "DI,FI,URX", 3, 0, 6 * time.Second},
		{"none drawn", "fault: {abort: {httpStatus: 503, " + half + "}}", "", []float64{0.5}, "ok", "", 1, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := 0
				draw := func() float64 {
					if i >= len(tt.draws) {
						return 0
					}
					i++
					return tt.draws[i-1]
				}
				m := open(t, rules(entry("a.com", "10.0.0.1"), destination("a.com", "trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}, outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}}"),
					annotated(eachAttempt, "[{"+tt.http+", "+to("a.com")+"}]")), &mesh.Options{Rand: draw})
				i = 0 // making the mesh has drawn, too
				calls := 0
				client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					calls++
					meshtest.Name("ok").ServeHTTP(w, r)
				})})
				began := time.Now()
				resp, err := client.Do(newRequest(t, "POST", "http://a.com/", strings.NewReader("body"), "content-type: "+tt.contentType))
				o := mesh.Outcome(resp, err)
				a := meshtest.Answer{Err: err}
				if err == nil {
					a.Code, a.Body, a.Header = resp.StatusCode, drain(t, resp), resp.Header
				}
				if got := lineOf(a); got != tt.want || calls != tt.calls || time.Since(began) != tt.took {
					t.Errorf("got %q after %v with %d calls upstream, want %q after %v with %d", got, time.Since(began), calls, tt.want, tt.took, tt.calls)
				}
				if o.Flags != tt.flags || o.Attempts != tt.attempts {
					t.Errorf("flags %q, %d attempts; want %q, %d", o.Flags, o.Attempts, tt.flags, tt.attempts)
				}
				if _, told := a.Header["X-Envoy-Upstream-Service-Time"]; told != (tt.calls > 0) {
					t.Errorf("x-envoy-upstream-service-time: %v", a.Header)
				}
				// No endpoint has to answer for it.
				e, err := m.Explain(newRequest(t, "GET", "http://a.com/", nil))
				if err != nil || len(e.Destinations[0].Ejected) > 0 {
					t.Errorf("ejected: %+v, %v", e, err)
				}
			})
		})
	}
}

func TestFaultsOfAttemptsExplained(t *testing.T) {
	m := open(t, rules(entry("a.com", "10.0.0.1"), annotated(eachAttempt, "[{fault: {abort: {httpStatus: 503, percentage: {value: 10}}}, "+to("a.com")+"}]")), nil)
	e, err := m.Explain(newRequest(t, "GET", "http://a.com/", nil))
	if err != nil || e.Fault.Scope != "attempt" || !strings.Contains(e.String(), "503 for 10 % of each attempt") {
		t.Errorf("got %s, %v", e, err)
	}
}

// A delegate's annotation is the one that counts for its routes; without one it is the root's.
func TestFaultScopeOfDelegates(t *testing.T) {
	leaf := func(annotations string) string {
		return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: leaf, annotations: {" + annotations + "}}\nspec: {http: [{fault: {abort: {httpStatus: 503, percentage: {value: 100}}}, retries: {attempts: 1, retryOn: 5xx}, " + to("a.com") + "}]}\n"
	}
	for _, tt := range []struct {
		root, leaf string
		want       int
	}{{"a: b", eachAttempt, 2}, {eachAttempt, "a: b", 2}, {eachAttempt, "inmesh/fault-scope: request", 0}, {"a: b", "a: b", 0}} {
		m := open(t, rules(entry("a.com", "10.0.0.1"), annotated(tt.root, "[{delegate: {name: leaf}}]"), leaf(tt.leaf)), &mesh.Options{Rand: meshtest.Always(0)})
		resp, err := clientOf(m, meshtest.Fleet{}).Do(newRequest(t, "GET", "http://a.com/", nil))
		if err != nil {
			t.Fatal(err)
		}
		drain(t, resp)
		if o := mesh.Outcome(resp, nil); o.Attempts != tt.want || o.Code != 503 {
			t.Errorf("root %q, leaf %q: %d attempts, code %d; want %d, 503", tt.root, tt.leaf, o.Attempts, o.Code, tt.want)
		}
	}
}

// A mirror's copy meets no fault of the route's.
func TestFaultsOfAttemptsAndMirrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, rules(twins, annotated(eachAttempt, "[{fault: {abort: {httpStatus: 503, percentage: {value: 100}}}, mirror: {host: b.com}, "+to("a.com")+"}]")), nil)
		var copies atomic.Int64
		meshtest.Do(t, clientOf(m, meshtest.Fleet{"10.0.0.2:80": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { copies.Add(1) })}), "GET", "http://a.com/")
		synctest.Wait()
		if copies.Load() != 1 {
			t.Errorf("got %d copies, want 1", copies.Load())
		}
	})
}
