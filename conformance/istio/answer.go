package istio

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pilot/test/xdstest"
	"istio.io/istio/pkg/config/host"

	"github.com/go-inmesh/inmesh/conformance/world"
)

// NoListener is the outcome of a request to a port that a gateway does not listen on.
const NoListener = "noListener"

// Ask says what becomes of the request.
func (p *Proxy) Ask(r world.Request) (a world.Answer) {
	defer func() {
		if e := recover(); e != nil {
			a = world.Answer{Error: fmt.Sprint("panic: ", e)}
		}
	}()
	a = p.ask(r)
	a.Settle()
	return a
}

func (p *Proxy) ask(r world.Request) world.Answer {
	path, _, _ := strings.Cut(r.Path, "?")
	call := simulation.Call{
		Port: r.Port, Path: path, Protocol: simulation.HTTP, TLS: simulation.Plaintext, CallMode: p.mode,
		HostHeader: strings.ToLower(r.Host), Headers: http.Header{}, Address: p.address(r.Host),
	}
	if r.TLS {
		call.TLS, call.Sni = simulation.TLS, Hostname(r.Host)
	}
	found := p.sim.Run(call)
	switch {
	case errors.Is(found.Error, simulation.ErrNoListener):
		return world.Answer{Outcome: NoListener}
	case errors.Is(found.Error, simulation.ErrNoFilterChain), errors.Is(found.Error, simulation.ErrNoVirtualHost):
		return world.Answer{Outcome: world.NoRoute, Code: http.StatusNotFound}
	case errors.Is(found.Error, simulation.ErrTLSRedirect):
		return world.Answer{Outcome: world.Redirect, Code: http.StatusMovedPermanently, Location: "https://" + withoutPort(r.Host) + r.Path}
	case found.Error != nil && !errors.Is(found.Error, simulation.ErrNoRoute):
		return world.Answer{Error: found.Error.Error()}
	case found.VirtualHostMatched == "":
		return p.opaque(found.ClusterMatched, r)
	}
	vh := p.virtualHost(found)
	if vh == nil {
		return world.Answer{Error: "no virtual host " + found.VirtualHostMatched}
	}
	switch vh.Name {
	case "allow_any":
		return world.Answer{Outcome: world.Passthrough, Path: r.Path}
	case "block_all":
		return world.Answer{Outcome: world.Blocked, Code: http.StatusBadGateway}
	}
	m := &message{headers: map[string][]string{":method": {r.Method}, ":path": {r.Path}, ":authority": {r.Host}, ":scheme": {"http"}}}
	if r.TLS {
		m.headers[":scheme"] = []string{"https"}
	}
	for k, v := range r.Headers {
		m.headers[strings.ToLower(k)] = []string{v}
	}
	for _, x := range vh.GetRoutes() {
		if matchRoute(x.Match, m) {
			return p.describe(vh, x, m, r)
		}
	}
	return world.Answer{Outcome: world.NoRoute, Code: http.StatusNotFound}
}

// opaque is what becomes of a connection that no HTTP rule sees.
func (p *Proxy) opaque(name string, r world.Request) world.Answer {
	switch name {
	case "PassthroughCluster":
		return world.Answer{Outcome: world.Passthrough, Path: r.Path}
	case "BlackHoleCluster":
		return world.Answer{Outcome: world.Blocked, Code: http.StatusBadGateway}
	}
	return world.Answer{Outcome: world.Route, Dests: []world.Dest{{Cluster: name}}}
}

// Opaque tells whether the request goes to a port that speaks no HTTP, so that only the cluster can be compared.
func (p *Proxy) Opaque(r world.Request) bool {
	found := p.sim.Run(simulation.Call{Port: r.Port, Protocol: simulation.HTTP, CallMode: p.mode, HostHeader: strings.ToLower(r.Host),
		Headers: http.Header{}, Address: p.address(r.Host)})
	return found.Error == nil && found.VirtualHostMatched == "" && strings.HasPrefix(found.ClusterMatched, "outbound|")
}

