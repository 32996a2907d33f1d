package registry

import (
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// Registry is all services with their endpoints. It is immutable and safe for concurrent use.
type Registry struct {
	domain   string
	services []*Service
}

// Build reads the set's services, endpoints, pods, ServiceEntries and WorkloadEntries. An empty domain is
// cluster.local. The findings tell what is understood otherwise than it seems.
func Build(set *rule.Set, domain string) (*Registry, []finding.Finding) { return &Registry{}, nil }

// Domain is the domain of Kubernetes services, "cluster.local" where nothing else was asked for.
func (r *Registry) Domain() string { return r.domain }

// Services are all services, in the order of the rules; the slice must not be changed. Several may have one
// hostname, in several namespaces.
func (r *Registry) Services() []*Service { return r.services }

// Visible are the services that a client in the namespace may see, one for each hostname, in order.
func (r *Registry) Visible(clientNamespace string) []*Service { return nil }

// Lookup is the service that a client in the namespace means by the hostname, a full one: the one in its own
// namespace, else a Kubernetes service, else the oldest that is exported to it; then likewise by the longest
// wildcard that covers the name. Nil: none.
func (r *Registry) Lookup(hostname, clientNamespace string) *Service { return nil }

// ByAddress is the service whose virtual IP, or whose narrowest range of them, the address is, among those that
// a client in the namespace may see. Nil: none.
func (r *Registry) ByAddress(ip, clientNamespace string) *Service { return nil }

// Names are all names by which a client in the namespace may call the service, the shortest first, without
// addresses: "a", "a.ns1", "a.ns1.svc", "a.ns1.svc.cluster.local", and the last one with a trailing dot.
func (r *Registry) Names(s *Service, clientNamespace string) []string { return nil }

// Endpoints are the endpoints behind one port of the service, always in the same order; the slice must not be
// changed. Nil where the service lacks the port, has no endpoints, or is of resolution Passthrough.
func (r *Registry) Endpoints(s *Service, port int) []Endpoint { return nil }

// WithEndpoints is a copy of the registry in which the port of the services of that hostname and namespace has
// these endpoints; everything else is shared. Port 0 means every port of theirs.
func (r *Registry) WithEndpoints(hostname, namespace string, port int, endpoints []Endpoint) *Registry {
	return r
}
