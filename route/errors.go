package route

import "errors"

// What keeps a request from being forwarded. Callers meet them with errors.Is; the errors that carry them
// also tell Envoy's response flag and the status that a sidecar would have answered.
// See https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage (response flags).
var (
	// ErrNoRoute says that the host has routes and none of them matches: 404, flag NR.
	ErrNoRoute = errors.New("route: no route matches")
	// ErrNoCluster says that a route leads to a host or subset that nothing defines: 503, flag NC.
	ErrNoCluster = errors.New("route: no such destination")
	// ErrNoHealthyUpstream says that the destination has no endpoint to send to: 503, flag UH.
	ErrNoHealthyUpstream = errors.New("route: no healthy upstream")
	// ErrUpstreamFailure says that the upstream could not be reached or broke off: 503, flag UF, UC or UR.
	ErrUpstreamFailure = errors.New("route: upstream failure")
	// ErrTimeout says that the route's timeout, or that of a try, has passed: 504, flag UT.
	ErrTimeout = errors.New("route: upstream request timeout")
)
