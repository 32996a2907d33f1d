package mesh_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

// onePerHour lets one request through.
func onePerHour() *breaker.LocalRateLimit {
	return &breaker.LocalRateLimit{TokenBucket: breaker.TokenBucket{MaxTokens: 1, FillInterval: time.Hour}}
}

// oneAtATime serves one request at once, always.
func oneAtATime() *breaker.AdaptiveConcurrency {
	return &breaker.AdaptiveConcurrency{
		ConcurrencyLimitParams: breaker.ConcurrencyLimitParams{ConcurrencyUpdateInterval: time.Second, MaxConcurrencyLimit: 1},
		MinRTTCalcParams:       breaker.MinRTTCalcParams{FixedValue: time.Millisecond, MinConcurrency: 1},
	}
}

// logLines are an access log's records: "429 RL local_rate_limited".
func logLines(t *testing.T, b fmt.Stringer) []string {
	t.Helper()
	var list []string
	for line := range strings.Lines(b.String()) {
		var r struct {
			Code    int    `json:"response_code"`
			Flags   string `json:"response_flags"`
			Details string `json:"response_code_details"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprint(r.Code, " ", r.Flags, " ", r.Details))
	}
	return list
}

// A second request of two at once, the second one from within the first, as a client, the log and the debug page see it.
func TestInbound(t *testing.T) {
	tests := []struct {
		name   string
		in     mesh.Inbound
		header string
		code   int
		body   string
		want   string // in the log
		debug  string
	}{
		{"rate", mesh.Inbound{LocalRateLimit: onePerHour()}, "", 429, "local_rate_limited", "429 RL local_rate_limited",
			`{"localRateLimit":{"ok":1,"rateLimited":1}}`},
		{"rate, gRPC", mesh.Inbound{LocalRateLimit: onePerHour()}, "application/grpc", 200, "", "200 RL local_rate_limited",
			`{"localRateLimit":{"ok":1,"rateLimited":1}}`},
		{"concurrency", mesh.Inbound{AdaptiveConcurrency: oneAtATime()}, "", 503, "reached concurrency limit", "503 - reached_concurrency_limit", ""},
		{"admission", mesh.Inbound{AdmissionControl: &breaker.AdmissionControl{
			SRThreshold: 100, MaxRejectionProbability: 100, Rand: func() float64 { return 0 }, SuccessCriteria: breaker.SuccessCriteria{HTTP: []breaker.StatusRange{{Start: 599, End: 600}}},
		}}, "", 503, "", "503 - denied_by_admission_control",
			`{"admissionControl":{"requests":1,"successes":0,"rejectionProbability":0.5,"rqRejected":1}}`},
		{"concurrency counts as a failure for admission", mesh.Inbound{AdaptiveConcurrency: oneAtATime(), AdmissionControl: &breaker.AdmissionControl{}}, "", 503,
			"reached concurrency limit", "503 - reached_concurrency_limit", `"admissionControl":{"requests":2,"successes":1,`},
	}
	for _, tt := range tests {
		for _, edgy := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, ", gateway ", edgy), func(t *testing.T) {
				log := newBuffer()
				opts := &mesh.Options{AccessLog: slog.New(slog.NewJSONHandler(log, nil))}
				if edgy {
					opts.Extensions.Gateway = tt.in
				} else {
					opts.Extensions.Server = tt.in
				}
				second := httptest.NewRecorder()
				var h http.Handler
				incoming := func(path string) *http.Request {
					r := at(80, "GET", "http://a.com"+path)
					if tt.header != "" {
						r.Header.Set("Content-Type", tt.header)
					}
					return r
				}
				inner := tt.in.AdaptiveConcurrency != nil
				app := func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if r.URL.Path == "/outer" && inner {
							h.ServeHTTP(second, incoming("/inner"))
						}
						next.ServeHTTP(w, r)
					})
				}
				opts.Aspects.AfterAuthorization = []func(http.Handler) http.Handler{app}
				m := open(t, rules(edge(allHTTP), virtualNamed("a", "a.com", "gateways: [edge]", `[{directResponse: {status: 200, body: {string: hi}}}]`)), opts)
				if h = m.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})); edgy {
					h = m.Gateway("edge")
				}
				first := httptest.NewRecorder()
				h.ServeHTTP(first, incoming("/outer"))
				if !inner {
					h.ServeHTTP(second, incoming("/inner"))
				}
				if first.Code != 200 || second.Code != tt.code || second.Body.String() != tt.body {
					t.Errorf("got %d, then %d %q, want %d %q", first.Code, second.Code, second.Body, tt.code, tt.body)
				}
				_ = m.Close() // flushes the log
				if got := strings.Join(logLines(t, log), "\n"); !strings.Contains(got+"\n", tt.want+"\n") || strings.Count(got, "\n") != 1 {
					t.Errorf("got log\n%s\nwant two lines with %s", got, tt.want)
				}
				page := map[bool]string{false: "server", true: "gateway"}[edgy]
				if got := limitsOf(t, m)[page]; tt.debug != "" && !strings.Contains(string(got), tt.debug) {
					t.Errorf("got debug page %s, want %s", got, tt.debug)
				}
			})
		}
	}
}

// limitsOf is the debug page, compact, by its parts.
func limitsOf(t *testing.T, m *mesh.Mesh) map[string]json.RawMessage {
	t.Helper()
	w := httptest.NewRecorder()
	m.DebugHandler().ServeHTTP(w, httptest.NewRequest("GET", "/debug/mesh/limits", nil))
	var b bytes.Buffer
	if err := json.Compact(&b, w.Body.Bytes()); err != nil {
		t.Fatal(err)
	}
	parts := map[string]json.RawMessage{}
	if err := json.Unmarshal(b.Bytes(), &parts); err != nil {
		t.Fatal(err)
	}
	return parts
}

// What a client gets of a service whose requests are limited. Nothing is sent, nothing is tried again.
func TestOutbound(t *testing.T) {
	docs := rules(entry("a.com", "10.0.0.1 version=v1", "10.0.0.2 version=v2"), entry("b.com", "10.0.0.3"),
		destination("a.com", "subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]"),
		virtual("a.com", `[{match: [{uri: {prefix: /2}}], route: [{destination: {host: a.com, subset: v2}}]}, {route: [{destination: {host: a.com, subset: v1}}]}]`))
	fleet := meshtest.Fleet{"10.0.0.1:80": meshtest.Name("v1"), "10.0.0.2:80": meshtest.Name("v2"), "10.0.0.3:80": meshtest.Name("b"), "c.com:80": meshtest.Name("c")}
	tests := []struct {
		name  string
		hosts map[string]mesh.Outbound
		urls  []string
		want  []string
	}{
		{"a service with its subsets", map[string]mesh.Outbound{"a.com": {LocalRateLimit: onePerHour()}},
			[]string{"http://a.com/", "http://a.com/2", "http://b.com/"}, []string{"200 v1", "429 RL", "200 b"}},
		{"each service of a pattern", map[string]mesh.Outbound{"*.com": {LocalRateLimit: onePerHour()}},
			[]string{"http://a.com/", "http://b.com/", "http://b.com/"}, []string{"200 v1", "200 b", "429 RL"}},
		{"the most specific one holds", map[string]mesh.Outbound{"*": {LocalRateLimit: onePerHour()}, "b.com": {AdmissionControl: &breaker.AdmissionControl{}}},
			[]string{"http://b.com/", "http://b.com/", "http://a.com/", "http://a.com/"}, []string{"200 b", "200 b", "200 v1", "429 RL"}},
		{"a host that no rule names", map[string]mesh.Outbound{"c.com": {LocalRateLimit: onePerHour()}},
			[]string{"http://c.com/", "http://c.com/"}, []string{"200 c", "429 RL"}},
		{"a pattern is not for such", map[string]mesh.Outbound{"*": {LocalRateLimit: onePerHour()}},
			[]string{"http://c.com/", "http://c.com/"}, []string{"200 c", "200 c"}},
		{"admission", map[string]mesh.Outbound{"b.com": {AdmissionControl: &breaker.AdmissionControl{SuccessCriteria: breaker.SuccessCriteria{HTTP: []breaker.StatusRange{{Start: 500, End: 501}}}}}},
			[]string{"http://b.com/", "http://b.com/"}, []string{"200 b", "503"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts := &mesh.Options{Extensions: mesh.Extensions{Hosts: tt.hosts}, Rand: meshtest.Always(0)}
			m := open(t, docs, opts)
			client := clientOf(m, fleet)
			var got []string
			for _, url := range tt.urls {
				resp, err := client.Do(newRequest(t, "GET", url, nil))
				if err == nil {
					got = append(got, fmt.Sprint(resp.StatusCode, " ", strings.TrimSpace(drain(t, resp))))
					continue
				}
				got = append(got, verdict(err))
				if o := mesh.Outcome(nil, err); o == nil || o.Endpoint != "" || o.Attempts != 0 {
					t.Errorf("%s: got the outcome %+v", url, o)
				}
				if !errors.Is(err, breaker.ErrRateLimited) && !errors.Is(err, breaker.ErrAdmissionDenied) {
					t.Errorf("%s: got %v", url, err)
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// A refusal as the response of a sidecar, and what a limit has counted, over a reload.
func TestOutboundOverAReload(t *testing.T) {
	docs := func(most string) string {
		return rules(entry("a.com", "10.0.0.1"), destination("a.com", "trafficPolicy: {connectionPool: {tcp: {maxConnections: "+most+"}}}"))
	}
	m := open(t, docs("5"), &mesh.Options{LocalReplies: true, Extensions: mesh.Extensions{Hosts: map[string]mesh.Outbound{"*": {LocalRateLimit: onePerHour()}}}})
	client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("a")})
	if got := meshtest.Do(t, client, "GET", "http://a.com/"); got.Code != 200 {
		t.Errorf("got %+v", got)
	}
	if err := m.Update(meshtest.Rules(t, docs("7"))); err != nil { // another cluster
		t.Fatal(err)
	}
	got := meshtest.Do(t, client, "GET", "http://a.com/")
	if got.Code != 429 || got.Body != "local_rate_limited" || got.Header.Get("X-Envoy-Ratelimited") != "true" {
		t.Errorf("got %+v", got)
	}
	if got, want := string(limitsOf(t, m)["hosts"]), `[{"host":"a.com","localRateLimit":{"ok":1,"rateLimited":1}}]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := m.Update(nil); err != nil {
		t.Fatal(err)
	}
	if got := limitsOf(t, m)["hosts"]; got != nil {
		t.Errorf("after the service is gone: got %s", got)
	}
}

// The priority of a request that goes out is the context's.
func TestOutboundPriority(t *testing.T) {
	m := open(t, entry("a.com", "10.0.0.1"), &mesh.Options{Rand: meshtest.Always(0.5), Extensions: mesh.Extensions{Hosts: map[string]mesh.Outbound{
		"a.com": {AdmissionControl: &breaker.AdmissionControl{Priorities: []string{"high", "low"}, MaxRejectionProbability: 50}}}}})
	rt := m.Transport(meshtest.Fleet{"10.0.0.1:80": meshtest.Status(500)})
	var got []string
	for i := range 12 {
		name := []string{"high", "low"}[i%2]
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://a.com/", nil).WithContext(breaker.WithPriority(t.Context(), name)))
		if err != nil {
			got = append(got, name)
			continue
		}
		drain(t, resp)
	}
	if d := cmp.Diff([]string{"low", "low", "low", "low", "low", "low"}, got); d != "" {
		t.Error(d)
	}
}

func TestBadExtensions(t *testing.T) {
	bad := &breaker.LocalRateLimit{}
	_, err := mesh.New(nil, &mesh.Options{Workload: mesh.Workload{Namespace: "shop"}, Extensions: mesh.Extensions{
		Server:  mesh.Inbound{LocalRateLimit: bad, AdmissionControl: &breaker.AdmissionControl{SRThreshold: 200}},
		Gateway: mesh.Inbound{AdaptiveConcurrency: &breaker.AdaptiveConcurrency{MinRTTCalcParams: breaker.MinRTTCalcParams{FixedValue: 1}}},
		Hosts: map[string]mesh.Outbound{"": {}, "a": {}, "b": {LocalRateLimit: onePerHour()}, "b.shop.svc.cluster.local": {LocalRateLimit: onePerHour()},
			"c": {HealthCheck: &breaker.HealthCheck{}}},
	}})
	want := `mesh: extensions.server: breaker: localRateLimit.tokenBucket: empty and there are no descriptors, want one of them
breaker: admissionControl.srThreshold: 200 is not in 1..100
mesh: extensions.gateway: breaker: adaptiveConcurrency.concurrencyLimitParams.concurrencyUpdateInterval: 0s, want more than 0
mesh: extensions.hosts[]: empty, want the name of a host
mesh: extensions.hosts[a]: empty, want one of localRateLimit, admissionControl and healthCheck
mesh: extensions.hosts[b.shop.svc.cluster.local]: b.shop.svc.cluster.local is there already under another name
mesh: extensions.hosts[c]: breaker: healthCheck: none of httpHealthCheck and tcpHealthCheck is set, want one`
	if d := cmp.Diff(want, fmt.Sprint(err)); d != "" {
		t.Error(d)
	}
}

// ward is a fleet member that is well or not, and knows who asked.
type ward struct {
	ill    atomic.Bool
	checks atomic.Int32
	host   atomic.Value
}

func (h *ward) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" {
		h.checks.Add(1)
		h.host.Store(r.Host)
		if h.ill.Load() {
			w.WriteHeader(503)
		}
		return
	}
	_, _ = w.Write([]byte("served"))
}

// checkHealth has the mesh check health until the test ends.
func checkHealth(t *testing.T, m *mesh.Mesh, base http.RoundTripper) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.HealthCheck(ctx, base) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("HealthCheck: got %v, want the context's cause", err)
		}
	})
	synctest.Wait()
}

