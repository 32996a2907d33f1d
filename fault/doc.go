// Package fault delays and aborts requests on purpose, as the fault block of a VirtualService's HTTP route says.
//
//	f, err := fault.New(&networking.HTTPFaultInjection{
//		Delay: &networking.HTTPFaultInjection_Delay{
//			HttpDelayType: &networking.HTTPFaultInjection_Delay_FixedDelay{FixedDelay: durationpb.New(2 * time.Second)},
//			Percentage:    &networking.Percent{Value: 10},
//		},
//	})
//	client := &http.Client{Transport: f.Transport(nil)}   // faults on what we call
//	server := &http.Server{Handler: f.Handler(mux)}       // faults on what calls us
//
// The delay and the abort are drawn independently of each other; a request that drew both waits first. A fault
// without a percentage hits nothing: 0 % is Istio's default, not 100 %. An abort is a response, not an error,
// for the rule asks for one.
//
// See https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPFaultInjection and
// https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/fault_filter.
package fault
