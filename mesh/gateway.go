package mesh

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"

	"github.com/go-inmesh/inmesh/internal/answer"
	"github.com/go-inmesh/inmesh/internal/compile"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/route"
)

// Gateway is an ingress: it answers as a Gateway object's servers would, and forwards what the VirtualServices that
// are bound to it say. The name is "name" in the workload's own namespace or "namespace/name"; an Ingress of that name
// serves too. The listening port chooses the server where one has that number, else whether the connection is TLS.
// A gateway that the rules do not have answers 404, as does a host of no rule.
//
// RequestAuthentications and AuthorizationPolicies that apply to the workload are obeyed, and routes may match claims of
// the tokens. Refusals are answered as a sidecar would. Headers that outsiders could forge (x-envoy-*, x-forwarded-client-cert)
// are taken from the request; x-forwarded-for and x-forwarded-proto are added.
//
// See https://istio.io/latest/docs/reference/config/networking/gateway/.
func (m *Mesh) Gateway(name string) http.Handler {
	g := &gateway{mesh: m, name: name}
	g.proxy = httputil.ReverseProxy{
		Rewrite:      g.rewrite,
		Transport:    &transport{mesh: m, local: true, edge: true, logical: wrapTransport(terminal{}, m.options.Aspects.Request)},
		ErrorLog:     slog.NewLogLogger(m.options.Logger.Handler(), slog.LevelDebug),
		ErrorHandler: g.failed,
	}
	g.chain = m.extensions.edge().wrap(wrapHandler(http.HandlerFunc(g.forward), m.options.Aspects.AfterAuthorization))
	g.chain = &guard{mesh: m, edge: true, next: g.chain}
	g.chain = wrapHandler(g.chain, m.options.Aspects.BeforeAuthorization)
	return g
}

type gateway struct {
	mesh  *Mesh
	name  string
	proxy httputil.ReverseProxy
	chain http.Handler
}

// forged are headers that mean something to the mesh and that an outsider must not set.
func forged(name string) bool {
	return strings.HasPrefix(name, "X-Envoy-") || name == "X-Forwarded-Client-Cert" || name == "X-Request-Id"
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := g.mesh
	m.served.begin()
	defer m.served.done()
	if m.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	c := newCall(m, m.current.Load(), nil)
	c.Context, c.peer, c.gateway = r.Context(), peerOf(r), true
	r = r.WithContext(c)
	h := make(http.Header, len(r.Header))
	for k, v := range r.Header {
		if !forged(k) {
			h[k] = v
		}
	}
	r.Header = h
	g.chain.ServeHTTP(w, r)
}

// forward looks the request up and answers it, or has it proxied.
func (g *gateway) forward(w http.ResponseWriter, r *http.Request) {
	c := callOf(r.Context())
	if r.Method == http.MethodConnect {
		answer.ReplyOf(notFound()).Write(w, r) // no route of a Gateway matches CONNECT
		return
	}
	if r.Host == "" {
		w.WriteHeader(http.StatusBadRequest) // HTTP/1.0 allows it; there is nothing to go by
		return
	}
	c.view, c.inbound = route.RequestOf(r), r
	c.view.Claims = c.claims
	gw := c.snap.gateway(g.name, g.mesh.options.Workload.Namespace)
	if gw != nil {
		c.resolveGateway(gw, localPort(r), r.TLS != nil)
	}
	if c.httpsRedirect && !strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") && r.TLS == nil {
		w.Header().Set("Location", httpsLocation(r))
		w.WriteHeader(http.StatusMovedPermanently)
		return
	}
	g.proxy.ServeHTTP(w, r)
}

// arrive takes over what the gateway found out about the request that came in.
func (c *call) arrive(at *call) {
	c.view, c.vhost, c.route, c.action = at.view, at.vhost, at.route, at.action
	c.gateway, c.inbound, c.peer = true, at.inbound, at.peer
}

// resolveGateway finds the server and the virtual host of the gateway.
func (c *call) resolveGateway(gw *compile.Gateway, port int, tls bool) {
	name, _ := host.Split(c.view.Authority)
	server, vh := gw.Lookup(port, tls, host.Normal(name))
	c.gateway = true
	if server != nil {
		c.httpsRedirect = server.HTTPSRedirect
		c.view.Port = server.Port
	}
	c.setVirtualHost(vh)
}

// localPort is the port that the connection came in on; 0 if unknown, as in a test.
func localPort(r *http.Request) int {
	_, p, err := net.SplitHostPort(localAddr(r))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(p)
	return n
}

// localAddr is our end of the connection that a request came in on.
func localAddr(r *http.Request) string {
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return addr.String()
	}
	return ""
}

// rewrite makes the request that goes to the transport: it keeps host, path and query as they came.
func (g *gateway) rewrite(pr *httputil.ProxyRequest) {
	pr.Out.URL.Scheme = callOf(pr.In.Context()).view.Scheme
	pr.Out.URL.Host = pr.In.Host
	pr.Out.Host = pr.In.Host
	pr.Out.URL.RawQuery = pr.In.URL.RawQuery // the proxy drops what net/url cannot parse
	pr.Out.Trailer = pr.In.Trailer           // the same map: its values come with the body's end
	if prior, ok := pr.In.Header["X-Forwarded-For"]; ok {
		pr.Out.Header["X-Forwarded-For"] = prior
	}
	pr.SetXForwarded()
}

// failed answers what the transport could not; it answers refusals itself, so this is the caller gone.
func (g *gateway) failed(w http.ResponseWriter, r *http.Request, err error) {
	if e := refusalOf(err); e != nil {
		answer.ReplyOf(e).Write(w, r)
		return
	}
	w.WriteHeader(http.StatusBadGateway)
}
