package registry

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// serviceEntry makes one service for each host, or adds to the older one of the same namespace. ServiceEntries come
// oldest first.
func (b *builder) serviceEntry(o *rule.Object, spec *networking.ServiceEntry) {
	if spec.Resolution == networking.ServiceEntry_DYNAMIC_DNS {
		b.say(o, finding.Info, finding.CodeNotObeyed, "resolution",
			"DYNAMIC_DNS is done as NONE: the host of each request is resolved when it is dialled")
	}
	for i, name := range spec.Hosts {
		s := entryService(o, spec, host.Normal(name))
		k := key{s.Hostname, s.Namespace}
		older := b.byKey[k]
		path := fmt.Sprintf("hosts[%d]", i)
		switch {
		case older == nil:
			b.byKey[k] = s
			b.keep(s)
		case older.Kubernetes:
			older.SubjectAltNames = union(older.SubjectAltNames, spec.SubjectAltNames)
			b.say(o, finding.Warning, finding.CodeSuspicious, path,
				name+" is a Kubernetes service: only subjectAltNames are taken from here, no ports and no endpoints")
			continue
		default:
			older.SubjectAltNames = union(older.SubjectAltNames, spec.SubjectAltNames)
			b.join(older, s, path)
			s = older
		}
		b.entryEndpoints(s, o, spec)
	}
}

// entryService reads what a ServiceEntry says about one of its hosts.
func entryService(o *rule.Object, spec *networking.ServiceEntry, hostname string) *Service {
	s := &Service{
		Hostname: hostname, Name: o.Name, Namespace: o.Namespace, Addresses: spec.Addresses,
		External: spec.Location == networking.ServiceEntry_MESH_EXTERNAL, ExportTo: spec.ExportTo,
		SubjectAltNames: spec.SubjectAltNames, Labels: o.Labels, Object: o, Resolution: resolution(spec),
	}
	for _, p := range spec.Ports {
		port := Port{Number: int(p.Number), Name: p.Name, Protocol: entryProtocol(p.Protocol)}
		if p.TargetPort != p.Number {
			port.Target = int(p.TargetPort)
		}
		s.Ports = append(s.Ports, port)
	}
	return s
}

func resolution(spec *networking.ServiceEntry) Resolution {
	switch spec.Resolution {
	case networking.ServiceEntry_STATIC:
		return Static
	case networking.ServiceEntry_DNS:
		return DNS
	case networking.ServiceEntry_DNS_ROUND_ROBIN:
		return DNSRoundRobin
	}
	return Passthrough
}

// join adds the ports of a younger ServiceEntry, where both are alike otherwise. Its endpoints are added in any case.
func (b *builder) join(older, s *Service, path string) {
	if older.Resolution != s.Resolution || !maps.Equal(older.Labels, s.Labels) || !sameSet(older.ExportTo, s.ExportTo) {
		if !slices.EqualFunc(older.Ports, s.Ports, func(a, b Port) bool { return a.Number == b.Number }) ||
			older.Resolution != s.Resolution {
			b.say(s.Object, finding.Warning, finding.CodeSuspicious, path, fmt.Sprintf(
				"%s is declared by %s already, with another resolution, exportTo or labels: only endpoints are taken from here",
				s.Hostname, older.Object))
		}
		return
	}
	for _, p := range s.Ports {
		if _, ok := older.Port(p.Number); !ok {
			older.Ports = append(older.Ports, p)
			b.sets[older.index] = append(b.sets[older.index], nil)
		}
	}
	older.Addresses = union(older.Addresses, s.Addresses)
}

// entryEndpoints adds a ServiceEntry's endpoints to the ports of the service that have the name of one of its own.
func (b *builder) entryEndpoints(s *Service, o *rule.Object, spec *networking.ServiceEntry) {
	mode := resolution(spec)
	if s.Resolution == Passthrough || mode == Passthrough {
		return
	}
	byName := mode == DNS || mode == DNSRoundRobin
	var ws []*workload
	switch {
	case spec.WorkloadSelector != nil:
		ws = b.workloads[o.Namespace].selected(spec.WorkloadSelector.Labels)
	case len(spec.Endpoints) == 0 && byName:
		ws = []*workload{{name: true, ready: true, Endpoint: Endpoint{Address: s.Hostname, Workload: o.Name, Namespace: o.Namespace}}}
	default:
		for i, e := range spec.Endpoints {
			ws = append(ws, newEntry(e, e.Labels, fmt.Sprintf("%s-%d", o.Name, i), o.Namespace))
		}
	}
	for _, p := range spec.Ports {
		at := slices.IndexFunc(s.Ports, func(sp Port) bool { return sp.Name == p.Name })
		if at < 0 || mode == DNSRoundRobin && len(b.sets[s.index][at]) > 0 {
			continue
		}
		for _, w := range ws {
			if !w.ready {
				continue
			}
			socket := strings.HasPrefix(w.Address, unixPrefix)
			if w.name && !socket && (!byName || s.Resolution == Static) {
				continue // a name cannot be used where nothing is resolved
			}
			if socket && spec.WorkloadSelector != nil && !byName {
				continue
			}
			e := w.Endpoint
			switch {
			case socket:
				e.Port = 0
			case w.ports[p.Name] != 0:
				e.Port = w.ports[p.Name]
			case p.TargetPort != 0:
				e.Port = int(p.TargetPort)
			default:
				e.Port = int(p.Number)
			}
			if e.Address != "" {
				b.sets[s.index][at] = append(b.sets[s.index][at], e)
			}
		}
	}
}

// union is a with what b has more, in order.
func union(a, b []string) []string {
	out := slices.Clip(a)
	for _, x := range b {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}

func sameSet(a, b []string) bool {
	return len(union(a, b)) == len(union(nil, a)) && len(union(b, a)) == len(union(nil, b))
}