var asksHealth = mesh.Extensions{Hosts: map[string]mesh.Outbound{"*": {HealthCheck: &breaker.HealthCheck{
	Interval: 10 * time.Second, HTTPHealthCheck: &breaker.HTTPHealthCheck{Path: "/healthz"}}}}}

// Requests keep from endpoints that fail their checks, as long as the checks run, over updates.
func TestHealthCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b, c ward
		log := newBuffer()
		m := open(t, entry("a.com", "10.0.0.1", "10.0.0.2"), &mesh.Options{Extensions: asksHealth,
			Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, x slog.Attr) slog.Attr {
				if x.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return x
			}}))})
		fleet := meshtest.Fleet{"10.0.0.1:80": &a, "10.0.0.2:80": &b, "10.0.0.3:80": &c}
		client := clientOf(m, fleet)
		to := func() map[string]int {
			got := map[string]int{}
			for range 50 {
				resp, err := client.Do(newRequest(t, "GET", "http://a.com/", nil))
				if err != nil {
					got[verdict(err)]++
					continue
				}
				got[mesh.Outcome(resp, nil).Endpoint]++
				drain(t, resp)
			}
			for k, n := range got {
				got[k] = min(n, 1)
			}
			return got
		}
		both := map[string]int{"10.0.0.1:80": 1, "10.0.0.2:80": 1}
		a.ill.Store(true)
		if d := cmp.Diff(both, to()); d != "" {
			t.Error("nobody checks: ", d)
		}
		checkHealth(t, m, fleet)
		if d := cmp.Diff(map[string]int{"10.0.0.2:80": 1}, to()); d != "" {
			t.Error("one is ill: ", d)
		}
		if got := a.host.Load(); got != "a.com" {
			t.Errorf("got Host %v, want the service", got)
		}
		if err := m.HealthCheck(t.Context(), nil); !errors.Is(err, breaker.ErrRunning) {
			t.Errorf("a second one: got %v", err)
		}
		b.ill.Store(true)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if d := cmp.Diff(map[string]int{"503 UH": 1}, to()); d != "" {
			t.Error("both are ill: ", d)
		}
		clusters := debugPage(t, m, "clusters")
		for _, want := range []string{`"failing": true`, `"attempt": 4`, `"unhealthy": 2`} {
			if !strings.Contains(clusters, want) {
				t.Errorf("got %s, want %s", clusters, want)
			}
		}
		if err := m.Update(meshtest.Rules(t, rules(entry("a.com", "10.0.0.1", "10.0.0.3"), entry("b.com", "10.0.0.2")))); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if d := cmp.Diff(map[string]int{"10.0.0.3:80": 1}, to()); d != "" {
			t.Error("one is new: ", d)
		}
		if _, err := client.Do(newRequest(t, "GET", "http://b.com/", nil)); verdict(err) != "503 UH" {
			t.Errorf("the new cluster: got %v, want 503 UH", err)
		}
		a.ill.Store(false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if d := cmp.Diff(map[string]int{"10.0.0.1:80": 1, "10.0.0.3:80": 1}, to()); d != "" {
			t.Error("it is well again: ", d)
		}
		for _, want := range []string{
			`level=WARN msg="mesh: endpoint fails its health checks" cluster=outbound|80||a.com endpoint=10.0.0.1:80 cause=ACTIVE status=503 error="breaker: health check answered 503" firstCheck=true`,
			`level=WARN msg="mesh: endpoint fails its health checks" cluster=outbound|80||a.com endpoint=10.0.0.2:80 cause=ACTIVE status=503 error="breaker: health check answered 503" firstCheck=false`,
			`level=INFO msg="mesh: endpoint passes its health checks" cluster=outbound|80||a.com endpoint=10.0.0.1:80 firstCheck=false`,
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %s:\n%s", want, log)
			}
		}
	})
}

