package mesh

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/internal/answer"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/route"
	"github.com/go-inmesh/inmesh/route/balance"
)

// forward sends the request to one of the route's destinations: it is chosen once, for all attempts.
func (c *call) forward(req *http.Request) (*http.Response, error) {
	c.dest = 0
	if len(c.action.clusters) > 1 {
		c.dest = c.route.Split(c.mesh.options.Rand())
	}
	if c.cluster = c.action.clusters[c.dest]; c.cluster == nil {
		var err error
		ref := c.vhost.Routes[c.route.Index()].Clusters[c.dest]
		c.cluster, err = c.snap.cluster(c.mesh, ref, c.view.Port)
		if err != nil {
			c.observed.Record.Cluster = ref.At(c.view.Port).Name
			closeBody(req)
			return nil, err
		}
	}
	c.observed.Record.Cluster = c.cluster.name
	c.observed.Record.DestinationService = c.cluster.service
	extra := c.cluster.extra
	if extra != nil {
		if err := extra.admit(req); err != nil {
			return nil, err
		}
	}
	c.tried = c.triedBuf[:0]
	c.tries = route.Call{Retry: c.action.retry, Timeout: c.route.Timeout(), Rand: c.mesh.options.Rand, Permit: c.cluster.permit}
	out := c.outgoing(req)
	c.tries.Overrides = route.TakeOverrides(out.Header)
	if c.limit = c.tries.Begin(req.Context(), out); c.limit != req.Context() {
		out = out.WithContext(c.limit)
	}
	c.rewrite(out)
	c.tie(out)
	c.observed.Outgoing(out.Header)
	if len(c.action.mirrors) > 0 {
		defer c.mirror(out)()
	}
	resp, err := c.try(out)
	c.flags = addFlags(c.flags, c.tries.Flags)
	c.attempt = c.tries.Attempts
	c.observed.Record.Attempts = c.attempt
	if extra != nil {
		extra.ended(req.Context(), resp, err)
	}
	c.count(err)
	if err != nil {
		return nil, err
	}
	if resp.Header == nil {
		resp.Header = make(http.Header)
	}
	if took := c.observed.Record.UpstreamTime; took >= 0 { // an answer of an upstream's, not of a fault
		c.took[0] = strconv.FormatInt(took.Milliseconds(), 10)
		resp.Header["X-Envoy-Upstream-Service-Time"] = c.took[:]
	}
	c.finishHeaders(resp)
	c.addCookies(resp)
	return resp, nil
}

// try makes the attempts, one after another or, where the route hedges, side by side.
func (c *call) try(out *http.Request) (*http.Response, error) {
	if !c.tries.Hedges() {
		return c.tries.Do(out, c)
	}
	h := &hedges{call: c}
	defer h.settle()
	return c.tries.Do(out, h)
}

// count adds the call's end to what is told of its cluster.
func (c *call) count(err error) {
	cl, flags := c.cluster, c.tries.Flags
	if strings.Contains(flags, answer.RetriesExhausted) {
		cl.retryExhausted.Add(1)
	} else if err == nil && c.attempt > 1 && flags == "" {
		cl.retrySuccess.Add(1)
	}
	if err != nil && errors.Is(context.Cause(c.limit), route.ErrTimeout) && strings.Contains(flags, answer.UpstreamTimeout) {
		cl.timeouts.Add(1)
	}
}

func addFlags(flags, more string) string {
	if more == "" {
		return flags
	}
	for f := range strings.SplitSeq(more, ",") {
		flags = addFlag(flags, f)
	}
	return flags
}

// rewrite changes the outgoing request as the route says: headers, authority, path.
func (c *call) rewrite(out *http.Request) {
	if request, _ := c.action.changes(c.dest); request {
		c.route.RequestHeaders(c.dest, out.Header, c.env())
	}
	if a := c.route.Authority(c.dest); a != "" {
		out.Host = a
	}
	path, rewritten := c.route.Path(&c.view)
	if path != out.URL.Path || out.URL.RawPath != "" {
		route.SetPath(out.URL, path) // rewritten, or normalised
	}
	if rewritten {
		out.Header["X-Envoy-Original-Path"] = []string{original(&c.view)}
	}
}

