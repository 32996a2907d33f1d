package mesh

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/compile"
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/route"
)

// Explain says what a client over [Mesh.Transport] would do with the request: nothing is sent, nothing is drawn, and
// the request's body is not touched.
func (m *Mesh) Explain(req *http.Request) (*Explanation, error) {
	if err := check(m, withHeader(req)); err != nil {
		return nil, err
	}
	c := newCall(m, m.current.Load(), nil)
	c.view = route.RequestOf(req)
	c.resolve()
	return c.explain(), nil
}

// ExplainGateway says what [Mesh.Gateway] of that name would do with the request. The URL's host is the authority if
// the request names none, and its port the one that the gateway listens on.
func (m *Mesh) ExplainGateway(name string, req *http.Request) (*Explanation, error) {
	if err := check(m, withHeader(req)); err != nil {
		return nil, err
	}
	c := newCall(m, m.current.Load(), nil)
	c.view = route.RequestOf(req)
	gw := c.snap.gateway(name, m.options.Workload.Namespace)
	if gw == nil {
		return nil, fmt.Errorf("mesh: no Gateway or Ingress %q; there are %s", name,
			strings.Join(slices.Sorted(maps.Keys(c.snap.out.Gateways)), ", "))
	}
	tls := c.view.Scheme == "https"
	c.resolveGateway(gw, c.view.Port, tls)
	if c.httpsRedirect && !tls {
		return &Explanation{Outcome: OutcomeRedirect, Code: http.StatusMovedPermanently, Location: httpsLocation(req)}, nil
	}
	return c.explain(), nil
}

func withHeader(req *http.Request) *http.Request {
	if req.Header != nil {
		return req
	}
	r := *req
	r.Header = http.Header{}
	return &r
}

// explain reads off what resolve has found.
func (c *call) explain() *Explanation {
	e := &Explanation{}
	vh := c.vhost
	if vh == nil {
		switch {
		case c.gateway:
			e.Outcome, e.Code = OutcomeNoRoute, http.StatusNotFound
		case c.snap.out.AllowAny:
			e.Outcome, e.VirtualHost = OutcomePassthrough, allowAny
			e.Path, e.Authority = original(&c.view), c.view.Authority
		default:
			e.Outcome, e.VirtualHost, e.Code = OutcomeBlocked, blockAll, http.StatusBadGateway
		}
		return e
	}
	e.VirtualHost = vh.Name
	if vh.Object != nil {
		e.VirtualService = vh.Object.Ref()
	}
	if vh.Router == nil {
		e.Outcome, e.Code = OutcomeNoRoute, http.StatusNotFound
		return e
	}
	hit, rejected := vh.Router.Explain(&c.view)
	places := &compile.Places{}
	for _, r := range rejected {
		at := &vh.Routes[r.Index]
		e.Rejected = append(e.Rejected, ExplainedRejects{Index: at.Index, Name: r.Name, Reason: r.Reason, Position: position(places, at)})
	}
	if hit == nil {
		e.Outcome, e.Code = OutcomeNoRoute, http.StatusNotFound
		return e
	}
	at := &vh.Routes[hit.Index()]
	if at.Object != nil {
		e.VirtualService = at.Object.Ref()
	}
	e.Route = &ExplainedRoute{Index: at.Index, Name: hit.Name(), Position: position(places, at)}
	e.Outcome = hit.Action().String()
	spec := hit.Spec()
	e.Fault, e.CORS = explainFault(spec.GetFault()), explainCORS(spec.GetCorsPolicy())
	switch hit.Action() {
	case route.Redirect:
		e.Code, e.Location = hit.Redirect(&c.view)
		_, e.ResponseHeaders = ops(hit, -1)
	case route.DirectResponse:
		code, body := hit.Direct()
		e.Code, e.Body = code, string(body)
		_, e.ResponseHeaders = ops(hit, -1)
	case route.Forward:
		if e.Fault != nil && c.action.perTry {
			e.Fault.Scope = "attempt"
		}
		c.explainForward(e, hit, at)
	}
	return e
}

// The names of Envoy's virtual hosts for hosts that nothing names.
const (
	allowAny = "allow_any"
	blockAll = "block_all"
)

func position(places *compile.Places, r *compile.Route) *finding.Position {
	if p := places.Of(r); p != (finding.Position{}) {
		return &p
	}
	return nil
}