func debugPage(t *testing.T, m *mesh.Mesh, page string) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.DebugHandler().ServeHTTP(w, httptest.NewRequest("GET", "/debug/mesh/"+page, nil))
	return w.Body.String()
}

// Nobody knows how endpoints are once nobody checks; a closed mesh ends the checks.
func TestHealthCheckEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a ward
		a.ill.Store(true)
		m := open(t, entry("a.com", "10.0.0.1"), &mesh.Options{Extensions: asksHealth})
		fleet := meshtest.Fleet{"10.0.0.1:80": &a}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		done := make(chan error)
		go func() { done <- m.HealthCheck(ctx, fleet) }()
		synctest.Wait()
		client := clientOf(m, fleet)
		if _, err := client.Do(newRequest(t, "GET", "http://a.com/", nil)); verdict(err) != "503 UH" {
			t.Errorf("got %v, want 503 UH", err)
		}
		if err := <-done; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if got := meshtest.Do(t, client, "GET", "http://a.com/"); got.Code != 200 {
			t.Errorf("after the checks: got %+v", got)
		}
		go func() { done <- m.HealthCheck(context.Background(), fleet) }()
		synctest.Wait()
		_ = m.Close()
		if err := <-done; !errors.Is(err, mesh.ErrClosed) {
			t.Errorf("after Close: got %v", err)
		}
		if err := m.HealthCheck(context.Background(), fleet); !errors.Is(err, mesh.ErrClosed) {
			t.Errorf("on a closed mesh: got %v", err)
		}
	})
}

