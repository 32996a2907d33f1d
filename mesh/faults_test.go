package mesh_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

// A fault comes before the router: the route's timeout does not cover its delay, and its abort is not retried.
func TestFaultsComeBeforeTheRouter(t *testing.T) {
	const always = "percentage: {value: 100}"
	tests := []struct {
		name, http string
		upstream   http.Handler
		want       string
		took       time.Duration
		calls      int64
	}{
		{"a delay is not under the timeout", "timeout: 1s, fault: {delay: {fixedDelay: 5s, " + always + "}}", meshtest.Name("ok"), "ok", 5 * time.Second, 1},
		{"the timeout begins after the delay", "timeout: 1s, fault: {delay: {fixedDelay: 5s, " + always + "}}", meshtest.Hang, "504 UT", 6 * time.Second, 1},
		{"an abort is not retried", "retries: {attempts: 3, retryOn: 5xx}, fault: {abort: {httpStatus: 503, " + always + "}}", meshtest.Name("ok"), "503 fault filter abort", 0, 0},
		{"a delay is not repeated by retries", "retries: {attempts: 1, retryOn: 5xx, backoff: 1ms}, fault: {delay: {fixedDelay: 5s, " + always + "}}", meshtest.Status(503), "503", 5 * time.Second, 2},
		{"a delay, then an abort", "fault: {delay: {fixedDelay: 5s, " + always + "}, abort: {httpStatus: 418, " + always + "}}", meshtest.Name("ok"), "418 fault filter abort", 5 * time.Second, 0},
		{"no percentage is none", "fault: {delay: {fixedDelay: 5s}, abort: {httpStatus: 500}}", meshtest.Name("ok"), "ok", 0, 1},
		{"0 percent is none", "fault: {delay: {fixedDelay: 5s, percentage: {value: 0}}, abort: {httpStatus: 500, percentage: {value: 0}}}", meshtest.Name("ok"), "ok", 0, 1},
		{"the old percent of a delay", "fault: {delay: {fixedDelay: 5s, percent: 100}}", meshtest.Name("ok"), "ok", 5 * time.Second, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int64
				m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{"+tt.http+", route: [{destination: {host: a.com}}]}]")), &mesh.Options{Rand: meshtest.Always(0)})
				client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					calls.Add(1)
					tt.upstream.ServeHTTP(w, r)
				})})
				began := time.Now()
				if got := lineOf(meshtest.Do(t, client, "GET", "http://a.com/")); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				if took := time.Since(began); took != tt.took || calls.Load() != tt.calls {
					t.Errorf("took %v with %d calls upstream, want %v with %d", took, calls.Load(), tt.took, tt.calls)
				}
			})
		})
	}
}

