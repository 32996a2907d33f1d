package compile

import (
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// Gateway answers requests that come from outside, as a Gateway and the VirtualServices bound to it say, or an
// Ingress. It is immutable and safe for concurrent use.
type Gateway struct {
	// Name is "namespace/name".
	Name string
	// Object is the Gateway or Ingress.
	Object *rule.Object
	// Servers are those that speak HTTP once TLS is taken off, in the order of the rule.
	Servers []*Server

	// Servers that share a port and speak plain HTTP share a group; each one behind TLS has its own.
	groups []*serverGroup
}

// Server is one server of a Gateway.
type Server struct {
	// Port is the port of the rule; a process may listen on another one. Matches on a port compare with this one.
	Port int
	// TLS is true where the server takes TLS off.
	TLS bool
	// HTTPSRedirect is true where requests that did not come over TLS are answered with 301 to https.
	HTTPSRedirect bool
	// Hosts are the server's hosts without their namespaces, in lower case.
	Hosts []string
	// Spec is nil for an Ingress.
	Spec *networking.Server

	namespaces []string // parallel to Hosts; "*" is any
}

// serverGroup is servers that share their virtual hosts.
type serverGroup struct {
	port  int
	tls   bool
	taken host.Table[takenHost]    // the servers' own hosts
	hosts host.Table[*gatewayHost] // names that lead somewhere
	names []*gatewayHost
}

// takenHost is one host of a server.
type takenHost struct {
	pattern string
	server  *Server
}

// gatewayHost is a name that rules and servers agree on: its virtual host is nil where all that happens is a
// redirect to https.
type gatewayHost struct {
	pattern string
	server  *Server
	host    *VirtualHost
	rules   []*virtualService
}

// Lookup finds the server and the virtual host of a request for a name, in lower case, without port and brackets.
// The servers of that very port answer if there are any, else all of that kind (TLS or not): a process may
// listen on another port than the rule says. Where a server takes the host and no route leads on, the virtual
// host is nil (404 NR, unless the server redirects to https); where none takes the host, both are.
func (g *Gateway) Lookup(port int, tls bool, name string) (*Server, *VirtualHost) {
	if g == nil {
		return nil, nil
	}
	exact := false
	for _, s := range g.groups {
		exact = exact || s.tls == tls && s.port == port
	}
	var server *Server
	var vhost *VirtualHost
	pattern, leads := "", false
	for _, s := range g.groups {
		if s.tls != tls || exact && s.port != port {
			continue
		}
		t, ok := s.taken.Lookup(name)
		if !ok {
			continue
		}
		h, found := s.hosts.Lookup(name)
		// Behind TLS the most specific host wins, as with SNI; of plain servers, the first that leads anywhere.
		if server != nil && !(tls && host.Compare(t.pattern, pattern) < 0) && !(found && !leads) {
			continue
		}
		server, vhost, pattern, leads = t.server, nil, t.pattern, found
		if found {
			server, vhost = h.server, h.host
		}
	}
	return server, vhost
}

// VirtualHosts are all virtual hosts of the gateway, by port and then in the order of the rules.
func (g *Gateway) VirtualHosts() []*VirtualHost {
	var out []*VirtualHost
	for _, s := range g.groups {
		for _, h := range s.names {
			if h.host != nil {
				out = append(out, h.host)
			}
		}
	}
	return out
}
