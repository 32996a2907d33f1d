package compile

import (
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// compileGateways builds the servers of each Gateway and joins to their hosts the rules that are bound to it.
func (c *compiler) compileGateways() {
	bound := map[string][]*virtualService{}
	for _, v := range c.rules {
		for _, g := range v.gateways {
			if g != mesh && !slices.Contains(bound[g], v) {
				bound[g] = append(bound[g], v)
			}
		}
	}
	for _, t := range rule.All[*networking.Gateway](c.in.Set) {
		g := &Gateway{Name: t.Ref(), Object: t.Object}
		c.out.Gateways[g.Name] = g
		secure := map[string]bool{} // ports and hosts of servers with TLS settings
		for i, s := range t.Spec.Servers {
			if server := c.server(t.Object, i, s); server != nil && c.distinct(g, i, server, secure) {
				g.Servers = append(g.Servers, server)
				c.attach(g, server, bound[g.Name])
			}
		}
		for _, group := range g.groups {
			c.join(g.Name, group)
		}
	}
	c.compileIngresses()
}

// server reads one server; nil where it does not speak HTTP to us.
func (c *compiler) server(o *rule.Object, i int, spec *networking.Server) *Server {
	path := finding.Index("servers", i)
	s := &Server{Port: int(spec.GetPort().GetNumber()), Spec: spec, HTTPSRedirect: spec.GetTls().GetHttpsRedirect()}
	switch protocol := strings.ToUpper(spec.GetPort().GetProtocol()); protocol {
	case "HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTP_PROXY":
	case "HTTPS":
		mode := spec.GetTls().GetMode()
		if mode == networking.ServerTLSSettings_PASSTHROUGH || mode == networking.ServerTLSSettings_AUTO_PASSTHROUGH {
			c.warn(o, path+".tls.mode", finding.CodeNotObeyed, "%s is not supported: the server is left out", mode)
			return nil
		}
		s.TLS = true
	default:
		c.warn(o, path+".port.protocol", finding.CodeNotObeyed, "%s is not supported, only HTTP is: the server is left out", protocol)
		return nil
	}
	for _, h := range spec.GetHosts() {
		ns, name, ok := strings.Cut(h, "/")
		if !ok {
			ns, name = "*", h
		} else if ns == "." {
			ns = o.Namespace
		}
		s.Hosts, s.namespaces = append(s.Hosts, host.Normal(name)), append(s.namespaces, ns)
	}
	return s
}

// distinct tells whether no host of a server with TLS settings is taken by an earlier one on the port: Istio leaves
// out the whole server then.
func (c *compiler) distinct(g *Gateway, i int, s *Server, secure map[string]bool) bool {
	if s.Spec.GetTls() == nil {
		return true
	}
	key := func(h string) string { return fmt.Sprint(s.Port, s.Spec.Bind, " ", h) }
	for j, h := range s.Spec.Hosts {
		if secure[key(h)] {
			c.warn(g.Object, fmt.Sprintf("servers[%d].hosts[%d]", i, j), finding.CodeSuspicious,
				"an earlier server with TLS settings on port %d has %s: this server is left out, as in Istio", s.Port, h)
			return false
		}
	}
	for _, h := range s.Spec.Hosts {
		secure[key(h)] = true
	}
	return true
}

// attach adds the server's hosts to its group, each with the rules that share it.
func (c *compiler) attach(g *Gateway, s *Server, rules []*virtualService) {
	group := g.group(s)
	cl := c.through(g.Name, s.Port)
	for _, v := range rules {
		if len(c.program(v, cl).routes) == 0 {
			continue
		}
		for i, sh := range s.Hosts {
			if ns := s.namespaces[i]; ns != "*" && ns != v.object.Namespace {
				continue
			}
			for _, vh := range v.hosts {
				switch {
				case host.Match(sh, vh):
					group.add(vh, s, v)
				case host.Match(vh, sh):
					group.add(sh, s, v)
				}
			}
		}
	}
	for _, h := range s.Hosts {
		group.take(h, s)
	}
}

func (g *Gateway) group(s *Server) *serverGroup {
	if !s.TLS {
		for _, group := range g.groups {
			if !group.tls && group.port == s.Port {
				return group
			}
		}
	}
	group := &serverGroup{port: s.Port, tls: s.TLS}
	g.groups = append(g.groups, group)
	return group
}

// take lets the server answer for one of its hosts. The first server has it, unless a later one redirects.
func (g *serverGroup) take(name string, s *Server) {
	if _, ok := g.taken.Get(name); !ok {
		g.taken.Set(name, takenHost{name, s})
	}
	if s.HTTPSRedirect {
		g.add(name, s, nil)
	}
}

// add gives the name a place, and the rule a say in it. A server that redirects wins the name.
func (g *serverGroup) add(name string, s *Server, v *virtualService) {
	h, ok := g.hosts.Get(name)
	if !ok {
		h = &gatewayHost{pattern: name, server: s}
		g.hosts.Set(name, h)
		g.names = append(g.names, h)
	}
	if s.HTTPSRedirect {
		h.server = s
	}
	if v != nil && !slices.Contains(h.rules, v) {
		h.rules = append(h.rules, v)
	}
}

// join makes the virtual hosts of a group. Names that the same rules answer share their routes.
func (c *compiler) join(gateway string, g *serverGroup) {
	cl := c.through(gateway, g.port)
	joined := map[string]*program{}
	for _, h := range g.names {
		if len(h.rules) == 0 {
			continue
		}
		programs := make([]*program, len(h.rules))
		key := ""
		for i, v := range h.rules {
			programs[i] = c.program(v, cl)
			key += v.object.Ref() + ";"
		}
		p := programs[0]
		if len(programs) > 1 {
			if p = joined[key]; p == nil {
				p = concat(programs)
				joined[key] = p
			}
		}
		c.finish(p)
		h.host = &VirtualHost{Name: domainName(h.pattern, g.port), Object: h.rules[0].object, Router: p.router, Routes: p.linked, Port: g.port}
	}
}

// through is the client of requests that come in on a gateway's port.
func (c *compiler) through(gateway string, port int) *client {
	return &client{gateway: gateway, port: port, namespace: c.in.Workload.Namespace, labels: c.in.Workload.Labels}
}

// concat puts the routes of several rules on one host in a row, those that match everything at the end.
func concat(programs []*program) *program {
	out := &program{}
	var last []source
	for _, p := range programs {
		out.key += p.key + "+"
		for _, s := range p.routes {
			if !s.catchAll {
				out.routes = append(out.routes, s)
				continue
			}
			if n := len(s.spec.Match); n > 1 {
				// Only the last of its matches takes everything.
				head, tail := s, s
				head.spec, tail.spec = shallow(s.spec), shallow(s.spec)
				head.spec.Match, tail.spec.Match = s.spec.Match[:n-1], s.spec.Match[n-1:]
				head.catchAll = false
				out.routes, s = append(out.routes, head), tail
			}
			last = append(last, s)
		}
	}
	out.routes = append(out.routes, last...)
	return out
}