// original is the path as it was, with its query.
func original(v *route.Request) string {
	if v.RawQuery == "" {
		return v.Path
	}
	return v.Path + "?" + v.RawQuery
}

// env is what header formatters may tell. The caller of a gateway is the one that connected.
func (c *call) env() *route.HeaderEnv {
	env := &route.HeaderEnv{Request: c.view, Protocol: c.observed.Record.Protocol, Start: c.observed.Record.Start, Route: c.route.Name(),
		ResponseFlags: c.flags, ResponseDetails: c.observed.Record.Details}
	if c.cluster != nil {
		env.Cluster = c.cluster.name
	}
	if c.endpoint != nil {
		env.Upstream = c.endpoint.Address
	}
	if c.gateway {
		env.RemoteAddr, env.LocalAddr, env.TLS = c.inbound.RemoteAddr, localAddr(c.inbound), c.inbound.TLS
	}
	return env
}

// finishHeaders gives a response the headers that the route's CORS policy and header operations ask for.
func (c *call) finishHeaders(resp *http.Response) {
	if cors := c.route.CORS(); cors != nil {
		cors.Apply(c.view.Header.Get("Origin"), resp.Header)
	}
	if _, response := c.action.changes(c.dest); response {
		env := c.env()
		env.ResponseCode = resp.StatusCode
		c.route.ResponseHeaders(c.dest, resp.Header, env)
	}
}

// permitRetry asks the cluster's maxRetries, or its retry budget, for leave.
func (c *cluster) permitRetry() (release func(), ok bool) {
	if !c.pool.AcquireRetry() {
		c.retryOverflow.Add(1)
		return nil, false
	}
	return c.pool.ReleaseRetry, true
}

// Send makes one attempt: it picks an endpoint, keeps within the limits, sends, and reports to outlier detection.
func (c *call) Send(req *http.Request, n int) (*http.Response, error) {
	c.attempt = n
	cl := c.cluster
	if f := c.action.fault; f != nil && c.action.perTry && !c.shadow {
		c.observed.Record.UpstreamTime, c.observed.Record.Details = -1, ""
		if resp, err := c.inject(req, f); resp != nil || err != nil {
			return resp, err
		}
	}
	scheme := c.view.Scheme
	if c.gateway {
		scheme = "http" // its TLS ends here
	}
	up, err := cl.conns.upstream(c.via, scheme, req, c.inbound)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	s := &c.first
	if n > 1 {
		s = new(sending)
	}
	s.call = c
	switch {
	case cl.direct && c.gateway:
		closeBody(req) // whoever is outside must not choose an address
		return nil, noHealthyUpstream(nil)
	case !cl.direct:
		if s.endpoint, err = cl.pick(req.Context(), c.via.base == nil, c.hints()); err != nil {
			closeBody(req)
			return nil, err
		}
		c.endpoint, s.state = s.endpoint, stateOf(s.endpoint)
		if c.avoidsTried() || c.action.retry.RemoteLocalities() {
			c.tried = append(c.tried, s.endpoint)
		}
		if c.hedges != nil {
			c.hedges.picked(n, s.endpoint)
		}
		req.URL.Host = s.endpoint.Address
		c.observed.Record.UpstreamHost, c.observed.Record.Destination = s.endpoint.Address, s.state.peer
	default:
		c.observed.Record.UpstreamHost = req.URL.Host
	}
	req.URL.Scheme = up.scheme
	cl.requests.Add(1)
	if n > 1 {
		cl.retries.Add(1)
	}
	rt := up.base
	if rt == nil {
		rt = cl.conns.pool(up.kind, s.state, req.URL) // it keeps within the limits itself
	} else if s.permit, err = cl.pool.Acquire(req.Context(), s.lane(), cl.conns.protocol(req, c.inbound)); err != nil {
		closeBody(req)
		return nil, err
	}
	if s.endpoint != nil {
		s.endpoint.Begin()
	}
	began := time.Now()
	if aspects := c.mesh.options.Aspects.Attempt; len(aspects) > 0 && !c.shadow {
		rt = wrapTransport(rt, aspects)
	}
	resp, err := rt.RoundTrip(req)
	c.observed.Record.UpstreamTime = time.Since(began)
	s.report(req.Context(), resp, err)
	if err != nil {
		s.done()
		return nil, err
	}
	s.wrap(resp)
	return resp, nil
}

