package mesh

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/go-inmesh/inmesh/identity"
	"github.com/go-inmesh/inmesh/internal/answer"
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/route"
)

// Call is what the mesh decided about one request, so far or in the end. What is not decided yet, or does not
// apply, is zero.
type Call struct {
	// VirtualHost names the set of rules that answers for the host: "reviews.default.svc.cluster.local:9080",
	// "allow_any" or "block_all" where there is none.
	VirtualHost string
	// VirtualService is the rule's "namespace/name".
	VirtualService string
	// Route is the name of the route, RouteIndex its place in the rule's http list, and Rule where that is written.
	Route      string
	RouteIndex int
	Rule       finding.Position
	// Cluster is Envoy's name of the destination: "outbound|9080|v1|reviews.default.svc.cluster.local".
	Cluster string
	// Endpoint is the address of the last attempt.
	Endpoint string
	// Attempts is how often the request was sent; on an attempt, its number from 1.
	Attempts int
	// Flags are Envoy's response flags, joined with commas: "DI,FI". Empty means that nothing is to be flagged.
	Flags string
	// Code is the status that the caller got, or would have got of a sidecar; 0 if there is none.
	Code int
	// Peer is who sent the request, on the server's side.
	Peer identity.Peer
	// Err is the refusal, if the mesh refused.
	Err error
}

// CallFrom is the decision so far about the request that carries the context, and nil where no mesh is at work. In
// an aspect around attempts, cluster and endpoint are known; in one around the request, the route.
func CallFrom(ctx context.Context) *Call {
	if c := callOf(ctx); c != nil {
		return c.story()
	}
	return nil
}

// Outcome tells the whole story of what a client over [Mesh.Transport] got: pass what Do or RoundTrip returned. It is
// nil for answers that no mesh had a hand in.
func Outcome(resp *http.Response, err error) *Call {
	var ce *callError
	if errors.As(err, &ce) {
		return ce.call.story()
	}
	if resp != nil && resp.Request != nil {
		return CallFrom(resp.Request.Context())
	}
	return nil
}

type callKey struct{}

// story is what is known of the call now.
func (c *call) story() *Call {
	s := &Call{Attempts: c.attempt, Flags: c.flags, Code: c.code, Peer: c.peer, Err: c.err}
	switch {
	case c.vhost != nil:
		s.VirtualHost = c.vhost.Name
		if c.vhost.Object != nil {
			s.VirtualService = c.vhost.Object.Ref()
		}
	case c.snap == nil || c.gateway: // a server's call, or a host that the gateway does not have
	case c.snap.out.AllowAny:
		s.VirtualHost, s.Cluster = allowAny, passthrough
	default:
		s.VirtualHost, s.Cluster = blockAll, blackHole
	}
	if c.route != nil {
		at := &c.vhost.Routes[c.route.Index()]
		s.Route, s.RouteIndex, s.Rule = c.route.Name(), at.Index, at.Position()
		if at.Object != nil {
			s.VirtualService = at.Object.Ref()
		}
	}
	if name := c.observed.Record.Cluster; name != "" {
		s.Cluster = name
	}
	if c.endpoint != nil {
		s.Endpoint = c.endpoint.Address
	}
	return s
}

// callOf finds the call in a context that may have been derived from it.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// Value makes a call the context of its own request, so that carrying it costs nothing.
func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// callError is an error of RoundTrip with its story.
type callError struct {
	error
	call *call
}

func (e *callError) Unwrap() error { return e.error }

// Timeout lets net/http's callers see a timeout for what it is.
func (e *callError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.error, &t) && t.Timeout()
}

// refusal is an error that tells what a sidecar would have answered: one of ours, or of a user's aspect.
type refusal interface {
	error
	ResponseFlag() string
	StatusCode() int
}

// refusalOf finds the refusal in an error; nil where there is none.
func refusalOf(err error) *answer.Error {
	if _, ok := errors.AsType[refusal](err); !ok {
		return nil
	}
	return route.Classify(err, true)
}

// addFlag joins response flags, each once.
func addFlag(flags, flag string) string {
	switch {
	case flag == "" || flags == flag:
		return flags
	case flags == "":
		return flag
	case strings.Contains(","+flags+",", ","+flag+","):
		return flags
	}
	return flags + "," + flag
}
