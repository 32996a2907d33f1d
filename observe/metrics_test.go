package observe_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/go-inmesh/inmesh/internal/answer"
	"github.com/go-inmesh/inmesh/observe"
)

var update = flag.Bool("update", false, "write the golden files anew")

var errNoHealthy = errors.New("no healthy upstream")

// kinds are requests of every kind; each has a golden file of its metrics.
var kinds = []struct {
	name string
	run  func(t *testing.T, o *observe.Observer)
}{
	{"source", func(t *testing.T, o *observe.Observer) {
		c, req := &observe.Call{}, newRequest(t, "POST", "http://reviews:9080/reviews/0", strings.NewReader("12345"))
		o.StartClient(c, req)
		toReviews(o, c)
		c.Record.MutualTLS = true
		_, _ = io.Copy(io.Discard, c.RequestBody(req.Body))
		resp := &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/plain"}}, ContentLength: 600,
			Body: io.NopCloser(strings.NewReader(strings.Repeat("x", 600)))}
		c.Response(resp)
		time.Sleep(30 * time.Millisecond)
		_, _ = io.Copy(io.Discard, resp.Body)
	}},
	{"destination", func(t *testing.T, o *observe.Observer) {
		h := o.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			observe.CallFrom(req.Context()).Record.Source = o.Peer(productpage)
			time.Sleep(7 * time.Millisecond)
			_, _ = io.WriteString(w, "hello")
		}))
		req := httptest.NewRequest("GET", "http://reviews:9080/reviews/0", nil)
		h.ServeHTTP(httptest.NewRecorder(), req)
	}},
	{"grpc", func(t *testing.T, o *observe.Observer) {
		c, req := &observe.Call{}, newRequest(t, "POST", "http://reviews:9080/reviews.Reviews/Get", nil)
		req.Header.Set("Content-Type", "application/grpc")
		o.StartClient(c, req)
		toReviews(o, c)
		resp := &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1,
			Body: io.NopCloser(strings.NewReader("\x00\x00\x00\x00\x02ab"))}
		c.Response(resp)
		resp.Trailer = http.Header{"Grpc-Status": {"5"}}
		_, _ = io.Copy(io.Discard, resp.Body)
	}},
	{"refused", func(t *testing.T, o *observe.Observer) {
		c, req := &observe.Call{}, newRequest(t, "GET", "http://reviews:9080/", nil)
		o.StartClient(c, req)
		toReviews(o, c)
		c.Record.Destination = observe.Peer{}
		c.Fail(fmt.Errorf("mesh: %w", &answer.Error{Sentinel: errNoHealthy, Flag: answer.NoHealthyUpstream, Status: 503,
			Details: "no_healthy_upstream"}))
	}},
	{"left", func(t *testing.T, o *observe.Observer) {
		ctx, cancel := context.WithCancel(t.Context())
		c, req := &observe.Call{}, newRequest(t, "GET", "http://reviews:9080/", nil).WithContext(ctx)
		o.StartClient(c, req)
		toReviews(o, c)
		time.Sleep(2 * time.Second)
		cancel()
		c.Fail(ctx.Err())
	}},
}

