package analyze

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/destination"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// destinationRule is a DestinationRule with its host completed.
type destinationRule struct {
	rule.Typed[*networking.DestinationRule]
	host  string
	scope scope
}

// policies finds the DestinationRules of a host, namespace by namespace.
type policies struct {
	list   []*destinationRule // the oldest first
	exact  map[string][]*destinationRule
	wild   map[string]*host.Table[[]*destinationRule] // by namespace
	places []string                                   // the namespaces of wild, sorted
}

func newPolicies(set *rule.Set) policies {
	p := policies{exact: map[string][]*destinationRule{}, wild: map[string]*host.Table[[]*destinationRule]{}}
	for _, t := range rule.All[*networking.DestinationRule](set) {
		d := &destinationRule{Typed: t, host: resolve(t.Spec.Host, t.Namespace), scope: newScope(t.Spec.ExportTo, t.Namespace)}
		if t.Spec.WorkloadSelector != nil {
			d.scope = scope{t.Namespace}
		}
		p.list = append(p.list, d)
	}
	slices.SortStableFunc(p.list, func(x, y *destinationRule) int { return rule.Older(x.Object, y.Object) })
	for _, d := range p.list {
		if !host.IsWildcard(d.host) {
			p.exact[d.host] = append(p.exact[d.host], d)
			continue
		}
		t := p.wild[d.Namespace]
		if t == nil {
			t = new(host.Table[[]*destinationRule])
			p.wild[d.Namespace] = t
			p.places = append(p.places, d.Namespace)
		}
		list, _ := t.Get(d.host)
		t.Set(d.host, append(list, d))
	}
	slices.Sort(p.places)
	return p
}

// in is what one namespace says of a host, as far as clients in another see it; nil for nothing.
func (p *policies) in(namespace, h, client string) *view {
	v := view{namespace: namespace}
	add := func(list []*destinationRule) {
		for _, d := range list {
			if d.Namespace == namespace && d.scope.sees(client) {
				v.rules = append(v.rules, d)
			}
		}
	}
	if add(p.exact[h]); len(v.rules) == 0 {
		add(p.wildcard(namespace, h))
	}
	if len(v.rules) == 0 {
		return nil
	}
	return &v
}

// wildcard are a namespace's rules of the longest wildcard that names the host.
func (p *policies) wildcard(namespace, h string) []*destinationRule {
	t := p.wild[namespace]
	if t == nil {
		return nil
	}
	if list, ok := t.Get("*" + h); ok { // the star may stand for nothing, as in Istio
		return list
	}
	list, _ := t.Lookup(h)
	return list
}

// effective is what counts for clients in a namespace, of a service in another: their own namespace's rules, else the
// service's, else those of the root namespace, as far as they see them. Nil: none.
func (p *policies) effective(h, client, owner string) *view {
	for _, ns := range [...]string{client, owner, destination.DefaultRootNamespace} {
		if v := p.in(ns, h, client); v != nil {
			return v
		}
	}
	return nil
}

// view is what one namespace says of a host: the rules of the most specific pattern.
type view struct {
	namespace string
	rules     []*destinationRule
}

// views are those of all namespaces that say anything, in order.
func (p *policies) views(h string) []view {
	var out []view
	add := func(namespace string, d ...*destinationRule) {
		for i := range out {
			if out[i].namespace == namespace {
				out[i].rules = append(out[i].rules, d...)
				return
			}
		}
		out = append(out, view{namespace, slices.Clone(d)})
	}
	for _, d := range p.exact[h] {
		add(d.Namespace, d)
	}
	exact := len(out)
	for _, ns := range p.places {
		if slices.ContainsFunc(out[:exact], func(v view) bool { return v.namespace == ns }) {
			continue
		}
		if list := p.wildcard(ns, h); len(list) > 0 {
			add(ns, list...)
		}
	}
	slices.SortStableFunc(out, func(x, y view) int { return strings.Compare(x.namespace, y.namespace) })
	return out
}

// has tells whether any of the rules has the subset.
func (v *view) has(subset string) bool {
	return slices.ContainsFunc(v.rules, func(d *destinationRule) bool {
		return slices.ContainsFunc(d.Spec.Subsets, func(s *networking.Subset) bool { return s.GetName() == subset })
	})
}

func (v *view) subsets() []string {
	var out []string
	for _, d := range v.rules {
		for _, s := range d.Spec.Subsets {
			out = append(out, s.GetName())
		}
	}
	return out
}
