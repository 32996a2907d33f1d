package balance_test

import (
	"fmt"
	"net/http"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/route/balance"
)

func ExampleBalancer() {
	b, err := balance.New(&networking.LoadBalancerSettings{
		LbPolicy: &networking.LoadBalancerSettings_Simple{Simple: networking.LoadBalancerSettings_ROUND_ROBIN},
	}, func() float64 { return 0 })
	if err != nil {
		fmt.Println(err)
		return
	}
	v1 := &balance.Endpoint{Address: "10.0.0.1:9080", Weight: 3}
	v2 := &balance.Endpoint{Address: "10.0.0.2:9080", Weight: 1}
	b.Update([]*balance.Endpoint{v1, v2})
	for range 4 {
		fmt.Println(b.Pick(balance.Hints{}).Address)
	}
	v1.SetEjected(true)
	fmt.Println("and then", b.Pick(balance.Hints{}).Address)
	// Output:
	// 10.0.0.2:9080
	// 10.0.0.1:9080
	// 10.0.0.1:9080
	// 10.0.0.1:9080
	// and then 10.0.0.2:9080
}

// Requests with the same header go to the same endpoint, as long as it is there.
func ExampleKey() {
	b, err := balance.New(&networking.LoadBalancerSettings{
		LbPolicy: &networking.LoadBalancerSettings_ConsistentHash{ConsistentHash: &networking.LoadBalancerSettings_ConsistentHashLB{
			HashKey: &networking.LoadBalancerSettings_ConsistentHashLB_HttpHeaderName{HttpHeaderName: "x-user"},
		}},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	b.Update([]*balance.Endpoint{{Address: "10.0.0.1:9080"}, {Address: "10.0.0.2:9080"}, {Address: "10.0.0.3:9080"}})
	for _, user := range []string{"alice", "bob", "carol", "alice", "bob", "carol"} {
		req, _ := http.NewRequest(http.MethodGet, "http://reviews:9080/", nil)
		req.Header.Set("X-User", user)
		hash, ok := b.Key().Hash(&balance.Source{Request: req})
		fmt.Println(user, b.Pick(balance.Hints{Key: hash, Keyed: ok}).Address)
	}
	// Output:
	// alice 10.0.0.3:9080
	// bob 10.0.0.3:9080
	// carol 10.0.0.1:9080
	// alice 10.0.0.3:9080
	// bob 10.0.0.3:9080
	// carol 10.0.0.1:9080
}

// Endpoints in the client's own zone come first; when too few of them are healthy, the rest of the region helps out.
func ExampleClient() {
	b, err := balance.New(nil, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	b.Client.Locality = "eu-west/a"
	b.Failover = true
	near := &balance.Endpoint{Address: "10.0.0.1:9080", Locality: "eu-west/a"}
	b.Update([]*balance.Endpoint{near, {Address: "10.0.0.2:9080", Locality: "eu-west/a"}, {Address: "10.0.1.1:9080", Locality: "eu-west/b"}})
	fmt.Println(b.Shares())
	near.SetEjected(true)
	fmt.Println(b.Shares())
	// Output:
	// [0.5 0.5 0]
	// [0 0.7 0.3]
}
