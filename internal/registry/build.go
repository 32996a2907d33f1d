package registry

import (
	"net/netip"
	"slices"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/kube"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// key is what makes a service one: several documents may declare it.
type key struct{ hostname, namespace string }

// builder holds what is needed to build a registry only.
type builder struct {
	*Registry
	workloads map[string]*workloads // by namespace
	pods      map[key]*workload     // by name and namespace
	slices    map[key][]rule.Typed[*kube.EndpointSlice]
	endpoints map[key]*kube.Endpoints
	sets      [][][]Endpoint // parallel to services, then to their ports
	findings  []finding.Finding
}

// Build reads the set's services, endpoints, pods, ServiceEntries and WorkloadEntries. An empty domain is
// cluster.local. The findings tell what is understood otherwise than it seems.
func Build(set *rule.Set, domain string) (*Registry, []finding.Finding) {
	if domain == "" {
		domain = host.DefaultDomain
	}
	b := &builder{
		Registry: &Registry{
			domain: domain, byKey: map[key]*Service{}, byHost: map[string][]*Service{},
			byIP: map[netip.Addr][]*Service{}, aliases: map[string]string{},
		},
		workloads: map[string]*workloads{}, pods: map[key]*workload{},
		slices: map[key][]rule.Typed[*kube.EndpointSlice]{}, endpoints: map[key]*kube.Endpoints{},
	}
	var declared []*rule.Object // services and ServiceEntries
	for _, o := range set.Objects() {
		switch spec := o.Spec.(type) {
		case *kube.Service, *networking.ServiceEntry:
			declared = append(declared, o)
		case *kube.Pod:
			w := podWorkload(o, spec)
			b.pods[key{o.Name, o.Namespace}] = w
			if w.Address != "" {
				b.add(o.Namespace, w)
			}
		case *networking.WorkloadEntry:
			if w := entryWorkload(o, spec); w.Address != "" {
				b.add(o.Namespace, w)
			}
		case *kube.EndpointSlice:
			k := key{o.Labels[kube.ServiceNameLabel], o.Namespace}
			b.slices[k] = append(b.slices[k], rule.Typed[*kube.EndpointSlice]{Object: o, Spec: spec})
		case *kube.Endpoints:
			b.endpoints[key{o.Name, o.Namespace}] = spec
		}
	}
	slices.SortStableFunc(declared, rule.Older)

	// Kubernetes services come first: a ServiceEntry of the same host cannot take it from them.
	kubernetes := map[*rule.Object]*Service{}
	for _, o := range declared {
		if spec, ok := o.Spec.(*kube.Service); ok {
			s := b.kubeService(o, spec)
			kubernetes[o], b.byKey[key{s.Hostname, s.Namespace}] = s, s
		}
	}
	for _, o := range declared {
		switch spec := o.Spec.(type) {
		case *kube.Service:
			b.keep(kubernetes[o])
			b.kubeEndpoints(kubernetes[o], spec)
		case *networking.ServiceEntry:
			b.serviceEntry(o, spec)
		}
	}
	b.resolveAliases()
	b.index()
	return b.Registry, b.findings
}

func (b *builder) add(namespace string, w *workload) {
	ws := b.workloads[namespace]
	if ws == nil {
		ws = &workloads{with: map[[2]string][]*workload{}}
		b.workloads[namespace] = ws
	}
	ws.add(w)
}

// keep gives the service its place, with no endpoints yet.
func (b *builder) keep(s *Service) {
	s.index = len(b.services)
	b.services = append(b.services, s)
	b.sets = append(b.sets, make([][]Endpoint, len(s.Ports)))
}

func (b *builder) say(o *rule.Object, severity finding.Severity, code, path, message string) {
	b.findings = append(b.findings, o.Finding(finding.Fault{Path: path, Severity: severity, Code: code, Message: message}))
}

// resolveAliases follows ExternalName services that lead to another service of the set; those that lead out are
// services of their own, resolved by DNS.
func (b *builder) resolveAliases() {
	target := map[string]string{}
	known := map[string]*Service{}
	for _, s := range b.services {
		if s.ExternalName == "" {
			known[s.Hostname] = s
		} else if target[s.Hostname] == "" {
			target[s.Hostname] = s.ExternalName
		}
	}
	if len(target) == 0 {
		return
	}
	for _, s := range b.services {
		if s.ExternalName == "" {
			continue
		}
		end := s.ExternalName
		for range target { // no chain is longer than this; a loop ends somewhere on it
			next, ok := target[end]
			if !ok {
				break
			}
			end = next
		}
		switch to := known[end]; {
		case to != nil:
			b.aliases[s.Hostname] = to.Hostname
			for _, t := range b.services {
				if t.Hostname == to.Hostname && t.ExternalName == "" {
					t.Aliases = append(t.Aliases, s.Hostname)
				}
			}
		case target[end] != "":
			b.say(s.Object, finding.Warning, finding.CodeSuspicious, "externalName", "leads back to itself: no address will ever be found")
		default:
			s.ExternalName = end
			for i, p := range s.Ports {
				b.sets[s.index][i] = []Endpoint{{Address: end, Port: p.Number, Workload: s.Name, Namespace: s.Namespace}}
			}
		}
	}
}

// index makes what lookups need.
func (b *builder) index() {
	for _, s := range b.services {
		if b.aliased(s) {
			continue
		}
		if host.IsWildcard(s.Hostname) {
			list, ok := b.byWildcard.Get(s.Hostname)
			if !ok {
				b.wildcards = append(b.wildcards, s.Hostname)
			}
			b.byWildcard.Set(s.Hostname, append(list, s))
		} else {
			b.byHost[s.Hostname] = append(b.byHost[s.Hostname], s)
		}
		for _, a := range s.Addresses {
			if ip, err := netip.ParseAddr(a); err == nil {
				ip = ip.Unmap()
				b.byIP[ip] = append(b.byIP[ip], s)
			} else if p, err := netip.ParsePrefix(a); err == nil {
				if p.IsSingleIP() {
					b.byIP[p.Addr().Unmap()] = append(b.byIP[p.Addr().Unmap()], s)
				} else {
					b.ranges = append(b.ranges, addressRange{p.Masked(), s})
				}
			}
		}
	}
	slices.SortFunc(b.wildcards, host.Compare)
	slices.SortStableFunc(b.ranges, func(x, y addressRange) int { return y.prefix.Bits() - x.prefix.Bits() })
	b.chunks = chunked(b.sets)
}

func (r *Registry) aliased(s *Service) bool {
	_, ok := r.aliases[s.Hostname]
	return ok && s.ExternalName != ""
}
