package compile

import (
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/route"
)

// compileMesh builds the table of the workload's own requests.
func (c *compiler) compileMesh() {
	t := &Table{
		exact: make(map[string]*entry, 5*len(c.in.Registry.Services())), suffix: map[string]*entry{},
		registry: c.in.Registry, client: c.in.Workload.Namespace,
	}
	c.out.Mesh = t
	c.fallback, _ = route.New(&networking.HTTPRoute{
		Name:  "default",
		Route: []*networking.HTTPRouteDestination{{Destination: &networking.Destination{Host: "default"}}},
	})
	listeners := c.listeners()
	services := make([][]*registry.Service, len(listeners))
	for i, l := range listeners {
		services[i] = c.services(l)
		for _, s := range services[i] {
			if _, ok := c.imported[s.Hostname]; !ok {
				c.imported[s.Hostname] = s
			}
		}
	}
	for i, l := range listeners {
		c.compileListener(t, l, services[i])
	}
	for _, s := range services {
		c.aliases(t, s)
	}
	for _, s := range c.in.Registry.Services() {
		t.entry(s.Hostname).service = true
	}
}

// owners are the rules bound to the mesh by the hosts that they name, the first one first.
type owners struct {
	exact map[string][]*virtualService
	wild  host.Table[[]*virtualService]
}

func (o *owners) add(h string, v *virtualService) {
	if host.IsWildcard(h) {
		list, _ := o.wild.Get(h)
		o.wild.Set(h, append(list, v))
		return
	}
	o.exact[h] = append(o.exact[h], v)
}

func (c *compiler) compileListener(t *Table, l *listener, services []*registry.Service) {
	cl := &client{gateway: mesh, namespace: c.in.Workload.Namespace, labels: c.in.Workload.Labels}
	own := &owners{exact: map[string][]*virtualService{}}
	for _, v := range c.rules {
		if !slices.Contains(v.gateways, mesh) || !l.seesRule(v) {
			continue
		}
		for i, h := range v.hosts {
			own.add(h, v)
			c.serveRule(t, l, cl, v, i)
		}
	}
	for _, s := range services {
		c.serveService(t, l, cl, own, s)
	}
}

// serveRule lets the rule answer one of its hosts on the ports that no service declares.
func (c *compiler) serveRule(t *Table, l *listener, cl *client, v *virtualService, i int) {
	p := c.program(v, cl)
	if len(p.routes) == 0 {
		return
	}
	h := v.hosts[i]
	e := t.entry(h)
	for _, a := range e.any {
		if a.listener != l || a.host.Object == v.object {
			continue
		}
		if a.program.ports == nil || p.ports != nil && !slices.ContainsFunc(p.ports, func(n int) bool { return !a.program.live(n) }) {
			c.warn(v.object, finding.Index("hosts", i), codeDuplicate,
				"%s is already answered by VirtualService %s, which comes first: this rule does not act on it", h, a.host.Object.Ref())
			return
		}
	}
	c.finish(p)
	e.any = append(e.any, anyPortHost{program: p, listener: l, host: &VirtualHost{
		Name: domainName(h, l.port), Object: v.object, Router: p.router, Routes: p.linked, Port: l.port}})
}

// domainName is Envoy's name of a virtual host; a host on any port ends in ":*".
func domainName(h string, port int) string {
	if strings.Contains(h, ":") {
		h = "[" + h + "]"
	}
	if port == 0 {
		return h + ":*"
	}
	return h + ":" + strconv.Itoa(port)
}

// serveService makes a virtual host for each port of the service: of the rule that owns its name, else of the
// most specific wildcard, else with the default route.
func (c *compiler) serveService(t *Table, l *listener, cl *client, own *owners, s *registry.Service) {
	candidates := own.exact[s.Hostname]
	if len(candidates) == 0 {
		if list, ok := own.wild.Lookup(s.Hostname); ok {
			candidates = list[:1]
		}
	}
	e := t.entry(s.Hostname)
	e.seen = append(e.seen, l)
	for _, port := range s.Ports {
		if !l.takes(port.Number) || slices.ContainsFunc(e.ports, func(vh *VirtualHost) bool { return vh.Port == port.Number }) {
			continue
		}
		e.ports = append(e.ports, c.virtualHost(cl, candidates, s, port))
	}
}

func (c *compiler) virtualHost(cl *client, candidates []*virtualService, s *registry.Service, port registry.Port) *VirtualHost {
	vh := &VirtualHost{Name: domainName(s.Hostname, port.Number), Service: s, Port: port.Number, Opaque: !port.Protocol.IsHTTP()}
	if !vh.Opaque {
		for _, v := range candidates {
			if p := c.program(v, cl); p.live(port.Number) {
				c.finish(p)
				vh.Object, vh.Router, vh.Routes = v.object, p.router, p.linked
				return vh
			}
		}
	}
	vh.Router = c.fallback
	vh.Routes = []Route{{Clusters: []ClusterRef{{fixed: c.cluster(c.target(s.Hostname), "", port.Number)}}}}
	return vh
}

// aliases lets every other name of a service, and its addresses, lead to its entry.
func (c *compiler) aliases(t *Table, services []*registry.Service) {
	namespace := c.in.Workload.Namespace
	for _, s := range services {
		e := t.exact[s.Hostname]
		if e == nil {
			continue
		}
		for _, n := range c.in.Registry.Names(s, namespace) {
			t.alias(n, e)
		}
		for _, a := range s.Addresses {
			if host.IsIP(a) && a != "0.0.0.0" && a != "::" {
				t.alias(a, e)
			}
		}
	}
	// A rule may name a Kubernetes service that no object declares: its short names count too.
	for _, v := range c.rules {
		for _, h := range v.hosts {
			ns, ok := kubernetesNamespace(h, c.domain)
			e := t.exact[h]
			if !ok || e == nil || c.declared[h] {
				continue
			}
			name, _, _ := strings.Cut(h, ".")
			for _, n := range c.in.Registry.Names(&registry.Service{Hostname: h, Name: name, Namespace: ns, Kubernetes: true}, namespace) {
				t.alias(n, e)
			}
		}
	}
}