// Without a base the mesh's own connections are used, over TCP and over HTTP, to the addresses that DNS gives.
func TestHealthCheckOfOwnConnections(t *testing.T) {
	for _, spec := range []breaker.HealthCheck{{TCPHealthCheck: &breaker.TCPHealthCheck{}}, {HTTPHealthCheck: &breaker.HTTPHealthCheck{Path: "/healthz"}}} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			dialled := map[string]bool{}
			m := open(t, byDNS("a.com"), &mesh.Options{
				Extensions: mesh.Extensions{Hosts: map[string]mesh.Outbound{"a.com": {HealthCheck: &spec}}},
				LookupHost: func(context.Context, string) ([]string, error) { return []string{"10.0.0.1", "10.0.0.2"}, nil },
				Dial: func(_ context.Context, _, address string) (net.Conn, error) {
					mu.Lock()
					defer mu.Unlock()
					dialled[address] = true
					return nil, errors.New("refused")
				},
			})
			checkHealth(t, m, nil)
			mu.Lock()
			defer mu.Unlock()
			if d := cmp.Diff(map[string]bool{"10.0.0.1:80": true, "10.0.0.2:80": true}, dialled); d != "" {
				t.Error(d)
			}
			if got := debugPage(t, m, "clusters"); strings.Count(got, `"failing": true`) != 2 {
				t.Errorf("got %s", got)
			}
		})
	}
}

// A mesh without extensions waits with who asks it to check health.
func TestHealthCheckOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checkHealth(t, open(t, entry("a.com", "10.0.0.1"), nil), nil)
		time.Sleep(time.Hour)
	})
}

// Without extensions a handler is what it was.
func TestExtensionsAreOff(t *testing.T) {
	plain := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	cost := func(o *mesh.Options) float64 {
		h := open(t, "", o).Handler(plain)
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "http://a/", nil)
		return testing.AllocsPerRun(200, func() { h.ServeHTTP(w, r) })
	}
	off := cost(nil)
	limited := &breaker.LocalRateLimit{TokenBucket: breaker.TokenBucket{MaxTokens: 1e6, FillInterval: time.Second}}
	if on := cost(&mesh.Options{Extensions: mesh.Extensions{Server: mesh.Inbound{LocalRateLimit: limited}}}); on != off {
		t.Errorf("with a limit: got %v allocations, want as many as without, %v", on, off)
	}
}
