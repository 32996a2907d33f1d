package route

import (
	"fmt"
	"net/http"
	"time"

	networking "istio.io/api/networking/v1"
)

// Action is what a route does with a request.
type Action int

// The three actions of a route.
const (
	Forward        Action = iota // to one of Spec().Route
	Redirect                     // answered with a Location
	DirectResponse               // answered with a status and a body
)

// String is the action's name in Istio's spelling: "route", "redirect", "directResponse".
func (a Action) String() string {
	switch a {
	case Forward:
		return "route"
	case Redirect:
		return "redirect"
	case DirectResponse:
		return "directResponse"
	}
	return fmt.Sprintf("Action(%d)", int(a))
}

// Route is an HTTPRoute as one entry of its match meets it: the entry decides what a rewrite replaces and what
// the name is. It is immutable and safe for concurrent use. A nil *Route must not be used.
type Route struct {
	name  string
	conds []cond // the path's comes first
	slow  bool   // some condition is a regex
	*rule
}

// rule is what the entries of one HTTPRoute share.
type rule struct {
	index    int
	spec     *networking.HTTPRoute
	action   Action
	redirect *redirect
	body     []byte
	split    split
	rewrite  rewrite
	cors     *CORS
	timeout  time.Duration
	retry    *RetryPolicy
	dests    []target   // parallel to spec.Route; empty where the route does not forward
	requests *headerOps // of the route's level; where there is one destination, its operations are joined in
	responds *headerOps
}

// target is what one destination does to a message. With one destination its operations are in rule's.
type target struct {
	authority         string
	request, response *headerOps
}

// Index is the route's place among those given to [New].
func (r *Route) Index() int { return r.index }

// Name is the route's name, with the match entry's after a dot if that has one. It may be empty.
func (r *Route) Name() string { return r.name }

// Spec is the HTTPRoute that was compiled. It must not be changed.
func (r *Route) Spec() *networking.HTTPRoute { return r.spec }

// Action tells whether the route forwards or answers.
func (r *Route) Action() Action { return r.action }

// Redirect is the answer of a route whose action is Redirect: the status and the Location. Other routes give
// 0 and nothing. The path must be one that the route matched.
func (r *Route) Redirect(q *Request) (code int, location string) {
	if r.redirect == nil {
		return 0, ""
	}
	return r.redirect.code, r.redirect.location(q, &r.conds[0].text)
}

// Direct is the answer of a route whose action is DirectResponse: the status and the body, which must not be
// changed. Other routes give 0 and nil.
func (r *Route) Direct() (code int, body []byte) {
	return int(r.spec.GetDirectResponse().GetStatus()), r.body
}

// Split draws a destination: an index into Spec().Route, for a number in [0,1). One draw serves a request and
// all its retries. Destinations of weight 0 are never drawn, but where there is only one its weight does not
// count. A route that does not forward gives -1.
func (r *Route) Split(rnd float64) int {
	if len(r.dests) == 0 {
		return -1
	}
	return r.rule.split.pick(rnd)
}

// Path is the escaped path that goes upstream, without the query. Rewritten tells whether a rewrite made it, in
// which case Envoy tells the upstream the path as it was in x-envoy-original-path.
func (r *Route) Path(q *Request) (path string, rewritten bool) {
	return r.rewrite.path(q.Path, &r.conds[0].text)
}

// Authority is the host that the upstream is told, for a destination that Split gave; empty means that it stays
// as it is. The route's own goes before the destination's, and rewrite.authority before a header operation.
func (r *Route) Authority(dest int) string {
	if dest < 0 || dest >= len(r.dests) {
		return ""
	}
	return r.dests[dest].authority
}

// RequestHeaders changes the header of a request that goes to the destination. Formatters read env, which may
// be nil, and h itself. The slices in h are replaced, not written to.
func (r *Route) RequestHeaders(dest int, h http.Header, env *HeaderEnv) {
	if dest >= 0 && dest < len(r.dests) {
		r.dests[dest].request.apply(h, env, false)
	}
	r.requests.apply(h, env, false)
}

// ResponseHeaders changes the header of a response: the destination's, or with -1 one that the route itself
// makes, such as a redirect. The slices in h are replaced, not written to.
func (r *Route) ResponseHeaders(dest int, h http.Header, env *HeaderEnv) {
	if dest >= 0 && dest < len(r.dests) {
		r.dests[dest].response.apply(h, env, true)
	}
	r.responds.apply(h, env, true)
}

// DestinationOps is what a destination alone does to headers, before the route does its part. Where there is one
// destination, its operations are the route's.
func (r *Route) DestinationOps(dest int) (request, response Ops) {
	if dest < 0 || dest >= len(r.dests) {
		return Ops{}, Ops{}
	}
	return mergeOps(r.dests[dest].request), mergeOps(r.dests[dest].response)
}

// HeaderOps is what RequestHeaders and ResponseHeaders come to for a destination, or for -1.
func (r *Route) HeaderOps(dest int) (request, response Ops) {
	var at struct{ request, response *headerOps }
	if dest >= 0 && dest < len(r.dests) {
		at.request, at.response = r.dests[dest].request, r.dests[dest].response
	}
	return mergeOps(at.request, r.requests), mergeOps(at.response, r.responds)
}

// CORS is the route's policy, nil if it has none.
func (r *Route) CORS() *CORS { return r.cors }

// Retry is the route's policy, Istio's default where the route says nothing of retries.
func (r *Route) Retry() *RetryPolicy { return r.retry }

// Timeout is the route's limit for the whole exchange, retries included. 0 means none.
func (r *Route) Timeout() time.Duration { return r.timeout }
