package observe_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/go-inmesh/inmesh/observe"
)

// A client and a server under observation. Each side counts the request once.
func Example() {
	reg := prometheus.NewRegistry()
	o, err := observe.New(&observe.Options{
		Registerer: reg, // prometheus.DefaultRegisterer in a program
		Workload: observe.Workload{Name: "productpage-v1", Namespace: "default",
			Labels: map[string]string{"app": "productpage", "version": "v1"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer o.Close()
	server := httptest.NewServer(o.Handler(http.NotFoundHandler()))
	defer server.Close()
	client := &http.Client{Transport: o.Transport(nil)}
	resp, err := client.Get(server.URL + "/nowhere")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body) // the end of the body ends the request
	_ = resp.Body.Close()
	client.CloseIdleConnections()
	server.Close()

	families, _ := reg.Gather()
	for _, f := range families {
		if f.GetName() == "istio_requests_total" {
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					if l.GetName() == "reporter" || l.GetName() == "response_code" {
						fmt.Print(l.GetName(), "=", l.GetValue(), " ")
					}
				}
				fmt.Println(m.GetCounter().GetValue())
			}
		}
	}
	// Output:
	// reporter=destination response_code=404 1
	// reporter=source response_code=404 1
}

// Istio's default access log, one line of text a request.
func ExampleNewLineHandler() {
	o, err := observe.New(&observe.Options{AccessLog: slog.New(observe.NewLineHandler(os.Stdout))})
	if err != nil {
		fmt.Println(err)
		return
	}
	c := &observe.Call{}
	req := httptest.NewRequest("GET", "http://reviews:9080/reviews/0", nil)
	req.Header.Set("X-Request-Id", "84961386-6d84-4f1d-9b4f-1c5b5b5b5b5b")
	o.StartClient(c, req)
	c.Record.Start, c.Record.Duration = time.Date(2026, 11, 22, 10, 20, 30, 0, time.UTC), 3*time.Millisecond
	c.Record.Code, c.Record.Flags, c.Record.Details = 503, observe.FlagUH, "no_healthy_upstream"
	c.Record.Cluster = "outbound|9080||reviews.default.svc.cluster.local"
	c.Settle(nil)
	_ = o.Close()
	// Output:
	// [2026-11-22T10:20:30.000Z] "GET /reviews/0 HTTP/1.1" 503 UH no_healthy_upstream - "-" 0 0 3 - "-" "-" "84961386-6d84-4f1d-9b4f-1c5b5b5b5b5b" "reviews:9080" "-" outbound|9080||reviews.default.svc.cluster.local - - - - -
}

// The access log as JSON with exactly Istio's keys.
func ExampleOptions_accessLog() {
	istioOnly := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return a
	}
	h := slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: istioOnly})
	o, err := observe.New(&observe.Options{AccessLog: slog.New(h)})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := &observe.Record{Start: time.Date(2026, 11, 22, 10, 20, 30, 0, time.UTC), Duration: 3 * time.Millisecond,
		UpstreamTime: 2 * time.Millisecond, Method: "GET", Path: "/", Protocol: "HTTP/2", Authority: "reviews", Code: 200}
	o.Finish(context.Background(), r)
	_ = o.Close()
	// Output:
	// {"start_time":"2026-11-22T10:20:30.000Z","method":"GET","path":"/","protocol":"HTTP/2","response_code":200,"response_flags":"-","response_code_details":"via_upstream","connection_termination_details":null,"upstream_transport_failure_reason":null,"bytes_received":0,"bytes_sent":0,"duration":3,"upstream_service_time":"2","x_forwarded_for":null,"user_agent":null,"request_id":null,"authority":"reviews","upstream_host":null,"upstream_cluster":null,"upstream_local_address":null,"downstream_local_address":null,"downstream_remote_address":null,"requested_server_name":null,"route_name":null}
}

// What a process saw, as a graph.
func ExampleObserver_Graph() {
	o, err := observe.New(&observe.Options{Workload: observe.Workload{Name: "productpage-v1", Namespace: "default"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: o.Transport(roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusServiceUnavailable}, nil
	}))}
	resp, err := client.Get("http://reviews:9080/")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = resp.Body.Close()
	for _, e := range o.Graph().Edges {
		fmt.Println(e.Source, "->", e.Service, e.Requests, "requests,", e.Errors, "errors")
	}
	// Output:
	// productpage-v1 -> reviews 1 requests, 1 errors
}
