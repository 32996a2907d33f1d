package balance_test

import (
	"fmt"

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
