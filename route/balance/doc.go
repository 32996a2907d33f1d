// Package balance keeps the endpoints of a cluster and picks one for each request.
//
//	b, err := balance.New(policy.GetLoadBalancer(), nil)
//	if err != nil {
//		return err
//	}
//	b.Update([]*balance.Endpoint{{Address: "10.0.0.1:9080"}, {Address: "10.0.0.2:9080", Weight: 3}})
//	ep := b.Pick(balance.Hints{})
//	ep.Begin()
//	defer ep.Done()
//
// Requests may be tied to endpoints by what they carry, see [Key]; endpoints nearby come before those far away, see
// [Client] and [Balancer.Failover]; and new endpoints may get their full share bit by bit. All of it is in the settings.
//
// A pick takes no lock and allocates nothing, and costs about the same for three endpoints and for ten
// thousand. What is slow (sorting out the healthy ones, laying out the weights) is done when the endpoints or
// their health change, and swapped in whole.
//
// Rings and tables hold the healthy endpoints alone, so that an ejection moves the requests of the endpoint that is out
// and few others, and they come back with it. A hash that a request lacks is drawn at random. What is as heavy as work
// gets (a ring of millions of places, which endpoints of very unequal weight need) is laid out anew with each ejection.
//
// The algorithms are Envoy's, as Istio configures them:
// https://istio.io/latest/docs/reference/config/networking/destination-rule/#LoadBalancerSettings and
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/load_balancers.
package balance
