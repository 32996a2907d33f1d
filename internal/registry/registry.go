package registry

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/go-inmesh/inmesh/internal/host"
)

// Registry is all services with their endpoints. It is immutable and safe for concurrent use.
type Registry struct {
	domain     string
	services   []*Service
	byKey      map[key]*Service
	byHost     map[string][]*Service // exact hostnames; the oldest service first
	byWildcard host.Table[[]*Service]
	wildcards  []string // the most specific first
	byIP       map[netip.Addr][]*Service
	ranges     []addressRange    // the narrowest first
	aliases    map[string]string // hostname of an ExternalName service to that of the service it leads to
	chunks     []*chunk
}

type addressRange struct {
	prefix  netip.Prefix
	service *Service
}

// Domain is the domain of Kubernetes services, "cluster.local" where nothing else was asked for.
func (r *Registry) Domain() string { return r.domain }

// Services are all services, the oldest first; the slice must not be changed. Several may have one hostname, in
// several namespaces. An ExternalName service that leads to another one is not among them: see Service.Aliases.
func (r *Registry) Services() []*Service {
	if len(r.aliases) == 0 {
		return r.services
	}
	var out []*Service
	for _, s := range r.services {
		if !r.aliased(s) {
			out = append(out, s)
		}
	}
	return out
}

// VisibleTo tells whether clients in the namespace may see the service, as its ExportTo says.
func (s *Service) VisibleTo(namespace string) bool {
	visible, _ := s.exported(namespace)
	return visible
}

// exported tells whether the service is visible, and whether the namespace is named for it.
func (s *Service) exported(namespace string) (visible, named bool) {
	if len(s.ExportTo) == 0 || slices.Contains(s.ExportTo, "*") {
		return true, false
	}
	if slices.Contains(s.ExportTo, "~") {
		return false, false
	}
	for _, e := range s.ExportTo {
		if e == namespace || e == "." && s.Namespace == namespace {
			return true, true
		}
	}
	return false, false
}

// pick chooses among services of one hostname, oldest first, as Istio's default scope does: the client's own
// namespace, then Kubernetes, then those exported to the client by name, then the oldest.
func pick(services []*Service, namespace string) *Service {
	var best *Service
	rank := -1
	for _, s := range services {
		visible, named := s.exported(namespace)
		if !visible {
			continue
		}
		n := 0
		switch {
		case s.Namespace == namespace:
			n = 3
		case s.Kubernetes:
			n = 2
		case named:
			n = 1
		}
		if n > rank {
			best, rank = s, n
		}
	}
	return best
}

// Visible are the services that a client in the namespace may see, one for each hostname, the oldest first.
func (r *Registry) Visible(clientNamespace string) []*Service {
	out := make([]*Service, 0, len(r.services))
	for _, s := range r.services {
		if !r.aliased(s) && r.Get(s.Hostname, clientNamespace) == s {
			out = append(out, s)
		}
	}
	return out
}

// Canonical is the hostname of the service that an ExternalName service of this hostname leads to; other hostnames are
// their own.
func (r *Registry) Canonical(hostname string) string {
	if to, ok := r.aliases[hostname]; ok {
		return to
	}
	return hostname
}

// Get is the service of exactly that hostname, which may be a wildcard, as a client in the namespace sees it: the one
// of its own namespace, else a Kubernetes service, else the oldest that is exported to it. The hostname of an
// ExternalName service is that of what it leads to. Nil: none.
func (r *Registry) Get(hostname, clientNamespace string) *Service {
	if host.IsWildcard(hostname) {
		list, _ := r.byWildcard.Get(hostname)
		return pick(list, clientNamespace)
	}
	return pick(r.byHost[r.Canonical(hostname)], clientNamespace)
}

// Lookup is the service that a client in the namespace means by the hostname, a full one in normal form: that of
// exactly this hostname as [Registry.Get] finds it, else of the longest wildcard that covers it. Nil: none.
func (r *Registry) Lookup(hostname, clientNamespace string) *Service {
	if s := r.Get(hostname, clientNamespace); s != nil {
		return s
	}
	list, ok := r.byWildcard.Lookup(hostname)
	if !ok {
		return nil
	}
	if s := pick(list, clientNamespace); s != nil {
		return s
	}
	for _, w := range r.wildcards { // the longest one is hidden from this client: another may not be
		if host.Match(w, hostname) {
			if s := r.Get(w, clientNamespace); s != nil {
				return s
			}
		}
	}
	return nil
}

// ByAddress is the service whose virtual IP, or whose narrowest range of them, the address is, among those that
// a client in the namespace may see. Nil: none.
func (r *Registry) ByAddress(ip, clientNamespace string) *Service {
	if len(r.byIP) == 0 && len(r.ranges) == 0 || !host.IsIP(ip) {
		return nil
	}
	addr, err := netip.ParseAddr(strings.Trim(ip, "[]"))
	if err != nil {
		return nil
	}
	addr = addr.Unmap()
	if s := pick(r.byIP[addr], clientNamespace); s != nil {
		return s
	}
	for _, a := range r.ranges {
		if a.prefix.Contains(addr) && a.service.VisibleTo(clientNamespace) {
			return a.service
		}
	}
	return nil
}

// Names are all names by which a client in the namespace may call the service, the shortest first, without
// addresses: "a", "a.ns1", "a.ns1.svc", "a.ns1.svc.cluster.local", and the last one with a trailing dot. Clients in
// other namespaces have no "a". The names of its aliases follow.
func (r *Registry) Names(s *Service, clientNamespace string) []string {
	out := host.Names(nil, s.Hostname, clientNamespace, r.domain)
	for _, a := range s.Aliases {
		out = host.Names(out, a, clientNamespace, r.domain)
	}
	return out
}
