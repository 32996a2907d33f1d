package breaker_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-inmesh/inmesh/breaker"
)

func ExampleNewRateLimit() {
	limit, err := breaker.NewRateLimit(&breaker.LocalRateLimit{
		TokenBucket: breaker.TokenBucket{MaxTokens: 1000, TokensPerFill: 1000, FillInterval: time.Second},
		Descriptors: []breaker.Descriptor{{
			Key:         breaker.ByHeader("x-api-key"),
			TokenBucket: breaker.TokenBucket{MaxTokens: 1, FillInterval: time.Minute},
			Values:      map[string]breaker.TokenBucket{"gold": {MaxTokens: 100, FillInterval: time.Second}},
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := limit.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	for _, key := range []string{"ann", "ann", "bob", "gold", "gold"} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Api-Key", key)
		handler.ServeHTTP(w, r)
		fmt.Println(key, w.Code, w.Body)
	}
	// Output:
	// ann 200 hello
	// ann 429 local_rate_limited
	// bob 200 hello
	// gold 200 hello
	// gold 200 hello
}

func ExampleRateLimit_Transport() {
	limit, err := breaker.NewRateLimit(&breaker.LocalRateLimit{Descriptors: []breaker.Descriptor{
		{Key: breaker.ByHost, TokenBucket: breaker.TokenBucket{MaxTokens: 1, FillInterval: time.Minute}}, // for each host
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: limit.Transport(status(200))}
	for range 2 {
		resp, err := client.Get("http://api.example.com/")
		if err != nil {
			fmt.Println(err)
			continue
		}
		resp.Body.Close()
		fmt.Println(resp.StatusCode)
	}
	// Output:
	// 200
	// Get "http://api.example.com/": breaker: too many requests (429 RL)
}

func ExampleNewConcurrency() {
	limit, err := breaker.NewConcurrency(&breaker.AdaptiveConcurrency{
		ConcurrencyLimitParams: breaker.ConcurrencyLimitParams{ConcurrencyUpdateInterval: 100 * time.Millisecond},
		MinRTTCalcParams:       breaker.MinRTTCalcParams{Interval: time.Minute, MinConcurrency: 1},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var handler http.Handler
	handler = limit.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/outer" { // a second request while this one is served
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest("GET", "/inner", nil))
			fmt.Println("inner:", w.Code, w.Body)
		}
	}))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/outer", nil))
	fmt.Println("outer:", w.Code)
	// Output:
	// inner: 503 reached concurrency limit
	// outer: 200
}

func ExampleNewAdmission() {
	control, err := breaker.NewAdmission(&breaker.AdmissionControl{
		Priorities:     []string{"checkout", "browse"}, // the most important first
		PriorityHeader: "x-priority",
		Rand:           func() float64 { return 0.5 },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	broken := control.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
	for _, priority := range []string{"browse", "checkout", "browse", "checkout", "browse", "checkout"} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Priority", priority)
		broken.ServeHTTP(w, r)
		fmt.Println(priority, w.Code)
	}
	// Output:
	// browse 500
	// checkout 500
	// browse 503
	// checkout 500
	// browse 503
	// checkout 500
}

func ExampleNewHealth() {
	ctx, stop := context.WithCancel(context.Background())
	health, err := breaker.NewHealth(&breaker.HealthCheck{
		HTTPHealthCheck: &breaker.HTTPHealthCheck{Path: "/healthz"},
	}, &breaker.HealthOptions{
		Transport: status(500), // an endpoint that is not well
		OnChange: func(e breaker.HealthEvent) {
			fmt.Println(e.Endpoint, "healthy:", e.Healthy, e.Cause, e.Err)
			stop()
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	health.Update([]string{"10.0.0.1:9080"})
	fmt.Println(health.Run(ctx)) // blocks
	// Output:
	// 10.0.0.1:9080 healthy: false ACTIVE breaker: health check answered 500
	// context canceled
}
