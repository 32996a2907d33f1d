package identity

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	security "istio.io/api/security/v1"
	typev1beta1 "istio.io/api/type/v1beta1"
)

// Policy is an AuthorizationPolicy with what stands outside its spec.
// See https://istio.io/latest/docs/reference/config/security/authorization-policy/.
type Policy struct {
	Namespace, Name string
	// DryRun is the annotation istio.io/dry-run: the policy is judged and counted, and decides nothing.
	DryRun bool
	Spec   *security.AuthorizationPolicy
}

// PolicyOptions say what policies refer to. Nil, and every zero field, works.
type PolicyOptions struct {
	// TrustDomain is our own. Empty means "cluster.local".
	TrustDomain string
	// TrustDomainAliases are its other names: principals of one are those of all.
	TrustDomainAliases []string
	// Providers are asked by policies with the action CUSTOM. One that is not here denies what it would be asked about.
	Providers map[string]Provider
}

// Policies are the AuthorizationPolicies of one workload, compiled. They are safe for concurrent use. Nil ones allow
// everything.
type Policies struct {
	custom []customRules
	audit  *ruleSet
	deny   *ruleSet
	allow  *ruleSet // nil: no policy allows, so that everything is allowed that none denies
	try    struct{ deny, allow *ruleSet }
	stats  policyStats
}

type customRules struct {
	name     string
	provider Provider
	*ruleSet
}

type policyStats struct {
	denied, audited, tryAllowed, tryDenied atomic.Uint64
}

// PolicyStats counts what policies decided.
type PolicyStats struct {
	// Denied counts the requests refused, Audited those that a policy with the action AUDIT names.
	Denied, Audited uint64
	// DryRunAllowed and DryRunDenied are what policies in dry run would have decided.
	DryRunAllowed, DryRunDenied uint64
}

// NewPolicies compiles the policies that apply to a workload, see [Workload.Selects]. It returns nil where there are
// none. All faults come at once.
func NewPolicies(list []Policy, o *PolicyOptions) (*Policies, error) {
	if len(list) == 0 {
		return nil, nil
	}
	if o == nil {
		o = &PolicyOptions{}
	}
	domains := append([]string{cmp.Or(o.TrustDomain, "cluster.local")}, o.TrustDomainAliases...)
	var (
		audit, deny, allow, tryDeny, tryAllow []*policyRule
		custom                                = map[string][]*policyRule{}
		allows, tryAllows                     bool
		errs                                  []error
	)
	for i := range list {
		p := &list[i]
		action := p.Spec.GetAction()
		c := compiler{policy: p, domains: domains, allow: action == security.AuthorizationPolicy_ALLOW}
		var rules []*policyRule
		for j := range p.Spec.GetRules() {
			r, err := c.rule(j)
			if err != nil {
				errs = append(errs, err)
			} else if r != nil {
				rules = append(rules, r)
			}
		}
		switch action {
		case security.AuthorizationPolicy_ALLOW:
			if p.DryRun {
				tryAllow, tryAllows = append(tryAllow, rules...), true
			} else {
				allow, allows = append(allow, rules...), true
			}
		case security.AuthorizationPolicy_DENY:
			if p.DryRun {
				tryDeny = append(tryDeny, rules...)
			} else {
				deny = append(deny, rules...)
			}
		case security.AuthorizationPolicy_AUDIT:
			if !p.DryRun {
				audit = append(audit, rules...)
			}
		case security.AuthorizationPolicy_CUSTOM:
			name := p.Spec.GetProvider().GetName()
			custom[name] = append(custom[name], rules...)
		default:
			errs = append(errs, fmt.Errorf("identity: AuthorizationPolicy %s/%s: action: %d is not an action", p.Namespace, p.Name, action))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	out := &Policies{audit: someRules(audit), deny: someRules(deny)}
	out.try.deny = someRules(tryDeny)
	if allows {
		out.allow = newRuleSet(allow)
	}
	if tryAllows {
		out.try.allow = newRuleSet(tryAllow)
	}
	for _, name := range slices.Sorted(maps.Keys(custom)) {
		out.custom = append(out.custom, customRules{name, o.Providers[name], newRuleSet(custom[name])})
	}
	return out, nil
}

// someRules is nil for none.
func someRules(rules []*policyRule) *ruleSet {
	if len(rules) == 0 {
		return nil
	}
	return newRuleSet(rules)
}

// Stats counts what has been decided so far.
func (p *Policies) Stats() PolicyStats {
	if p == nil {
		return PolicyStats{}
	}
	s := &p.stats
	return PolicyStats{Denied: s.denied.Load(), Audited: s.audited.Load(), DryRunAllowed: s.tryAllowed.Load(), DryRunDenied: s.tryDenied.Load()}
}

// Workload says whom policies are for.
type Workload struct {
	Namespace string
	// RootNamespace holds the policies for the whole mesh. Empty means "istio-system".
	RootNamespace string
	Labels        map[string]string
}

// Selects tells whether an object of the namespace with the selector applies to the workload: it is in the workload's
// namespace or in the root one, and the workload has all the labels. A nil selector selects everything there.
func (w Workload) Selects(namespace string, s *typev1beta1.WorkloadSelector) bool {
	if namespace != w.Namespace && namespace != cmp.Or(w.RootNamespace, "istio-system") {
		return false
	}
	for k, v := range s.GetMatchLabels() {
		if have, ok := w.Labels[k]; !ok || have != v {
			return false
		}
	}
	return true
}
