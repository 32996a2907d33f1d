package analyze

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/registry"
)

// destinations looks at all that a route leads to, mirrors included.
func (a *analysis) destinations(v *virtualService, path string, r *networking.HTTPRoute) {
	for i, d := range r.Route {
		a.destination(v, finding.Index(path+".route", i)+".destination", d.GetDestination())
	}
	a.destination(v, path+".mirror", r.Mirror)
	for i, m := range r.Mirrors {
		a.destination(v, finding.Index(path+".mirrors", i)+".destination", m.GetDestination())
	}
}

// destination looks for the host, its port and its subset.
func (a *analysis) destination(v *virtualService, path string, d *networking.Destination) {
	if d == nil || d.Host == "" || d.Host == "*" {
		return
	}
	h := resolve(d.Host, v.Namespace)
	services := a.services[h]
	switch {
	case len(services) == 0:
		a.undeclared(v, path+".host", h)
	case !slices.ContainsFunc(services, func(s *registry.Service) bool { return s.VisibleTo(v.Namespace) }) && v.scope.sees(v.Namespace):
		a.warn(v.Object, path+".host", codeUnresolved, "%s declares %s and does not export it to namespace %s, whose clients are answered 503",
			where(services[0].Object), h, v.Namespace)
	default:
		a.port(v, path, h, services, int(d.Port.GetNumber()))
	}
	if d.Subset != "" {
		a.subset(v, path+".subset", h, d.Subset, services)
	}
}

// undeclared warns of a host that is found by DNS, if at all; once for each rule.
func (a *analysis) undeclared(v *virtualService, path, h string) {
	at := place{v.Object, "host " + h, finding.CodeUndeclared}
	if a.said[at] {
		return
	}
	a.said[at] = true
	text := fmt.Sprintf("no Service and no ServiceEntry declares %s: it is looked up by DNS, at the port asked for", h)
	if full := h + ".svc." + host.DefaultDomain; strings.Count(h, ".") == 1 && len(a.services[full]) > 0 {
		text += "; did you mean " + full + "? Names with a dot are not completed"
	} else if list, ok := a.wildcards.Lookup(h); ok {
		text += fmt.Sprintf("; %s of %s says nothing of where one name is", list[0].Hostname, where(list[0].Object))
	}
	a.warn(v.Object, path, finding.CodeUndeclared, "%s", text)
}

// port looks for the port that is named, or that must be.
func (a *analysis) port(v *virtualService, path, h string, services []*registry.Service, number int) {
	if number != 0 {
		if !slices.ContainsFunc(services, func(s *registry.Service) bool { _, ok := s.Port(number); return ok }) {
			a.errorf(v.Object, path+".port.number", codeUnresolved, "%s has no port %d (it has %s): requests are answered 503", h, number, portsOf(services[0]))
		}
		return
	}
	s := services[0]
	if len(s.Ports) < 2 || v.delegate() {
		return
	}
	for _, p := range a.incoming(v, h) {
		if _, ok := s.Port(p); !ok {
			a.warn(v.Object, path+".port", codePort, "%s has several ports (%s) and none is named, so that the request's own counts: one on port %d is answered 503",
				h, portsOf(s), p)
			return
		}
	}
}

// incoming are the ports that requests of a rule may be for, as far as they are known.
func (a *analysis) incoming(v *virtualService, destination string) []int {
	var out []int
	for _, g := range v.gateways {
		if g := a.edge[g]; g != nil {
			out = append(out, g.ports...)
		}
	}
	if !v.onMesh() {
		return out
	}
	for _, h := range v.hosts {
		services := a.services[h]
		if len(services) == 0 && h != destination {
			out = append(out, 80) // where Istio answers for a host of no service
		}
		for _, s := range services {
			for _, p := range s.Ports {
				if p.Protocol.IsHTTP() {
					out = append(out, p.Number)
				}
			}
		}
	}
	return out
}

func portsOf(s *registry.Service) string {
	var out []string
	for _, p := range s.Ports {
		out = append(out, strconv.Itoa(p.Number))
	}
	if len(out) == 0 {
		return "none"
	}
	return some(out)
}

// subset looks for the DestinationRule that has the subset. Which rule counts depends on the client's namespace; the
// rule's own stands for it.
func (a *analysis) subset(v *virtualService, path, h, name string, services []*registry.Service) {
	owner := v.Namespace
	if len(services) > 0 {
		owner = services[0].Namespace
	} else if ns, ok := kubernetesNamespace(h); ok {
		owner = ns
	}
	own := a.policies.effective(h, v.Namespace, owner)
	if own != nil && own.has(name) {
		return
	}
	var elsewhere *view
	var others []string
	views := a.policies.views(h)
	for i := range views {
		if views[i].has(name) {
			elsewhere = &views[i]
			break
		}
		others = append(others, views[i].subsets()...)
	}
	switch {
	case elsewhere == nil && len(others) > 0:
		slices.Sort(others)
		a.errorf(v.Object, path, codeUnresolved, "no DestinationRule has subset %s of %s, only %s: requests are answered 503", name, h, some(slices.Compact(others)))
	case elsewhere == nil:
		a.errorf(v.Object, path, codeUnresolved, "no DestinationRule has subset %s of %s: requests are answered 503", name, h)
	case !v.onMesh() || !v.scope.sees(v.Namespace):
		// Clients of this namespace do not come here.
	case own == nil:
		a.warn(v.Object, path, codeUnresolved, "subset %s is only in %s, which clients in namespace %s do not see: they are answered 503",
			name, where(elsewhere.rules[0].Object), v.Namespace)
	default:
		a.warn(v.Object, path, codeUnresolved, "for clients in namespace %s, %s hides %s, which has subset %s: they are answered 503",
			v.Namespace, where(own.rules[0].Object), where(elsewhere.rules[0].Object), name)
	}
}

// kubernetesNamespace is the namespace in a name of the form service.namespace.svc.domain.
func kubernetesNamespace(h string) (string, bool) {
	rest, ok := strings.CutSuffix(h, ".svc."+host.DefaultDomain)
	if !ok {
		return "", false
	}
	_, ns, ok := strings.Cut(rest, ".")
	return ns, ok && !strings.Contains(ns, ".")
}

// some lists at most five of the words.
func some(words []string) string {
	if len(words) > 5 {
		return strings.Join(words[:5], ", ") + fmt.Sprintf(" and %d more", len(words)-5)
	}
	return strings.Join(words, ", ")
}
