package analyze

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/registry"
)

func (a *analysis) destinationRules() {
	a.merged()
	var led names
	for _, d := range a.policies.list {
		services := a.servicesOf(d)
		if len(services) == 0 && led == nil {
			led = a.ledTo()
		}
		if len(services) == 0 && !led.matches(d.host) {
			a.warn(d.Object, "host", codeUnknownHost, "no Service and no ServiceEntry declares %s and no route leads there: the rule acts on nothing", d.host)
		}
		a.outliers(d, services)
		a.emptySubsets(d, services)
		a.clientTLS(d, services)
		a.balanced(d)
	}
}

// servicesOf are the services that a rule is for.
func (a *analysis) servicesOf(d *destinationRule) []*registry.Service {
	if !host.IsWildcard(d.host) {
		return a.services[d.host]
	}
	var out []*registry.Service
	for i, s := range a.registry.Services() {
		if h := a.hostnames[i]; host.Match(d.host, h) || d.host[1:] == h {
			out = append(out, s)
		}
	}
	return out
}

// names are hosts that can be looked up by a wildcard.
type names map[string]bool

func (n names) matches(pattern string) bool {
	if n[pattern] || !host.IsWildcard(pattern) {
		return n[pattern]
	}
	for h := range n {
		if host.Match(pattern, h) {
			return true
		}
	}
	return false
}

// ledTo are all hosts that routes lead to.
func (a *analysis) ledTo() names {
	out := names{}
	for _, v := range a.rules {
		add := func(d *networking.Destination) {
			if d != nil {
				out[resolve(d.Host, v.Namespace)] = true
			}
		}
		for _, r := range v.Spec.Http {
			for _, d := range r.GetRoute() {
				add(d.GetDestination())
			}
			add(r.GetMirror())
			for _, m := range r.GetMirrors() {
				add(m.GetDestination())
			}
		}
		for _, r := range v.Spec.Tls { // these are not followed; that is said of them already
			for _, d := range r.GetRoute() {
				add(d.GetDestination())
			}
		}
		for _, r := range v.Spec.Tcp {
			for _, d := range r.GetRoute() {
				add(d.GetDestination())
			}
		}
	}
	return out
}

// merged looks at rules of one host in one namespace. The younger one adds to the older one what that one lacks;
// where they go to different clients, the younger one takes its place.
func (a *analysis) merged() {
	type key struct{ namespace, host string }
	groups := map[key][]*destinationRule{}
	var order []key
	for _, d := range a.policies.list {
		k := key{d.Namespace, d.host}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], d)
	}
	for _, k := range order {
		list := groups[k]
		for i, younger := range list {
			for _, older := range list[:min(i, maxCompared)] {
				if a.mergeInto(older, younger) {
					break
				}
			}
		}
	}
}

// mergeInto reports what of the younger rule is lost beside the older one; true where both go to the same clients.
func (a *analysis) mergeInto(older, younger *destinationRule) bool {
	if (older.Spec.WorkloadSelector == nil) != (younger.Spec.WorkloadSelector == nil) ||
		!maps.Equal(older.Spec.WorkloadSelector.GetMatchLabels(), younger.Spec.WorkloadSelector.GetMatchLabels()) {
		return false
	}
	if !slices.Equal(sorted(older.scope), sorted(younger.scope)) {
		if ns := older.Namespace; older.scope.sees(ns) && younger.scope.sees(ns) {
			a.warn(older.Object, "host", finding.CodeConflict, "for clients in namespace %s, %s, which is younger and has another exportTo, takes the place of this rule",
				ns, where(younger.Object))
		}
		return false
	}
	if p, q := older.Spec.TrafficPolicy, younger.Spec.TrafficPolicy; p != nil && q != nil && !proto.Equal(p, q) {
		a.warn(younger.Object, "trafficPolicy", finding.CodeConflict, "not used: %s, which is older, has the policy for %s", where(older.Object), younger.host)
	}
	for i, s := range younger.Spec.Subsets {
		at := slices.IndexFunc(older.Spec.Subsets, func(o *networking.Subset) bool { return o.GetName() == s.GetName() })
		if at >= 0 && !proto.Equal(older.Spec.Subsets[at], s) {
			a.warn(younger.Object, finding.Index("subsets", i)+".name", finding.CodeConflict, "not used: %s, which is older, has the subset %s of %s",
				where(older.Object), s.GetName(), younger.host)
		}
	}
	return true
}

func sorted(s scope) []string { return slices.Sorted(slices.Values(s)) }

// maxEndpoints bounds the endpoints of a service times the subsets that they are looked at for.
const maxEndpoints = 1 << 20

// emptySubsets warns of subsets that no endpoint is in, of services whose endpoints are known.
func (a *analysis) emptySubsets(d *destinationRule, services []*registry.Service) {
	if host.IsWildcard(d.host) {
		return
	}
	for i, s := range d.Spec.Subsets {
		known, found := 0, false
		for _, svc := range services {
			for _, p := range svc.Ports {
				endpoints := a.registry.Endpoints(svc, p.Number)
				known += len(endpoints)
				if len(endpoints)*len(d.Spec.Subsets) > maxEndpoints {
					return
				}
				found = found || len(registry.Subset(endpoints, s.GetLabels())) > 0
			}
		}
		if known > 0 && !found {
			a.warn(d.Object, finding.Index("subsets", i)+".labels", codeNoSubset,
				"no endpoint of %s, of %d, carries the labels of subset %s: requests to it are answered 503", d.host, known, s.GetName())
		}
	}
}
