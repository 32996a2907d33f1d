// Package breaker keeps a client from drowning a service that is slow or broken: connection-pool limits and
// outlier detection, as a DestinationRule's trafficPolicy asks for.
//
//	b, err := breaker.New(&networking.TrafficPolicy{
//		ConnectionPool: &networking.ConnectionPoolSettings{
//			Tcp:  &networking.ConnectionPoolSettings_TCPSettings{MaxConnections: 10},
//			Http: &networking.ConnectionPoolSettings_HTTPSettings{Http1MaxPendingRequests: 10},
//		},
//		OutlierDetection: &networking.OutlierDetection{MaxEjectionPercent: 100},
//	})
//	if err != nil {
//		return err
//	}
//	defer b.Close()
//	client := &http.Client{Transport: b.Transport(nil)}
//
// [Breaker] is the whole for a client without a mesh. [Pool] and [Outlier] are its halves, for those who know
// the endpoints of a service.
//
// What Istio has no field for is here under the names of Envoy's filters, each with a New of its own: [NewRateLimit],
// [NewConcurrency], [NewAdmission] and [NewHealth].
//
// The rules are Envoy's, as Istio configures them:
// https://istio.io/latest/docs/reference/config/networking/destination-rule/#ConnectionPoolSettings,
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/circuit_breaking and
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier.
package breaker