// A fault on one route leaves the others alone, and hits preflights too.
func TestFaultsScope(t *testing.T) {
	m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", `[
	  {match: [{uri: {exact: /x}}], fault: {abort: {httpStatus: 418, percentage: {value: 100}}}, corsPolicy: {allowOrigins: [{exact: "*"}]}, route: [{destination: {host: a.com}}]},
	  {route: [{destination: {host: a.com}}]}]`)), nil)
	client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("ok")})
	if got := meshtest.Do(t, client, "GET", "http://a.com/"); got.Body != "ok" {
		t.Errorf("another route: %+v", got)
	}
	if got := meshtest.Do(t, client, "OPTIONS", "http://a.com/x", "origin: http://b.com", "access-control-request-method: PUT"); got.Code != 418 {
		t.Errorf("a preflight: %+v", got)
	}
}

// Aborted requests are nothing to outlier detection, and hold no place in the pool.
func TestFaultsAreNotTheEndpoints(t *testing.T) {
	m := open(t, rules(entry("a.com", "10.0.0.1"), destination("a.com", "trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}}"),
		virtual("a.com", `[{match: [{uri: {exact: /x}}], fault: {abort: {httpStatus: 500, percentage: {value: 100}}}, route: [{destination: {host: a.com}}]}, {route: [{destination: {host: a.com}}]}]`)), nil)
	client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("ok")})
	for range 5 {
		meshtest.Do(t, client, "GET", "http://a.com/x")
	}
	if got := meshtest.Do(t, client, "GET", "http://a.com/"); got.Body != "ok" {
		t.Errorf("got %+v", got)
	}
}

func TestFaultsEndWithTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{fault: {delay: {fixedDelay: 1h, percentage: {value: 100}}}, route: [{destination: {host: a.com}}]}]")), nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		resp, err := clientOf(m, meshtest.Fleet{}).Do(newRequest(t, "GET", "http://a.com/", nil).WithContext(ctx))
		if err == nil || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("got %v, %v after %v", resp, err, time.Since(began))
		}
		if got := mesh.Outcome(resp, err); got.Flags != "DI,DC" && got.Flags != "DI" {
			t.Errorf("flags %q", got.Flags)
		}
	})
}

func TestFaultsByShare(t *testing.T) {
	m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{fault: {abort: {httpStatus: 500, percentage: {value: 50}}}, route: [{destination: {host: a.com}}]}]")), nil)
	got := meshtest.Spread(t, clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("ok")}), 2000, "http://a.com/")
	if n := got["fault filter abort"]; n < 900 || n > 1100 || n+got["ok"] != 2000 {
		t.Errorf("got %v, want half and half", got)
	}
}

// The same seed gives the same story: splits, faults, endpoints and pauses.
func TestChanceCanBeRepeated(t *testing.T) {
	story := func(seed uint64) (lines []string) {
		synctest.Test(t, func(t *testing.T) {
			m := open(t, rules(entry("a.com", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"), virtual("a.com", `[{
			  fault: {delay: {fixedDelay: 1s, percentage: {value: 30}}, abort: {httpStatus: 500, percentage: {value: 30}}}, retries: {attempts: 2, retryOn: 5xx},
			  route: [{destination: {host: a.com}, weight: 1}, {destination: {host: a.com, subset: x}, weight: 1}]}]`),
				destination("a.com", "trafficPolicy: {loadBalancer: {simple: RANDOM}}, subsets: [{name: x}]")), &mesh.Options{Rand: meshtest.Seed(seed)})
			rt := m.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
				lines = append(lines, r.URL.Host)
				return respond(r, 503, ""), nil
			}))
			for range 50 {
				began := time.Now()
				resp, err := rt.RoundTrip(newRequest(t, "GET", "http://a.com/", nil))
				if err != nil {
					t.Fatal(err)
				}
				drain(t, resp)
				o := mesh.Outcome(resp, nil)
				lines = append(lines, fmt.Sprint(resp.StatusCode, o.Cluster, o.Flags, time.Since(began)))
			}
		})
		return lines
	}
	one, again, other := story(7), story(7), story(8)
	if diff := cmp.Diff(one, again); diff != "" {
		t.Errorf("the same seed differs:\n%s", diff)
	}
	if cmp.Equal(one, other) {
		t.Error("another seed makes no difference")
	}
}

// A timeout covers all tries and the pauses between them.
func TestTimeoutCoversRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{timeout: 5s, retries: {attempts: 9, perTryTimeout: 2s, retryOn: reset, backoff: 1ms}, route: [{destination: {host: a.com}}]}]")),
			&mesh.Options{Rand: meshtest.Always(0)})
		began := time.Now()
		got := meshtest.Do(t, clientOf(m, meshtest.Fleet{"10.0.0.1:80": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			meshtest.Hang.ServeHTTP(w, r)
		})}), "GET", "http://a.com/")
		if verdict(got.Err) != "504 UT" || calls.Load() != 3 || time.Since(began) != 5*time.Second {
			t.Errorf("got %v after %d tries in %v", got.Err, calls.Load(), time.Since(began))
		}
	})
}

// The timeout covers the body as well: it ends with a typed error.
func TestTimeoutInTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{timeout: 2s, route: [{destination: {host: a.com}}]}]")), nil)
		got := meshtest.Do(t, clientOf(m, meshtest.Fleet{"10.0.0.1:80": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("begin"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})}), "GET", "http://a.com/")
		if got.Code != 200 || got.Body != "begin" || verdict(got.Err) != "504 UT" {
			t.Errorf("got %+v", got)
		}
	})
}

// Outlier detection takes an endpoint out, and lets it back.
func TestEjection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := true
		m := open(t, rules(entry("a.com", "10.0.0.1", "10.0.0.2"), destination("a.com",
			"trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}, outlierDetection: {consecutive5xxErrors: 2, interval: 1s, baseEjectionTime: 10s, maxEjectionPercent: 50}}")), nil)
		client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("good"), "10.0.0.2:80": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if bad {
				w.WriteHeader(500)
			}
			_, _ = w.Write([]byte("bad"))
		})})
		if got := meshtest.Spread(t, client, 4, "http://a.com/"); got["bad"] != 2 {
			t.Errorf("before: %v", got)
		}
		if got := meshtest.Spread(t, client, 10, "http://a.com/"); got["good"] != 10 {
			t.Errorf("ejected: %v", got)
		}
		bad = false
		time.Sleep(12 * time.Second)
		if got := meshtest.Spread(t, client, 10, "http://a.com/"); got["bad"] != 5 {
			t.Errorf("back: %v", got)
		}
	})
}
