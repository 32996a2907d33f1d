package fault_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/fault"
)

// Every call of the client is answered 503 without reaching a server.
func ExampleInjector_Transport() {
	f, err := fault.New(&networking.HTTPFaultInjection{
		Abort: &networking.HTTPFaultInjection_Abort{
			ErrorType:  &networking.HTTPFaultInjection_Abort_HttpStatus{HttpStatus: 503},
			Percentage: &networking.Percent{Value: 100},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: f.Transport(nil)}
	resp, err := client.Get("http://reviews.default.svc.cluster.local/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(text))
	// Output: 503 fault filter abort
}

// A seed repeats a run: a third of all requests is aborted, and it is always the same ones.
func ExampleInjector_Handler() {
	f, err := fault.New(&networking.HTTPFaultInjection{
		Abort: &networking.HTTPFaultInjection_Abort{
			ErrorType:  &networking.HTTPFaultInjection_Abort_HttpStatus{HttpStatus: 500},
			Percentage: &networking.Percent{Value: 33.3},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	f.Rand = rand.New(rand.NewPCG(4, 2)).Float64 // concurrent requests need a lock around it
	handler := f.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for range 6 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		fmt.Print(w.Code, " ")
	}
	// Output: 200 200 200 500 200 200
}

// A rule tells what it does, and a decision what it did to one request.
func ExampleInjector_Decide() {
	f, err := fault.New(&networking.HTTPFaultInjection{
		Delay: &networking.HTTPFaultInjection_Delay{
			HttpDelayType: &networking.HTTPFaultInjection_Delay_FixedDelay{FixedDelay: durationpb.New(2 * time.Second)},
			Percentage:    &networking.Percent{Value: 10},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	f.Rand = func() float64 { return 0.05 }
	d := f.Decide()
	fmt.Println(f)
	fmt.Println(d.Delay, d.Flags())
	// Output:
	// delay 2s 10%
	// 2s DI
}
