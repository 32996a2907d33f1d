package mesh

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/go-inmesh/inmesh/fault"
	"github.com/go-inmesh/inmesh/identity"
	"github.com/go-inmesh/inmesh/internal/answer"
	"github.com/go-inmesh/inmesh/internal/compile"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/observe"
	"github.com/go-inmesh/inmesh/route"
	"github.com/go-inmesh/inmesh/route/balance"
)

// Transport is the client's side of the mesh: it sends each request where the rules say. A nil base means the
// mesh's own connections, a pool for each cluster. With a base, the requests go to it as they would go on the wire:
// URL.Host is the endpoint's address, Host the authority; names that are found by DNS are left to it. A base gets
// requests for many endpoints; it must not follow rules of its own. Rules that ask for TLS need a base that is an
// *http.Transport or a [TLSTransport]: without one, requests are refused, and [Mesh.Update] refuses such rules.
//
// It keeps the contract of [http.RoundTripper], and stays valid over [Mesh.Update].
func (m *Mesh) Transport(base http.RoundTripper) http.RoundTripper {
	t := &transport{mesh: m, base: base, local: m.options.LocalReplies}
	t.logical = wrapTransport(terminal{}, m.options.Aspects.Request)
	if base != nil {
		m.bases.Store(t, struct{}{})
	}
	return t
}

// transport is one entrance to the mesh.
type transport struct {
	mesh    *Mesh
	base    http.RoundTripper // nil: the clusters' own connections
	local   bool              // refusals become responses
	edge    bool              // a gateway's: requests come resolved
	logical http.RoundTripper // aspects around terminal
}

// wrapTransport puts the aspects around a transport, the first one outermost.
func wrapTransport(rt http.RoundTripper, aspects []func(http.RoundTripper) http.RoundTripper) http.RoundTripper {
	for i := len(aspects) - 1; i >= 0; i-- {
		rt = aspects[i](rt)
	}
	return rt
}

// call is one request on its way. It is the request's context, too.
type call struct {
	context.Context
	mesh *Mesh
	snap *snapshot
	via  *transport

	view          route.Request // as the caller made it
	vhost         *compile.VirtualHost
	route         *route.Route
	action        *action
	gateway       bool
	inbound       *http.Request // on a gateway: what came in
	httpsRedirect bool
	peer          identity.Peer
	claims        map[string]any // of the caller's token

	limit  context.Context // of the whole call: the caller's, with the route's timeout; set where it is forwarded
	shadow bool            // a copy for a mirror
	hedges *hedges         // the tries that run side by side; nil otherwise

	cluster  *cluster
	dest     int
	endpoint *balance.Endpoint
	tried    []*balance.Endpoint
	triedBuf [4]*balance.Endpoint // what tried begins with
	attempt  int
	hash     uint64   // ties the request to an endpoint, if tied
	tied     bool     // see hash
	cookies  []string // that were made for that, as values of Set-Cookie
	flags    string
	code     int
	err      error

	tries    route.Call
	observed observe.Call
	out      http.Request // what goes upstream, see outgoing
	url      url.URL      // of out
	first    sending      // the first attempt
	took     [1]string    // the value of x-envoy-upstream-service-time
}

func newCall(m *Mesh, s *snapshot, via *transport) *call {
	return &call{mesh: m, snap: s, via: via, dest: -1}
}

// RoundTrip sends the request by the rules of this moment.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	m := t.mesh
	if err := check(m, req); err != nil {
		closeBody(req)
		return nil, err
	}
	m.called.begin()
	var c *call
	if at := callOf(req.Context()); at != nil && at.inbound != nil && t.edge {
		c = newCall(m, at.snap, t)
		c.arrive(at)
	} else {
		c = newCall(m, m.current.Load(), t)
		c.view = route.RequestOf(req)
		c.resolve()
	}
	c.Context = m.observer.StartClient(&c.observed, req)
	c.observed.Ended = c
	c.describe()
	logical := req.WithContext(c)
	logical.Body = c.observed.RequestBody(req.Body)
	resp, err := t.logical.RoundTrip(logical)
	return c.end(logical, resp, err)
}

