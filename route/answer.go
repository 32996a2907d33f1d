package route

import (
	"net/http"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// headerOriginalPath is where Envoy tells the upstream the path, with its query, from before a rewrite.
const headerOriginalPath = "X-Envoy-Original-Path"

// Answer is what the route says by itself: to a preflight, as a redirect, or as a direct response. ok is false
// for what is to be forwarded. A redirect or direct response has the route's response headers and those of CORS.
func (r *Route) Answer(q *Request, env *HeaderEnv) (reply *answer.Reply, ok bool) {
	if r.cors != nil {
		if reply, ok := r.cors.Preflight(q); ok {
			return reply, true
		}
	}
	switch r.action {
	case Redirect:
		code, location := r.Redirect(q)
		reply = &answer.Reply{Status: code, Header: http.Header{"Location": {location}}, GRPC: -1}
	case DirectResponse:
		code, body := r.Direct()
		reply = &answer.Reply{Status: code, Body: string(body), Header: make(http.Header), GRPC: -1}
	default:
		return nil, false
	}
	r.finish(-1, q, reply.Header, env)
	return reply, true
}

// finish changes the header of a response that goes back to the caller.
func (r *Route) finish(dest int, q *Request, h http.Header, env *HeaderEnv) {
	r.ResponseHeaders(dest, h, env)
	if r.cors != nil {
		origin, _ := first(q.Header, "Origin")
		r.cors.Apply(origin, h)
	}
}

// noRoute is the refusal of a request that no route matches.
func noRoute() *answer.Error {
	return &answer.Error{Sentinel: ErrNoRoute, Flag: answer.NoRoute, Status: http.StatusNotFound, Details: "route_not_found"}
}
