package route_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/route"
)

// A policy alone, around any transport: a client's calls are tried again when the server answers 503.
func ExampleRetryPolicy_Transport() {
	tries := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Println("try", r.Header.Get("X-Envoy-Attempt-Count"))
	}))
	defer server.Close()

	policy, err := route.NewRetry(&networking.HTTPRetry{
		Attempts:      3,
		RetryOn:       "503,connect-failure",
		PerTryTimeout: durationpb.New(2 * time.Second),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: policy.Transport(nil)}
	resp, err := client.Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(policy)
	fmt.Println(resp.Status)
	// Output:
	// try 1
	// try 2
	// try 3
	// 3 retries on 503,connect-failure, 2s per try
	// 200 OK
}

// A policy that hedges: the first try hangs, so that a second one begins beside it after 20 ms, and answers.
func ExampleRetryPolicy_hedge() {
	tries := make(chan string, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := r.Header.Get("X-Envoy-Attempt-Count")
		if tries <- n; n == "1" {
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, "answered by try ", n)
	}))
	defer server.Close()

	policy, err := route.NewRetry(&networking.HTTPRetry{Attempts: 1, RetryOn: "5xx", PerTryTimeout: durationpb.New(20 * time.Millisecond)})
	if err != nil {
		fmt.Println(err)
		return
	}
	policy.Hedge = true
	resp, err := (&http.Client{Transport: policy.Transport(nil)}).Get(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	fmt.Printf("%s of %d\n", text, len(tries))
	// Output:
	// answered by try 2 of 2
}

// A Call is one request with its tries and its time. What no try could get is an error that tells what a sidecar
// would have answered.
func ExampleCall() {
	policy, err := route.NewRetry(nil) // Istio's default: two retries
	if err != nil {
		fmt.Println(err)
		return
	}
	call := &route.Call{Retry: policy, Timeout: 5 * time.Second}
	req := &http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: "reviews:9080", Path: "/"}, Header: http.Header{}}
	_, err = call.Do(req, route.SenderFunc(func(r *http.Request, n int) (*http.Response, error) {
		return nil, route.Classify(errors.New("the network is down"), false)
	}))
	if refusal, ok := errors.AsType[interface {
		error
		ResponseFlag() string
		StatusCode() int
	}](err); ok {
		fmt.Println(refusal.StatusCode(), refusal.ResponseFlag())
	}
	fmt.Println("tries:", call.Attempts)
	// Output:
	// 503 UF,URX
	// tries: 3
}
