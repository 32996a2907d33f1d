package analyze

import (
	"cmp"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/kube"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// serviceSelectors says which services have no endpoint, if there are workloads at all: rules alone say nothing of
// where services run.
func (a *analysis) serviceSelectors() {
	workloads := len(rule.All[*kube.Pod](a.set)) + len(rule.All[*networking.WorkloadEntry](a.set))
	if workloads == 0 {
		return
	}
	declared := map[string]bool{} // services whose endpoints are listed
	for _, o := range a.set.Objects() {
		switch o.Spec.(type) {
		case *kube.EndpointSlice:
			declared[o.Namespace+"/"+o.Labels[kube.ServiceNameLabel]] = true
		case *kube.Endpoints:
			declared[o.Ref()] = true
		}
	}
	for _, s := range a.registry.Services() {
		if s.Object == nil {
			continue
		}
		path := ""
		switch spec := s.Object.Spec.(type) {
		case *kube.Service:
			if path = "selector"; len(spec.Selector) == 0 || spec.Type == "ExternalName" || declared[s.Object.Ref()] {
				continue
			}
		case *networking.ServiceEntry:
			if path = "workloadSelector"; spec.WorkloadSelector == nil {
				continue
			}
		default:
			continue
		}
		found := len(s.Ports) == 0
		for _, p := range s.Ports {
			found = found || len(a.registry.Endpoints(s, p.Number)) > 0
		}
		if !found {
			a.say(s.Object, finding.Info, path, codeNoWorkloads, "selects no endpoint, of %d pods and WorkloadEntries in the rules: requests are answered 503", workloads)
		}
	}
}

// serviceEntries looks for ServiceEntries that differ about what is spoken on a port. The oldest one counts.
func (a *analysis) serviceEntries() {
	type key struct {
		scope, host string
		port        uint32
	}
	type entry struct {
		object   *rule.Object
		protocol string
	}
	first := map[key]entry{}
	for _, t := range rule.All[*networking.ServiceEntry](a.set) {
		// Public entries meet one another; private ones meet those of their own namespace.
		scope := ""
		if newScope(t.Spec.ExportTo, t.Namespace) != nil {
			scope = t.Namespace
		}
		for _, h := range t.Spec.Hosts {
			for i, p := range t.Spec.Ports {
				k := key{scope, resolve(h, ""), p.GetNumber()}
				have, ok := first[k]
				if !ok {
					first[k] = entry{t.Object, p.GetProtocol()}
				} else if have.object != t.Object && !strings.EqualFold(have.protocol, p.GetProtocol()) {
					a.warn(t.Object, finding.Index("ports", i)+".protocol", codeProtocols, "%s: %s has %s for port %d of %s",
						cmp.Or(p.GetProtocol(), "none"), where(have.object), cmp.Or(have.protocol, "none"), k.port, h)
				}
			}
		}
	}
}