// sending is one attempt in flight: it holds a permit and counts at its endpoint until the response's body ends.
type sending struct {
	io.ReadCloser // the response's body

	call     *call
	endpoint *balance.Endpoint // nil where the caller's own address is used
	state    *endpointState
	permit   breaker.Permit
	over     atomic.Bool
}

func (s *sending) lane() *breaker.Lane {
	if s.state == nil {
		return nil
	}
	return &s.state.lanes.limited
}

// report tells outlier detection how the attempt went. What the caller broke off says nothing of the endpoint.
func (s *sending) report(ctx context.Context, resp *http.Response, err error) {
	c := s.call
	result := resultOf(ctx, c.patron(), resp, err)
	switch {
	case result == breaker.ConnectFailed:
		c.cluster.connectFailures.Add(1)
	case result == breaker.TimedOut && ctx.Err() != nil && c.whole().Err() == nil:
		c.cluster.perTryTimeouts.Add(1)
	}
	if s.state != nil {
		s.state.host.Report(result)
	}
}

func resultOf(ctx, caller context.Context, resp *http.Response, err error) breaker.Result {
	if err == nil {
		return breaker.Result(statusOf(resp))
	}
	if caller.Err() != nil {
		return breaker.Ignored
	}
	if ctx.Err() != nil {
		if errors.Is(context.Cause(ctx), route.ErrTimeout) {
			return breaker.TimedOut
		}
		return breaker.Ignored // we gave it up for another one
	}
	switch route.Classify(err, true).Flag {
	case answer.UpstreamFailure:
		return breaker.ConnectFailed
	case answer.UpstreamTimeout:
		return breaker.TimedOut
	case answer.UpstreamClosed, answer.UpstreamReset, answer.UpstreamProtocol:
		return breaker.Reset
	}
	return breaker.Ignored // a refusal of an aspect, which says nothing of the endpoint
}

// statusOf is the status that counts: a gRPC status in the headers stands for its HTTP status.
func statusOf(resp *http.Response) int {
	if v := resp.Header["Grpc-Status"]; len(v) > 0 {
		if n, err := strconv.Atoi(v[0]); err == nil {
			return answer.HTTPStatus(n)
		}
	}
	return resp.StatusCode
}

// wrap ends the attempt with the response's body. One that can be written to, after an upgrade, still can.
func (s *sending) wrap(resp *http.Response) {
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	if resp.Body == http.NoBody {
		s.done()
		return
	}
	s.ReadCloser = resp.Body
	if w, ok := resp.Body.(io.Writer); ok {
		resp.Body = &upgraded{s, w}
		return
	}
	resp.Body = s
}

func (s *sending) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil {
		s.done()
	}
	return n, err
}

func (s *sending) Close() error {
	err := s.ReadCloser.Close()
	s.done()
	return err
}

// done gives back what the attempt held, once.
func (s *sending) done() {
	if s.over.Swap(true) {
		return
	}
	s.permit.Release()
	if s.endpoint != nil {
		s.endpoint.Done()
	}
	if cl := s.call.cluster; cl.conns.retired.Load() {
		closeSoon(&cl.conns)
	}
}

// upgraded is the body of a 101 response.
type upgraded struct {
	*sending
	io.Writer
}

func hostOnly(authority string) string {
	name, _ := host.Split(authority)
	return name
}
