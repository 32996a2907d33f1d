// Package observe tells what a sidecar would have told about each request: Istio's metrics, a span, one line
// of access log, and a live graph of who talks to whom.
//
//	o, err := observe.New(&observe.Options{
//		Registerer: prometheus.DefaultRegisterer,
//		Workload:   observe.Workload{Name: "productpage-v1", Namespace: "default",
//			Labels: map[string]string{"app": "productpage", "version": "v1"}},
//	})
//	client := &http.Client{Transport: o.Transport(nil)}  // reporter="source"
//	server := &http.Server{Handler: o.Handler(mux)}      // reporter="destination"
//
// Names, labels and buckets are Istio's, so its Grafana dashboards and Kiali work unchanged. There is one
// sample, one span and one line for each logical request, taken when the body of the answer has ended;
// refusals count with the code and the flag of Envoy. Durations are measured in fractions of a millisecond,
// where Envoy cuts them to whole ones.
//
// A caller that knows more about a request than its headers say, as the mesh does, follows it with a [Call]
// and fills in the call's [Record]: route, cluster, endpoint, attempts, flags.
//
// See https://istio.io/latest/docs/reference/config/metrics/ and
// https://istio.io/latest/docs/tasks/observability/logs/access-log/.
package observe