// check refuses what no transport can send.
func check(m *Mesh, req *http.Request) error {
	switch {
	case m.life.Err() != nil:
		return ErrClosed
	case req.URL == nil:
		return errors.New("mesh: the request has no URL")
	case req.URL.Host == "":
		return errors.New("mesh: the request's URL has no host")
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return fmt.Errorf("mesh: scheme %q is not http or https", req.URL.Scheme)
	case req.Header == nil:
		return errors.New("mesh: the request's Header is nil")
	}
	return nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// resolve finds the virtual host and the route. No rule speaks of CONNECT: it passes through.
func (c *call) resolve() {
	if c.view.Method == http.MethodConnect {
		return
	}
	name, _ := host.Split(c.view.Authority)
	c.setVirtualHost(c.snap.out.Mesh.Lookup(host.Normal(name), c.view.Port))
}

func (c *call) setVirtualHost(vh *compile.VirtualHost) {
	c.vhost = vh
	if vh == nil || vh.Router == nil {
		return
	}
	if c.route = vh.Router.Match(&c.view); c.route != nil {
		c.action = &c.snap.actions[vh][c.route.Index()]
	}
}

// terminal is where the aspects end and the mesh acts. It finds the call in the request's context.
type terminal struct{}

func (terminal) RoundTrip(req *http.Request) (*http.Response, error) {
	c := callOf(req.Context())
	if err := req.Context().Err(); err != nil { // too late already
		closeBody(req)
		c.err, c.flags = context.Cause(req.Context()), addFlag(c.flags, answer.DownstreamTerminated)
		return nil, c.err
	}
	resp, err := c.serve(req)
	if err != nil {
		c.err = err
	}
	return resp, err
}

// serve takes the request through the rules, in Envoy's order.
func (c *call) serve(req *http.Request) (*http.Response, error) {
	switch {
	case c.vhost == nil && !c.gateway:
		return c.outside(req)
	case c.route == nil:
		return c.refuse(req, notFound())
	}
	if f := c.action.fault; f != nil && !c.action.perTry {
		if resp, err := c.inject(req, f); resp != nil || err != nil {
			return resp, err
		}
	}
	if cors := c.route.CORS(); cors != nil {
		if reply, ok := cors.Preflight(&c.view); ok {
			return c.answer(req, *reply, "cors_response"), nil
		}
	}
	switch c.route.Action() {
	case route.Redirect:
		code, location := c.route.Redirect(&c.view)
		resp := c.answer(req, answer.Reply{Status: code, GRPC: -1, Header: http.Header{"Location": {location}}}, "direct_response")
		c.finishHeaders(resp)
		return resp, nil
	case route.DirectResponse:
		code, body := c.route.Direct()
		resp := c.answer(req, answer.Reply{Status: code, GRPC: -1, Body: string(body)}, "direct_response")
		c.finishHeaders(resp)
		return resp, nil
	case route.Forward:
	}
	return c.forward(req)
}

// inject delays the request, and answers it where the rule aborts it.
func (c *call) inject(req *http.Request, f *fault.Injector) (*http.Response, error) {
	d := f.Decide()
	if d.Delay > 0 {
		c.flags = addFlag(c.flags, answer.DelayInjected)
	}
	if err := d.Wait(req.Context()); err != nil {
		closeBody(req)
		return nil, err
	}
	reply, ok := d.Abort()
	if !ok {
		return nil, nil
	}
	c.flags = addFlag(c.flags, answer.FaultInjected)
	return c.answer(req, reply, "fault_filter_abort"), nil
}

// answer makes a response of our own.
func (c *call) answer(req *http.Request, reply answer.Reply, details string) *http.Response {
	closeBody(req)
	c.observed.Record.Details = details
	return reply.Response(req)
}

func (c *call) refuse(req *http.Request, e *answer.Error) (*http.Response, error) {
	closeBody(req)
	return nil, e
}

// outside sends a request to a host that no rule and no service names, unchanged, or refuses it.
func (c *call) outside(req *http.Request) (*http.Response, error) {
	rec := &c.observed.Record
	if !c.snap.out.AllowAny {
		rec.DestinationService = observe.NewService("", blackHole, "")
		rec.Cluster = blackHole
		return c.refuse(req, &answer.Error{Sentinel: ErrBlocked, Status: http.StatusBadGateway, Details: "direct_response"})
	}
	rec.Cluster = passthrough
	rec.DestinationService = observe.NewService(hostOnly(c.view.Authority), passthrough, "")
	extra := c.mesh.extensions.outside(hostOnly(c.view.Authority))
	if extra != nil {
		if err := extra.admit(req); err != nil {
			return nil, err
		}
	}
	c.attempt = 1
	out := req
	if traced := trace.SpanContextFromContext(req.Context()).IsValid(); traced || len(c.mesh.options.Aspects.Attempt) > 0 {
		out = c.outgoing(req)
		if traced {
			c.observed.Outgoing(out.Header) // a trace goes on; without one the request stays as it is
		}
	}
	base := c.via.base
	if base == nil {
		base = c.mesh.passthrough
	}
	resp, err := wrapTransport(base, c.mesh.options.Aspects.Attempt).RoundTrip(out)
	if extra != nil {
		extra.ended(req.Context(), resp, err)
	}
	if err != nil {
		return nil, c.classify(err)
	}
	return resp, nil
}

// Envoy's names of the clusters for hosts that nothing names.
const (
	passthrough = "PassthroughCluster"
	blackHole   = "BlackHoleCluster"
)

// ErrBlocked says that no rule and no service names the host, and that only such are allowed: 502.
var ErrBlocked = errors.New("mesh: the host is not in the registry")

// classify is what a sidecar would have answered; the caller's own end stays what it is.
func (c *call) classify(err error) error {
	if c.Context.Err() != nil {
		return err
	}
	return route.Classify(err, true)
}

// outgoing is a copy of the request that may be changed: its URL and header are its own. There is one for each call,
// and it lies in the call.
func (c *call) outgoing(req *http.Request) *http.Request {
	out, u := &c.out, &c.url
	*out, *u = *req, *req.URL
	out.URL = u
	out.Header = make(http.Header, len(req.Header)+4)
	for k, v := range req.Header {
		out.Header[k] = v[:len(v):len(v)] // appending copies
	}
	if out.Host == "" {
		out.Host = u.Host
	}
	return out
}

// end settles what came of the request: it is told, and given to the caller as an answer or an error.
func (c *call) end(req *http.Request, resp *http.Response, err error) (*http.Response, error) {
	if err != nil {
		if c.err == nil {
			c.err = err // of an aspect
		}
		refusal := refusalOf(err)
		if refusal != nil {
			c.flags = addFlag(c.flags, refusal.Flag)
			c.code = refusal.Status
			c.observed.Record.Details = refusal.Details
			c.observed.Record.Code = refusal.Status
		}
		if refusal == nil || !c.via.local {
			c.tellFlags()
			c.observed.Fail(err)
			return nil, &callError{err, c}
		}
		resp = answer.ReplyOf(refusal).Response(req)
		if c.dest >= 0 {
			c.finishHeaders(resp) // the router's answers get the route's headers
		}
	}
	c.code = resp.StatusCode
	resp.Request = req
	c.tellFlags()
	c.observed.Response(resp)
	return resp, nil
}

// tellFlags hands the flags to telemetry.
func (c *call) tellFlags() { c.observed.Record.Flags = observe.ParseFlags(c.flags) }

// CallEnded is called once, when the answer's body has ended or there is none.
func (c *call) CallEnded(*observe.Call, error) {
	c.mesh.called.done()
	if c.mesh.life.Err() != nil {
		closeSoon(c.mesh.passthrough)
	}
}

// describe tells telemetry what the rules made of the request.
func (c *call) describe() {
	rec := &c.observed.Record
	if c.route != nil {
		rec.RouteName = c.route.Name()
	}
	if c.vhost != nil && c.vhost.Service != nil {
		s := c.vhost.Service
		rec.DestinationService = observe.NewService(s.Hostname, serviceName(s), s.Namespace)
	}
	if rec.Start.IsZero() {
		rec.Start = time.Now()
	}
}

// CloseIdleConnections closes what is idle, in the clusters' own pools or in the base.
func (t *transport) CloseIdleConnections() {
	if t.base != nil {
		closeIdle(t.base)
		return
	}
	t.mesh.passthrough.CloseIdleConnections()
	t.mesh.current.Load().eachCluster(func(c *cluster) { c.conns.CloseIdleConnections() })
}

// checkBases refuses rules that ask for TLS over a base of the user's that cannot do it.
func (m *Mesh) checkBases(s *snapshot) error {
	var err error
	m.bases.Range(func(t, _ any) bool {
		base := t.(*transport).base
		if canTLS(base) {
			return true
		}
		for name, c := range s.clusters {
			if c.conns.tls != nil {
				err = fmt.Errorf("mesh: cluster %s: the DestinationRule asks for TLS and the base transport %T cannot speak it", name, base)
				return false
			}
		}
		return true
	})
	return err
}