func newRequest(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func toReviews(o *observe.Observer, c *observe.Call) {
	c.Record.Destination = o.Peer(reviews)
	c.Record.DestinationService = observe.NewService("reviews.default.svc.cluster.local", "reviews", "default")
}

func TestExposition(t *testing.T) {
	for _, tt := range kinds {
		t.Run(tt.name, func(t *testing.T) {
			reg := prometheus.NewRegistry()
			synctest.Test(t, func(t *testing.T) {
				own := productpage
				if tt.name == "destination" {
					own = reviews
				}
				tt.run(t, newObserver(t, &observe.Options{Registerer: reg, Workload: own}))
			})
			got := exposition(t, reg, "istio_re")
			file := filepath.Join("testdata", tt.name+".prom")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(got, "\n"), strings.Split(string(want), "\n")); diff != "" {
				t.Errorf("-got +want:\n%s", diff)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	type timeout struct{ error }
	tests := []struct {
		name  string
		err   error
		grpc  bool
		flags observe.Flags // in the record before
		want  string
	}{
		{name: "dial", err: &net.OpError{Op: "dial", Err: errors.New("refused")}, want: "503 UF"},
		{name: "broken", err: io.ErrUnexpectedEOF, want: "503 UC"},
		{name: "not HTTP", err: errors.New(`net/http: HTTP/1.x transport connection broken: malformed HTTP response "x"`),
			want: "502 UPE"},
		{name: "left", err: context.Canceled, want: "0 DC"},
		{name: "own deadline", err: context.DeadlineExceeded, want: "0 DC"},
		{name: "says itself", err: &answer.Error{Sentinel: errNoHealthy, Flag: "UF,URX", Status: 503}, want: "503 UF,URX"},
		{name: "says nothing", err: &answer.Error{Sentinel: errNoHealthy, Status: 502}, want: "502 -"},
		{name: "as gRPC", err: &answer.Error{Sentinel: errNoHealthy, Flag: "UT", Status: 504}, grpc: true, want: "200 UT 14"},
		{name: "after a delay", err: io.EOF, flags: observe.FlagDI, want: "503 UC,DI"},
		{name: "known better", err: io.EOF, flags: observe.FlagUT, want: "503 UT"},
		{name: "another type", err: timeout{io.EOF}, want: "503 UC"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reg := prometheus.NewRegistry()
			o := newObserver(t, &observe.Options{Registerer: reg})
			c, req := &observe.Call{}, newRequest(t, "GET", "http://reviews:9080/", nil)
			if tt.grpc {
				req.Header.Set("Content-Type", "application/grpc+proto")
			}
			o.StartClient(c, req)
			c.Record.Flags = tt.flags
			c.Fail(tt.err)
			c.Fail(tt.err) // settled already
			line := samples(t, reg, "istio_requests_total")
			want := strings.Fields(tt.want + " ")
			status := ""
			if len(want) > 2 {
				status = want[2]
			}
			exp := fmt.Sprintf("response_code=%s response_flags=%s grpc_response_status=%s 1", want[0], want[1], status)
			if got := labels(t, line[0], "response_code", "response_flags", "grpc_response_status"); got != exp || len(line) != 1 {
				t.Errorf("got %s of %d, want %s", got, len(line), exp)
			}
		})
	}
}

func TestLabelsAreNeverEmptyOrBroken(t *testing.T) {
	reg := prometheus.NewRegistry()
	o := newObserver(t, &observe.Options{Registerer: reg})
	ctx := t.Context()
	o.Finish(ctx, &observe.Record{})
	o.Finish(ctx, &observe.Record{Code: -7, GRPC: true, GRPCStatus: 1 << 20, Flags: ^observe.Flags(0), Reporter: 9,
		Duration: -time.Second, BytesSent: -1, BytesReceived: -1 << 62})
	// These two differ only in what is cleaned away: one series, not a broken scrape.
	for _, name := range []string{"a\nb", "a\rb", "\xff", "\xfe", strings.Repeat("ü", 400), `quo"te\`} {
		o.Finish(ctx, &observe.Record{Duration: 1, Source: o.Peer(observe.Workload{Name: name}),
			DestinationService: observe.NewService(name, "", "")})
	}
	lines := samples(t, reg, "istio_requests_total")
	if len(lines) != 6 {
		t.Errorf("got %d series, want 6:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	for _, line := range lines {
		if n := strings.Count(line, `=""`); n > 1 || n == 1 && !strings.Contains(line, `grpc_response_status=""`) {
			t.Errorf("an empty label in %s", line)
		}
	}
}

func TestTwoObserversOneRegistry(t *testing.T) {
	reg := prometheus.NewRegistry()
	for _, r := range []prometheus.Registerer{reg, reg} {
		o := newObserver(t, &observe.Options{Registerer: r, Workload: productpage})
		o.Finish(t.Context(), &observe.Record{Duration: time.Second, Code: 200, Source: o.Self()})
		o.Reloaded(time.Second, nil)
		defer o.AddClusters(func() []observe.ClusterStats {
			return []observe.ClusterStats{{Cluster: "outbound|9080||reviews", Retries: 2, Active: 1}}
		})()
	}
	got := samples(t, reg, "istio_requests_total")
	if len(got) != 1 || !strings.HasSuffix(got[0], " 2") {
		t.Errorf("got %v, want one series that counts 2", got)
	}
	want := []string{`envoy_cluster_upstream_rq_retry_total{cluster_name="outbound|9080||reviews"} 4`}
	if diff := cmp.Diff(samples(t, reg, "envoy_cluster_upstream_rq_retry_total"), want); diff != "" {
		t.Errorf("-got +want:\n%s", diff)
	}
	want = []string{`inmesh_reloads_total{result="failure"} 0`, `inmesh_reloads_total{result="success"} 2`}
	if diff := cmp.Diff(samples(t, reg, "inmesh_reloads_total"), want); diff != "" {
		t.Errorf("-got +want:\n%s", diff)
	}
}

func TestTwoObserversBehindLabels(t *testing.T) {
	reg := prometheus.NewRegistry()
	wrapped := prometheus.WrapRegistererWith(prometheus.Labels{"zone": "a", "app": "x"}, reg)
	for range 2 {
		o := newObserver(t, &observe.Options{Registerer: wrapped})
		o.Finish(t.Context(), &observe.Record{Duration: time.Second})
	}
	got := samples(t, reg, "istio_requests_total")
	if want := "app=x zone=a reporter=source 2"; len(got) != 1 || labels(t, got[0], "app", "zone", "reporter") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestForeignMetric(t *testing.T) {
	for _, labels := range [][]string{nil, {"reporter"}} {
		reg := prometheus.NewRegistry()
		reg.MustRegister(prometheus.NewCounterVec(prometheus.CounterOpts{Name: "istio_requests_total"}, labels))
		_, err := observe.New(&observe.Options{Registerer: reg})
		if err == nil || !strings.HasPrefix(err.Error(), "observe: registerer: ") {
			t.Errorf("got %v, want an error", err)
		}
	}
}

func TestOverflow(t *testing.T) {
	reg := prometheus.NewRegistry()
	var log strings.Builder
	o := newObserver(t, &observe.Options{Registerer: reg, MaxSeries: 10, Logger: lineLogger(&log)})
	for i := range 1000 {
		o.Finish(t.Context(), &observe.Record{Duration: 1, Code: 200 + i%2*303, DestinationService: observe.NewService(
			fmt.Sprintf("host-%d.example", i), "", "")})
	}
	var overflow []string
	lines := samples(t, reg, "istio_requests_total")
	for _, line := range lines {
		if strings.Contains(line, `"overflow"`) {
			overflow = append(overflow, labels(t, line, "destination_service", "response_code", "reporter"))
		}
	}
	want := []string{"destination_service=overflow response_code=200 reporter=source 495",
		"destination_service=overflow response_code=503 reporter=source 495"}
	if diff := cmp.Diff(overflow, want); diff != "" {
		t.Errorf("-got +want:\n%s", diff)
	}
	if len(lines) != 12 {
		t.Errorf("got %d series, want 12", len(lines))
	}
	if got := samples(t, reg, "inmesh_metric_overflow_total"); got[0] != "inmesh_metric_overflow_total 990" {
		t.Errorf("got %s, want 990", got)
	}
	if got := strings.Count(log.String(), "too many series"); got != 1 {
		t.Errorf("got %d warnings, want 1: %s", got, log.String())
	}
}

func TestConcurrentCounts(t *testing.T) {
	reg := prometheus.NewRegistry()
	o := newObserver(t, &observe.Options{Registerer: reg, MaxSeries: 20, Logger: quiet()})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 2000 {
				o.Finish(t.Context(), &observe.Record{Duration: time.Millisecond, Code: 200 + i%40})
				if i%500 == 0 {
					_ = exposition(t, reg, "istio_re")
					_ = o.Graph()
				}
			}
		})
	}
	wg.Wait()
	if got := o.Graph(); sum(got) != 8000 {
		t.Errorf("got %d requests, want 8000", sum(got))
	}
}

func sum(g observe.Graph) (n uint64) {
	for _, e := range g.Edges {
		n += e.Requests
	}
	return n
}

func TestFinishAllocatesNothing(t *testing.T) {
	o, r := finishing(t)
	o.Finish(t.Context(), &r)
	if got := testing.AllocsPerRun(200, func() { o.Finish(t.Context(), &r) }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
