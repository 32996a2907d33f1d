// Package route is Istio's HTTPRoute, compiled: which route a request takes, and what becomes of it.
//
//	router, err := route.New(
//		&networking.HTTPRoute{ ... match, rewrite, route ... },
//		&networking.HTTPRoute{ ... redirect ... },
//	)
//	client := &http.Client{Transport: router.Transport(nil)}
//	server := &http.Server{Handler: router.Handler(mux)}
//
// Routes are tried in order and the first that matches is taken; an index makes ten thousand of them cost about
// what ten do. [Router.Explain] says why the others were passed over.
//
// See https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPRoute.
package route