// address is the virtual IP of the service that the caller's DNS would give for the name; empty if there is none.
func (p *Proxy) address(authority string) string {
	if p.mode != simulation.CallModeOutbound {
		return ""
	}
	for _, name := range p.fullNames(authority) {
		if s := p.proxy.SidecarScope.GetService(host.Name(name)); s != nil {
			if ip := net.ParseIP(s.GetAddressForProxy(p.proxy)); ip != nil && !ip.IsUnspecified() {
				return ip.String()
			}
		}
	}
	return ""
}

// Hostname is the name in a Host header, in lower case.
func Hostname(authority string) string {
	return strings.ToLower(withoutPort(authority))
}

func withoutPort(authority string) string {
	if h, _, err := net.SplitHostPort(authority); err == nil {
		return h
	}
	return authority
}

func (p *Proxy) virtualHost(found simulation.Result) *route.VirtualHost {
	for _, v := range p.routeConfig(found).GetVirtualHosts() {
		if v.Name == found.VirtualHostMatched {
			return v
		}
	}
	return nil
}

func (p *Proxy) routeConfig(found simulation.Result) *route.RouteConfiguration {
	if rc := xdstest.ExtractRouteConfigurations(p.sim.Routes)[found.RouteConfigMatched]; rc != nil {
		return rc
	}
	for _, l := range p.sim.Listeners {
		for _, fc := range append(l.FilterChains, l.DefaultFilterChain) {
			if l.Name == found.ListenerMatched && fc.GetName() == found.FilterChainMatched {
				if h := xdstest.ExtractHTTPConnectionManager(&testing.T{}, fc); h.GetRouteConfig() != nil {
					return h.GetRouteConfig()
				}
			}
		}
	}
	return nil
}

func (p *Proxy) describe(vh *route.VirtualHost, hit *route.Route, m *message, r world.Request) world.Answer {
	a := world.Answer{Route: hit.Name}
	if a.Route == "default" {
		a.Route = "" // Istio's name for what no rule says
	}
	for _, any := range hit.TypedPerFilterConfig {
		config, err := any.UnmarshalNew()
		if err != nil {
			return world.Answer{Error: err.Error()}
		}
		switch x := config.(type) {
		case *faultv3.HTTPFault:
			a.Fault = fault(x)
		case *corsv3.CorsPolicy:
			a.CORS = cors(x)
		}
	}
	request := clone(r.Headers)
	level := [2]operations{{hit.RequestHeadersToAdd, hit.RequestHeadersToRemove}, {hit.ResponseHeadersToAdd, hit.ResponseHeadersToRemove}}
	switch act := hit.GetAction().(type) {
	case *route.Route_Redirect:
		a.Outcome, a.Code, a.Location = world.Redirect, redirectCodes[act.Redirect.ResponseCode], redirectLocation(hit, m)
	case *route.Route_DirectResponse:
		a.Outcome, a.Code = world.DirectResponse, int(act.DirectResponse.Status)
		a.Body = act.DirectResponse.GetBody().GetInlineString()
		if b := act.DirectResponse.GetBody().GetInlineBytes(); b != nil {
			a.Body = string(b)
		}
	case *route.Route_Route:
		p.forward(&a, vh, hit, m, request, level)
		return a
	default:
		return world.Answer{Error: fmt.Sprintf("action %T", act)}
	}
	a.Response = world.Probe()
	level[1].apply(a.Response, formatter(request))
	return a
}

