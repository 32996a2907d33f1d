package destination

import (
	"maps"
	"slices"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// candidate is a DestinationRule on its way into the table, perhaps with later ones merged into it.
type candidate struct {
	typed    rule.Typed[*networking.DestinationRule]
	host     string
	exportTo []string // empty means everybody
	merged   *Merged  // nil until something is merged, or the candidate is chosen
}

// own tells whether clients in the rule's own namespace see it.
func (c *candidate) own() bool {
	return len(c.exportTo) == 0 || slices.ContainsFunc(c.exportTo, func(e string) bool {
		return e == "*" || e == "." || e == c.typed.Namespace
	})
}

// private tells whether nobody else does.
func (c *candidate) private() bool {
	return len(c.exportTo) == 1 && (c.exportTo[0] == "." || c.exportTo[0] == c.typed.Namespace)
}

// seenBy tells whether an exported rule reaches the namespace.
func (c *candidate) seenBy(namespace string) bool {
	return len(c.exportTo) == 0 || slices.Contains(c.exportTo, "*") || slices.Contains(c.exportTo, namespace)
}

func (c *candidate) selector() map[string]string {
	return c.typed.Spec.GetWorkloadSelector().GetMatchLabels()
}

// groups are the rules of one namespace by host. A list has more than one entry where exportTo or selectors differ.
type groups map[string][]*candidate

// add merges the rule into those of its host that go to the same clients; if there are none it stands for itself.
// Rules come oldest first, those with selectors before the others. A rule that is exported further than an older one
// adds to that one as well; so does a rule for all workloads, and still stands for the rest of them.
func (g groups) add(c *candidate) {
	alone := true
	for i, older := range g[c.host] {
		wide := len(older.exportTo) > 0 && subset(older.exportTo, c.exportTo)
		if !sameSet(older.exportTo, c.exportTo) && !wide {
			continue
		}
		selects := c.typed.Spec.WorkloadSelector != nil
		if selects && !maps.Equal(older.selector(), c.selector()) {
			continue
		}
		g[c.host][i] = older.with(c)
		if selects || older.typed.Spec.WorkloadSelector == nil {
			alone = false
		}
	}
	if alone {
		g[c.host] = append(g[c.host], c)
	}
}

// with is the candidate with what a younger one has more: subsets of new names, and the policy if it had none.
// Neither is changed, for the same candidate stands in several groups.
func (c *candidate) with(younger *candidate) *candidate {
	m := *c.rule()
	m.objects = append(slices.Clip(m.objects), younger.typed.Object)
	m.subsets = slices.Clip(m.subsets)
	for _, s := range younger.typed.Spec.Subsets {
		if m.subset(s.GetName()) == nil {
			m.subsets = append(m.subsets, s)
		}
	}
	if m.policy == nil {
		m.policy = younger.typed.Spec.TrafficPolicy
	}
	out := *c
	out.merged = &m
	return &out
}

// rule is what the candidate came to.
func (c *candidate) rule() *Merged {
	if c.merged == nil {
		c.merged = &Merged{
			Host: c.host, Namespace: c.typed.Namespace, policy: c.typed.Spec.TrafficPolicy,
			subsets: c.typed.Spec.Subsets, objects: []*rule.Object{c.typed.Object},
		}
	}
	return c.merged
}

// choose takes the first rule whose selector matches the client, else the last one without a selector; nil if there
// is neither. The last one: of two rules of one host with different exportTo, Istio lets the younger win.
func choose(list []*candidate, labels map[string]string) *Merged {
	var forAll *candidate
	for _, c := range list {
		if c.typed.Spec.WorkloadSelector == nil {
			forAll = c
		} else if registry.Carries(labels, c.selector()) {
			return c.rule()
		}
	}
	if forAll == nil {
		return nil
	}
	return forAll.rule()
}

func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(x string) bool { return !slices.Contains(b, x) })
}

func sameSet(a, b []string) bool { return subset(a, b) && subset(b, a) }
