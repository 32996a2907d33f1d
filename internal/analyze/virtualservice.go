package analyze

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/compile"
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// maxCompared bounds how many others an object is compared with, so that what contradicts itself a thousand times
// stays quick.
const maxCompared = 256

// mesh stands for the sidecars among a rule's gateways.
const mesh = "mesh"

// virtualService is a rule with its names completed.
type virtualService struct {
	rule.Typed[*networking.VirtualService]
	hosts    []string
	gateways []string // "mesh" or "namespace/name"
	scope    scope
	whole    bool // some route acts for every client and port of the mesh
}

func newVirtualService(t rule.Typed[*networking.VirtualService]) *virtualService {
	v := &virtualService{Typed: t, scope: newScope(t.Spec.ExportTo, t.Namespace)}
	for _, h := range t.Spec.Hosts {
		v.hosts = append(v.hosts, resolve(h, t.Namespace))
	}
	for _, g := range t.Spec.Gateways {
		v.gateways = append(v.gateways, gatewayRef(g, t.Namespace))
	}
	if len(v.gateways) == 0 {
		v.gateways = []string{mesh}
	}
	v.whole = v.forAll()
	return v
}

// delegate tells whether the rule only acts where others name it.
func (v *virtualService) delegate() bool { return len(v.Spec.Hosts) == 0 }

func (v *virtualService) onMesh() bool { return !v.delegate() && slices.Contains(v.gateways, mesh) }

// gatewayRef completes a gateway's name. An early form is the name of a service: name.namespace.svc.cluster.local.
func gatewayRef(name, namespace string) string {
	if name == mesh {
		return name
	}
	if ns, rest, ok := strings.Cut(name, "/"); ok {
		if ns == "." {
			ns = namespace
		}
		return ns + "/" + rest
	}
	if short, rest, ok := strings.Cut(name, "."); ok {
		ns, _, _ := strings.Cut(rest, ".")
		return ns + "/" + short
	}
	return namespace + "/" + name
}

func (a *analysis) virtualServices() {
	a.meshConflicts()
	a.gatewayConflicts()
	used := map[string]bool{} // delegates that a root names
	for _, v := range a.rules {
		a.boundGateways(v)
		a.actsOnHTTP(v)
		for i, r := range v.Spec.Http {
			if r == nil {
				continue
			}
			path := finding.Index("http", i)
			a.delegated(v, path, r, used)
			a.destinations(v, path, r)
			a.retried(v, path, r)
			a.matchGateways(v, path, r)
		}
	}
	for _, v := range a.rules {
		if v.delegate() && !used[v.Ref()] {
			a.warn(v.Object, "", finding.CodeSuspicious, "a VirtualService without hosts acts only where another one delegates to it, and none does")
		}
	}
}

// delegated follows a route's delegate.
func (a *analysis) delegated(v *virtualService, path string, r *networking.HTTPRoute, used map[string]bool) {
	if r.Delegate == nil || v.delegate() { // one that delegates again is an error already
		return
	}
	path += ".delegate"
	namespace := r.Delegate.Namespace
	if namespace == "" {
		namespace = v.Namespace
	}
	ref := namespace + "/" + r.Delegate.Name
	d := a.delegates[ref]
	used[ref] = true
	switch {
	case ref == v.Ref():
		a.errorf(v.Object, path, codeUnresolved, "the rule delegates to itself: the route is left out")
	case d == nil && a.roots[ref] != nil:
		a.errorf(v.Object, path, codeUnresolved, "VirtualService %s has hosts: a delegate has none; the route is left out", ref)
	case d == nil:
		a.errorf(v.Object, path, codeUnresolved, "no VirtualService %s: the route is left out", ref)
	case !d.scope.sees(v.Namespace):
		a.errorf(v.Object, path, codeUnresolved, "VirtualService %s is not exported to namespace %s: the route is left out", ref, v.Namespace)
	default:
		for j, leaf := range d.Spec.Http {
			if leaf != nil && leaf.Delegate == nil && !compile.Narrows(r, leaf) {
				a.warn(d.Object, finding.Index("http", j)+".match", finding.CodeSuspicious,
					"no match lies within those of %s of %s: the route is left out there", strings.TrimSuffix(path, ".delegate"), where(v.Object))
			}
		}
	}
}

// actsOnHTTP warns of hosts whose service speaks nothing that http routes could act on.
func (a *analysis) actsOnHTTP(v *virtualService) {
	if !v.onMesh() || len(v.Spec.Http) == 0 {
		return
	}
	for i, h := range v.hosts {
		services := a.services[h]
		if len(services) == 0 || slices.ContainsFunc(services, speaksHTTP) || len(services[0].Ports) == 0 {
			continue
		}
		p := services[0].Ports[0]
		a.warn(v.Object, finding.Index("hosts", i), finding.CodeSuspicious,
			"%s has no port of HTTP (%d is %s), so that http routes act on none of its ports", h, p.Number, p.Protocol)
	}
}

func speaksHTTP(s *registry.Service) bool {
	return slices.ContainsFunc(s.Ports, func(p registry.Port) bool { return p.Protocol.IsHTTP() })
}

// meshConflicts finds hosts of the mesh that several rules answer: the nearest wins, then the oldest, whole.
func (a *analysis) meshConflicts() {
	type claim struct {
		v *virtualService
		i int // in hosts
	}
	claims := map[string][]claim{}
	var hosts []string
	for _, v := range a.rules {
		if !v.onMesh() || len(v.Spec.Http) == 0 {
			continue
		}
		for i, h := range v.hosts {
			if claims[h] == nil {
				hosts = append(hosts, h)
			}
			claims[h] = append(claims[h], claim{v, i})
		}
	}
	for _, h := range hosts {
		list := claims[h]
		if len(list) < 2 {
			continue
		}
		slices.SortStableFunc(list, func(x, y claim) int { return rule.Older(x.v.Object, y.v.Object) })
		var winners []*virtualService
		for _, c := range list {
			at := slices.IndexFunc(winners, func(w *virtualService) bool { return w != c.v && w.scope.rivals(c.v.scope) })
			switch {
			case at >= 0:
				a.warn(c.v.Object, finding.Index("hosts", c.i), codeDuplicate,
					"%s is already answered by %s, which is older: this rule does not act on it", h, where(winners[at].Object))
			case c.v.whole && len(winners) < maxCompared:
				winners = append(winners, c.v)
			}
		}
	}
}

// forAll tells whether some route of the rule acts for every client and port of the mesh, so that no other rule is
// asked.
func (v *virtualService) forAll() bool {
	for _, r := range v.Spec.Http {
		if r == nil {
			continue
		}
		if len(r.Match) == 0 {
			return true
		}
		for _, m := range r.Match {
			if m.GetPort() != 0 {
				continue
			}
			if gs := m.GetGateways(); len(gs) > 0 && slices.Contains(gs, mesh) || len(gs) == 0 && len(m.GetSourceLabels()) == 0 && m.GetSourceNamespace() == "" {
				return true
			}
		}
	}
	return false
}