func (c *call) explainForward(e *Explanation, hit *route.Route, at *compile.Route) {
	e.Path, _ = hit.Path(&c.view)
	if c.view.RawQuery != "" {
		e.Path += "?" + c.view.RawQuery
	}
	e.Authority = c.view.Authority
	if a := hit.Authority(0); a != "" {
		e.Authority = a
	}
	if t := hit.Timeout(); t > 0 {
		e.Timeout = t.String()
	}
	a := c.action
	if p := a.retry; p != nil {
		e.Retries = &ExplainedRetries{Attempts: p.Attempts(), RetryOn: p.RetryOn(), Backoff: p.Backoff().String()}
		if t := p.PerTryTimeout(); t > 0 {
			e.Retries.PerTryTimeout, e.Retries.Hedge = t.String(), p.Hedge
		}
	}
	for _, m := range at.Mirrors {
		e.Mirrors = append(e.Mirrors, ExplainedMirror{Cluster: m.At(c.view.Port).Name, Percentage: m.Percent})
	}
	dests := hit.Spec().GetRoute()
	level := 0 // one destination's operations are the route's
	if len(dests) > 1 {
		level = -1
	}
	e.RequestHeaders, e.ResponseHeaders = ops(hit, level)
	for i, ref := range at.Clusters {
		spec := ref.At(c.view.Port)
		d := ExplainedDestination{Cluster: spec.Name, Missing: spec.Missing}
		if len(at.Clusters) > 1 {
			d.Weight = int(dests[i].GetWeight())
			d.RequestHeaders, d.ResponseHeaders = some(hit.DestinationOps(i))
			if a := hit.Authority(i); a != hit.Authority(0) {
				d.Authority = cmp.Or(a, c.view.Authority)
			}
		}
		if spec.Missing == "" {
			c.explainEndpoints(&d, ref)
		}
		e.Destinations = append(e.Destinations, d)
	}
}

// explainEndpoints lists the addresses behind a destination, those in use and those that are ejected, and how one is
// picked.
func (c *call) explainEndpoints(d *ExplainedDestination, ref compile.ClusterRef) {
	cl, err := c.snap.cluster(c.mesh, ref, c.view.Port)
	if err != nil {
		return
	}
	if cl.direct {
		if !c.gateway {
			d.Endpoints = []string{c.view.Authority}
		}
		return
	}
	for _, e := range cl.members().balancer.Endpoints() {
		if e.Ejected() {
			d.Ejected = append(d.Ejected, e.Address)
		} else {
			d.Endpoints = append(d.Endpoints, e.Address)
		}
	}
	d.Balancing = cl.explainBalancing()
}

func ops(r *route.Route, dest int) (request, response *route.Ops) { return some(r.HeaderOps(dest)) }

// some leaves out what is empty.
func some(req, resp route.Ops) (request, response *route.Ops) {
	if anyOp(req) {
		request = lower(req)
	}
	if anyOp(resp) {
		response = lower(resp)
	}
	return request, response
}

// lower writes the names of headers as rules and Envoy do.
func lower(o route.Ops) *route.Ops {
	names := func(from map[string]string) map[string]string {
		var to map[string]string
		for k, v := range from {
			if to == nil {
				to = make(map[string]string, len(from))
			}
			to[strings.ToLower(k)] = v
		}
		return to
	}
	l := route.Ops{Set: names(o.Set), Add: names(o.Add)}
	for _, k := range o.Remove {
		l.Remove = append(l.Remove, strings.ToLower(k))
	}
	return &l
}

func explainFault(f *networking.HTTPFaultInjection) *ExplainedFault {
	if f == nil {
		return nil
	}
	out := &ExplainedFault{}
	if d := f.GetDelay(); d.GetFixedDelay() != nil {
		out.Delay = &ExplainedDelay{FixedDelay: d.GetFixedDelay().AsDuration().String(), Percentage: d.GetPercentage().GetValue()}
		if d.GetPercentage() == nil {
			out.Delay.Percentage = float64(d.GetPercent()) // the old form, still honoured
		}
	}
	if a := f.GetAbort(); a.GetErrorType() != nil {
		out.Abort = &ExplainedAbort{HTTPStatus: int(a.GetHttpStatus()), GRPCStatus: a.GetGrpcStatus(), Percentage: a.GetPercentage().GetValue()}
	}
	if out.Delay == nil && out.Abort == nil {
		return nil
	}
	return out
}

func explainCORS(p *networking.CorsPolicy) *ExplainedCORS {
	if p == nil {
		return nil
	}
	out := &ExplainedCORS{AllowMethods: p.GetAllowMethods(), AllowHeaders: p.GetAllowHeaders(), ExposeHeaders: p.GetExposeHeaders(),
		AllowCredentials: p.GetAllowCredentials().GetValue()}
	for _, o := range p.GetAllowOrigins() {
		switch t := o.GetMatchType().(type) {
		case *networking.StringMatch_Exact:
			out.AllowOrigins = append(out.AllowOrigins, t.Exact)
		case *networking.StringMatch_Prefix:
			out.AllowOrigins = append(out.AllowOrigins, t.Prefix+"*")
		case *networking.StringMatch_Regex:
			out.AllowOrigins = append(out.AllowOrigins, "~"+t.Regex)
		}
	}
	if p.GetMaxAge() != nil {
		out.MaxAge = p.GetMaxAge().AsDuration().String()
	}
	return out
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// httpsLocation is where a gateway sends plain HTTP: the same host, path and query, the port left out.
func httpsLocation(req *http.Request) string {
	authority := req.Host
	if authority == "" {
		authority = req.URL.Host
	}
	name, _ := host.Split(authority)
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	return "https://" + name + req.URL.RequestURI()
}

// Gateways are the names, "namespace/name", that [Mesh.Gateway] knows now, in order.
func (m *Mesh) Gateways() []string { return slices.Sorted(maps.Keys(m.current.Load().out.Gateways)) }
