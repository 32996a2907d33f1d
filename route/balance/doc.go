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
// A pick takes no lock and allocates nothing, and costs about the same for three endpoints and for ten
// thousand. What is slow (sorting out the healthy ones, laying out the weights) is done when the endpoints or
// their health change, and swapped in whole.
//
// The algorithms are Envoy's, as Istio configures them:
// https://istio.io/latest/docs/reference/config/networking/destination-rule/#LoadBalancerSettings and
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/load_balancers.
package balance
