// Package destination finds the DestinationRule of a service as a client sees it, merges those of one host, and
// works out the policy of one subset and port.
package destination

import (
	"slices"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// DefaultRootNamespace holds the rules of the whole mesh where nobody says otherwise.
const DefaultRootNamespace = "istio-system"

// Input is what DestinationRules are looked up for: one client.
type Input struct {
	Set *rule.Set
	// RootNamespace's rules hold for the whole mesh; empty means istio-system.
	RootNamespace string
	// Domain completes short hosts; empty means cluster.local.
	Domain string
	// Namespace and Labels are the client workload's.
	Namespace string
	Labels    map[string]string
}

// Rules are the DestinationRules as one client sees them. They are immutable and safe for concurrent use. Nil is
// valid and has no rules.
type Rules struct {
	// local are the rules of the client's own namespace. In the root namespace these are the private ones only: what
	// the root namespace exports comes last even for its own clients.
	local host.Table[*Merged]
	// exported are the rules that other namespaces let this client see, by namespace.
	exported map[string]*host.Table[*Merged]
	root     string
}

// Build sorts and merges the set's DestinationRules for one client.
func Build(in Input) *Rules {
	if in.RootNamespace == "" {
		in.RootNamespace = DefaultRootNamespace
	}
	all := rule.All[*networking.DestinationRule](in.Set)
	slices.SortStableFunc(all, func(a, b rule.Typed[*networking.DestinationRule]) int {
		// Rules with a selector come first, so that no rule for all is merged into one for some.
		if as, bs := a.Spec.WorkloadSelector != nil, b.Spec.WorkloadSelector != nil; as != bs {
			if as {
				return -1
			}
			return 1
		}
		return rule.Older(a.Object, b.Object)
	})
	local, exported := groups{}, map[string]groups{}
	for _, o := range all {
		d := &candidate{typed: o, exportTo: o.Spec.ExportTo, host: host.Resolve(o.Spec.Host, o.Namespace, in.Domain)}
		if o.Spec.WorkloadSelector != nil {
			d.exportTo = []string{"."} // what only some workloads of a namespace see is nobody else's
		}
		if o.Namespace == in.Namespace && d.own() && (in.Namespace != in.RootNamespace || d.private()) {
			local.add(d)
		}
		if !d.private() {
			if exported[o.Namespace] == nil {
				exported[o.Namespace] = groups{}
			}
			exported[o.Namespace].add(d)
		}
	}
	r := &Rules{exported: make(map[string]*host.Table[*Merged], len(exported)), root: in.RootNamespace}
	for h, list := range local {
		// A host whose rules are all for other workloads is kept too, without a rule: its namespace has spoken.
		r.local.Set(h, choose(list, in.Labels))
	}
	for namespace, g := range exported {
		t := new(host.Table[*Merged])
		for h, list := range g {
			t.Set(h, choose(slices.DeleteFunc(list, func(c *candidate) bool { return !c.seenBy(in.Namespace) }), in.Labels))
		}
		r.exported[namespace] = t
	}
	return r
}

// Lookup is the rule for the service of that hostname and namespace: of the client's namespace, else of the
// service's, else of the root namespace; the first of these with any rule for the host decides, with its most specific
// one. Nil: none, all is default. The hostname must be in normal form and may be a ServiceEntry's wildcard.
func (r *Rules) Lookup(hostname, serviceNamespace string) *Merged {
	if r == nil {
		return nil
	}
	if m, ok := find(&r.local, hostname); ok {
		return m
	}
	for _, namespace := range [...]string{serviceNamespace, r.root} {
		if t := r.exported[namespace]; t != nil {
			if m, _ := find(t, hostname); m != nil {
				return m
			}
		}
	}
	return nil
}

// find looks the hostname up. Here, unlike for requests, the star of "*a.com" may stand for nothing.
func find(t *host.Table[*Merged], hostname string) (*Merged, bool) {
	if m, ok := t.Get(hostname); ok {
		return m, true
	}
	if !host.IsWildcard(hostname) {
		if m, ok := t.Get("*" + hostname); ok {
			return m, true
		}
	}
	return t.Lookup(hostname)
}
