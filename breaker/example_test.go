package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/breaker"
)

func ExampleNew() {
	b, err := breaker.New(&networking.TrafficPolicy{
		OutlierDetection: &networking.OutlierDetection{
			Consecutive_5XxErrors: wrapperspb.UInt32(2), MaxEjectionPercent: 100,
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	b.OnEject = func(e breaker.Event) { fmt.Println("ejected:", e.Endpoint, "for", e.Duration, "after", e.Cause) }

	broken := roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 500, Body: http.NoBody, Request: r}, nil
	})
	client := &http.Client{Transport: b.Transport(broken)}
	for range 3 {
		resp, err := client.Get("http://alphabet-service:8080/a")
		var refusal interface {
			ResponseFlag() string
			StatusCode() int
		}
		switch {
		case err == nil:
			fmt.Println("answer:", resp.StatusCode)
		case errors.Is(err, breaker.ErrEjected) && errors.As(err, &refusal):
			fmt.Println("refused:", refusal.StatusCode(), refusal.ResponseFlag())
		}
	}
	// Output:
	// answer: 500
	// ejected: alphabet-service:8080 for 30s after CONSECUTIVE_5XX
	// answer: 500
	// refused: 503 UH
}

func ExamplePool() {
	p, err := breaker.NewPool(&networking.ConnectionPoolSettings{
		Http: &networking.ConnectionPoolSettings_HTTPSettings{Http2MaxRequests: 1},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	permit, err := p.Acquire(context.Background(), nil, breaker.HTTP2)
	fmt.Println("first:", err)
	_, err = p.Acquire(context.Background(), nil, breaker.HTTP2)
	fmt.Println("second:", err)
	permit.Release()
	fmt.Printf("%+v\n", p.Counts())
	// Output:
	// first: <nil>
	// second: breaker: a connection pool limit is reached (503 UO)
	// {Active:0 Connections:0 Pending:0 Retries:0 Overflow:1}
}

func ExampleOutlier() {
	o, err := breaker.NewOutlier(&networking.OutlierDetection{MaxEjectionPercent: 50}, &breaker.OutlierOptions{
		OnEject: func(e breaker.Event) { fmt.Println(e.Endpoint, "is out for", e.Duration) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer o.Close()
	o.Update([]string{"10.0.0.1:9080", "10.0.0.2:9080"})
	host := o.Host("10.0.0.2:9080")
	for range 5 {
		host.Report(503)
	}
	fmt.Println(host.Ejected())
	// Output:
	// 10.0.0.2:9080 is out for 30s
	// true
}
