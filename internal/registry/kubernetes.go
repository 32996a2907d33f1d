package registry

import (
	"strings"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/kube"
	"github.com/go-inmesh/inmesh/internal/rule"
)

const (
	annotationExportTo = "networking.istio.io/exportTo"
	annotationAccounts = "alpha.istio.io/canonical-serviceaccounts"
)

// kubeService reads a Kubernetes Service.
func (b *builder) kubeService(o *rule.Object, spec *kube.Service) *Service {
	s := &Service{
		Hostname: host.Resolve(o.Name, o.Namespace, b.domain), Name: o.Name, Namespace: o.Namespace,
		Resolution: Static, Kubernetes: true, Headless: spec.Headless(), Labels: o.Labels, Object: o,
		ExportTo: csv(o.Annotations[annotationExportTo]), SubjectAltNames: csv(o.Annotations[annotationAccounts]),
	}
	if !s.Headless {
		s.Addresses = spec.ClusterIPs
	}
	if spec.Type == "ExternalName" && spec.ExternalName != "" {
		s.Resolution, s.External, s.ExternalName = DNS, true, host.Normal(spec.ExternalName)
	}
	for _, p := range spec.Ports {
		target := p.TargetPort
		if target == p.Port {
			target = 0
		}
		s.Ports = append(s.Ports, Port{
			Number: p.Port, Name: p.Name, Protocol: serviceProtocol(p.Port, p.Name, p.Protocol, p.AppProtocol),
			Target: target, TargetName: p.TargetName,
		})
	}
	return s
}

func csv(list string) []string {
	if list == "" {
		return nil
	}
	out := strings.Split(list, ",")
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}

// kubeEndpoints finds the service's endpoints: those of its EndpointSlices, else of its Endpoints, else the pods
// that it selects; and the WorkloadEntries that it selects.
func (b *builder) kubeEndpoints(s *Service, spec *kube.Service) {
	if s.Resolution != Static {
		return
	}
	k := key{s.Name, s.Namespace}
	var selected []*workload
	if len(spec.Selector) > 0 {
		selected = b.workloads[s.Namespace].selected(spec.Selector)
	}
	if slices := b.slices[k]; len(slices) > 0 {
		b.fromSlices(s, slices)
	} else if e := b.endpoints[k]; e != nil {
		b.fromEndpoints(s, e)
	} else {
		b.fromWorkloads(s, selected, true, spec.PublishNotReady)
	}
	b.fromWorkloads(s, selected, false, false)
}

// fromWorkloads adds pods, or WorkloadEntries. An entry may give the port another number, by the name of the target
// or of the service's port; a target that has only a name must be found.
func (b *builder) fromWorkloads(s *Service, ws []*workload, pods, unready bool) {
	for i, p := range s.Ports {
		for _, w := range ws {
			if w.pod != pods || w.name || !w.ready && !unready {
				continue
			}
			e := w.Endpoint
			switch {
			case p.TargetName != "":
				e.Port = w.ports[p.TargetName]
			case !w.pod && w.ports[p.Name] != 0:
				e.Port = w.ports[p.Name]
			case p.Target != 0:
				e.Port = p.Target
			default:
				e.Port = p.Number
			}
			if e.Port != 0 {
				b.sets[s.index][i] = append(b.sets[s.index][i], e)
			}
		}
	}
}

// fromSlices adds the ready endpoints of EndpointSlices. Ports go together by name. An endpoint may stand in two
// slices while it moves from one to the other: it counts once.
func (b *builder) fromSlices(s *Service, slices []rule.Typed[*kube.EndpointSlice]) {
	for i, p := range s.Ports {
		seen := map[string]bool{}
		for _, slice := range slices {
			port, ok := namedPort(slice.Spec.Ports, p)
			if !ok {
				continue
			}
			for _, ep := range slice.Spec.Endpoints {
				if !ep.Ready {
					continue
				}
				for _, address := range ep.Addresses {
					if !seen[address] && host.IsIP(address) {
						seen[address] = true
						b.sets[s.index][i] = append(b.sets[s.index][i], b.endpoint(s, address, port, ep.Target, ep.NodeName, ep.Zone))
					}
				}
			}
		}
	}
	for _, slice := range slices {
		if slice.Spec.AddressType == "FQDN" {
			b.say(slice.Object, finding.Warning, finding.CodeNotObeyed, "/addressType", "FQDN endpoints are not read, as in Istio: use a ServiceEntry with resolution DNS")
		}
	}
}

// fromEndpoints adds the ready addresses of an Endpoints object.
func (b *builder) fromEndpoints(s *Service, e *kube.Endpoints) {
	for i, p := range s.Ports {
		for _, subset := range e.Subsets {
			port, ok := namedPort(subset.Ports, p)
			if !ok {
				continue
			}
			for _, a := range subset.Addresses {
				b.sets[s.index][i] = append(b.sets[s.index][i], b.endpoint(s, a.IP, port, a.Target, a.NodeName, ""))
			}
		}
	}
}

// namedPort is the number of the endpoints' port that bears the service port's name. A port without a number stands
// for every port.
func namedPort(ports []kube.EndpointPort, p Port) (int, bool) {
	for _, ep := range ports {
		if ep.Name != p.Name {
			continue
		}
		switch {
		case ep.Port != 0:
			return ep.Port, true
		case p.Target != 0:
			return p.Target, true
		}
		return p.Number, true
	}
	return 0, false
}

// endpoint is an address of a slice, with what its pod adds if the pod is known.
func (b *builder) endpoint(s *Service, address string, port int, target kube.Reference, node, zone string) Endpoint {
	e := Endpoint{Namespace: s.Namespace}
	if target.Name != "" && (target.Kind == "" || target.Kind == "Pod") {
		if target.Namespace == "" {
			target.Namespace = s.Namespace
		}
		if w := b.pods[key{target.Name, target.Namespace}]; w != nil {
			e = w.Endpoint
		} else {
			e.Workload = target.Name
		}
	}
	e.Address, e.Port = address, port
	if e.Locality == "" && zone != "" {
		e.Locality = joinLocality("", zone, "")
		e.Labels = WithPlace(e.Labels, e.Locality, e.Network, node)
	}
	return e
}
