// Package mesh is a service mesh inside the process: it gives an [http.Client] and an [http.Server] the rules of
// Istio, with no sidecar, no extra hop and no cluster.
//
//	rules, err := mesh.Load("rules.d")
//	m, err := mesh.New(rules, nil)
//	defer m.Close()
//
//	client := &http.Client{Transport: m.Transport(nil)}
//	resp, err := client.Get("http://reviews:9080/reviews/0") // routed, split, delayed, retried as the rules say
//
//	server := &http.Server{Handler: m.Handler(mux)}
//	edge := m.Gateway("bookinfo-gateway")                    // an http.Handler: an ingress
//
// Rules are Istio's own YAML: VirtualService, DestinationRule, Gateway, ServiceEntry and the others, with
// Kubernetes' Service and EndpointSlice beside them. They are read by [Load], [LoadFS] and [Parse], or built in
// Go by [Build]; [Mesh.Update] swaps them as a whole and [Mesh.Watch] does so whenever a [Source] has news. A
// request keeps the rules that it started with.
//
// # Errors and answers
//
// A refusal of the mesh (no route, no healthy endpoint, a limit, a timeout) is an error of RoundTrip, for no
// response was obtained. It tells what a sidecar would have answered:
//
//	var refusal interface{ ResponseFlag() string; StatusCode() int }
//	if errors.As(err, &refusal) { … }          // "UH", 503
//	errors.Is(err, route.ErrNoHealthyUpstream) // the cause
//
// An injected abort, a redirect and a direct response are responses, for a rule asks for them. [Options.LocalReplies]
// turns refusals into the responses of a sidecar as well. [Outcome] tells the whole story of either.
//
// # Semantics
//
// Where a rule means something, it means what Istio and Envoy do with it:
// https://istio.io/latest/docs/reference/config/networking/ and https://www.envoyproxy.io/docs. The differences that
// an in-process mesh has are listed in docs/differences.md.
package mesh