// forward describes a route that forwards. A weighted cluster's header operations come before the route's.
func (p *Proxy) forward(a *world.Answer, vh *route.VirtualHost, hit *route.Route, m *message, request world.Headers, level [2]operations) {
	a.Outcome = world.Route
	ra := hit.GetRoute()
	have := p.clusters()
	authority, _ := m.get(":authority")
	dest := func(name string, weight uint32, literal string, own [2]operations) {
		_, ok := have[name]
		d := world.Dest{Cluster: name, Weight: int(weight), Missing: !ok, Authority: authority}
		if literal != "" {
			d.Authority = literal
		}
		if l := ra.GetHostRewriteLiteral(); l != "" {
			d.Authority = l
		}
		d.Request, d.Response = clone(request), world.Probe()
		for _, l := range [][2]operations{own, level} {
			l[0].apply(d.Request, formatter(nil))
		}
		for _, l := range [][2]operations{own, level} {
			l[1].apply(d.Response, formatter(d.Request))
		}
		a.Dests = append(a.Dests, d)
	}
	if w := ra.GetWeightedClusters(); w != nil {
		for _, x := range w.Clusters {
			dest(x.Name, x.Weight.GetValue(), x.GetHostRewriteLiteral(),
				[2]operations{{x.RequestHeadersToAdd, x.RequestHeadersToRemove}, {x.ResponseHeadersToAdd, x.ResponseHeadersToRemove}})
		}
	} else {
		dest(ra.GetCluster(), 0, "", [2]operations{})
	}
	a.Path = rewritePath(hit, m)
	if t := ra.GetTimeout().AsDuration(); t > 0 {
		a.Timeout = t.String()
	}
	policy := ra.RetryPolicy
	if policy == nil {
		policy = vh.GetRetryPolicy()
	}
	a.Retries = retries(policy)
	for _, x := range ra.RequestMirrorPolicies {
		a.Mirrors = append(a.Mirrors, world.Mirror{Cluster: x.Cluster, Share: share(x.RuntimeFraction.GetDefaultValue())})
	}
}

func retries(p *route.RetryPolicy) *world.Retries {
	if p == nil {
		return nil
	}
	out := &world.Retries{Attempts: 1, On: strings.Split(p.RetryOn, ","), Backoff: "25ms"}
	if p.NumRetries != nil {
		out.Attempts = int(p.NumRetries.Value)
	}
	for _, c := range p.RetriableStatusCodes {
		out.On = append(out.On, strconv.Itoa(int(c)))
	}
	if p.PerTryTimeout != nil {
		out.PerTry = p.PerTryTimeout.AsDuration().String()
	}
	if b := p.RetryBackOff.GetBaseInterval(); b != nil {
		out.Backoff = b.AsDuration().String()
	}
	return out
}

func fault(f *faultv3.HTTPFault) *world.Fault {
	out := &world.Fault{}
	if d := f.Delay; d != nil {
		out.Delay, out.DelayShare = d.GetFixedDelay().AsDuration().String(), share(d.Percentage)
	}
	if b := f.Abort; b != nil {
		out.AbortShare = share(b.Percentage)
		switch e := b.ErrorType.(type) {
		case *faultv3.FaultAbort_HttpStatus:
			out.HTTP = int(e.HttpStatus)
		case *faultv3.FaultAbort_GrpcStatus:
			out.GRPC = strconv.Itoa(int(e.GrpcStatus))
		}
	}
	return out
}

// share is a fraction in millionths.
func share(p *typev3.FractionalPercent) int {
	switch p.GetDenominator() {
	case typev3.FractionalPercent_HUNDRED:
		return int(p.GetNumerator()) * 10000
	case typev3.FractionalPercent_TEN_THOUSAND:
		return int(p.GetNumerator()) * 100
	}
	return int(p.GetNumerator())
}

func cors(c *corsv3.CorsPolicy) *world.CORS {
	out := &world.CORS{Methods: c.AllowMethods, Headers: c.AllowHeaders, Expose: c.ExposeHeaders, MaxAge: c.MaxAge,
		Credentials: c.AllowCredentials.GetValue(), Ignore: c.ForwardNotMatchingPreflights != nil && !c.ForwardNotMatchingPreflights.Value}
	for _, o := range c.AllowOriginStringMatch {
		switch x := o.MatchPattern.(type) {
		case *matcher.StringMatcher_Exact:
			out.Origins = append(out.Origins, "="+x.Exact)
		case *matcher.StringMatcher_Prefix:
			out.Origins = append(out.Origins, "^"+x.Prefix)
		case *matcher.StringMatcher_SafeRegex:
			out.Origins = append(out.Origins, "~"+x.SafeRegex.GetRegex())
		}
	}
	return out
}
