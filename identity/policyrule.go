package identity

import (
	"fmt"
	"strings"

	security "istio.io/api/security/v1"
)

// condition holds if one of the values matches and none of those that must not. A nil test asks nothing.
type condition struct {
	values, not test
}

func (c *condition) holds(q *Request) bool {
	return (c.values == nil || c.values.match(q)) && (c.not == nil || !c.not.match(q))
}

// policyRule is one rule of a policy: one of from, one of to, and all of when. Empty lists ask nothing.
type policyRule struct {
	name     string // Envoy's: "ns[foo]-policy[bar]-rule[0]"
	from, to [][]condition
	when     []condition
}

func (r *policyRule) holds(q *Request) bool {
	return oneOf(r.from, q) && oneOf(r.to, q) && allOf(r.when, q)
}

func oneOf(list [][]condition, q *Request) bool {
	for _, all := range list {
		if allOf(all, q) {
			return true
		}
	}
	return len(list) == 0
}

func allOf(list []condition, q *Request) bool {
	for i := range list {
		if !list[i].holds(q) {
			return false
		}
	}
	return true
}

// compiler makes the rules of one policy.
type compiler struct {
	policy  *Policy
	domains []string // our trust domain, then its aliases
	allow   bool     // the rules allow; otherwise they deny, or ask
}

// rule compiles rules[i].
func (c *compiler) rule(i int) (*policyRule, error) {
	spec := c.policy.Spec.GetRules()[i]
	if spec == nil {
		return nil, nil // Istio skips it
	}
	r := &policyRule{name: c.name(i)}
	fail := func(path string, err error) (*policyRule, error) {
		return nil, fmt.Errorf("identity: AuthorizationPolicy %s/%s: rules[%d].%s: %w", c.policy.Namespace, c.policy.Name, i, path, err)
	}
	for j, f := range spec.GetFrom() {
		list, err := c.source(f.GetSource())
		if err != nil {
			return fail(fmt.Sprintf("from[%d].source", j), err)
		}
		r.from = append(r.from, list)
	}
	for j, t := range spec.GetTo() {
		list, err := c.operation(t.GetOperation())
		if err != nil {
			return fail(fmt.Sprintf("to[%d].operation", j), err)
		}
		r.to = append(r.to, list)
	}
	for j, w := range spec.GetWhen() {
		one, err := newCondition(w.GetValues(), w.GetNotValues(), func(values []string, _ bool) (test, error) { return c.when(w.GetKey(), values) })
		if err != nil {
			return fail(fmt.Sprintf("when[%d]", j), err)
		}
		r.when = append(r.when, one)
	}
	return r, nil
}

func (c *compiler) name(i int) string {
	return fmt.Sprintf("ns[%s]-policy[%s]-rule[%d]", c.policy.Namespace, c.policy.Name, i)
}

// newCondition makes the two tests of a field and its "not" twin.
func newCondition(values, not []string, make func(values []string, not bool) (test, error)) (c condition, err error) {
	if len(values) > 0 {
		if c.values, err = make(values, false); err != nil {
			return c, err
		}
	}
	if len(not) > 0 {
		c.not, err = make(not, true)
	}
	return c, err
}

// field is one list of a source or an operation with its "not" twin, and how to test it.
type field struct {
	values, not []string
	make        func(values []string, not bool) (test, error)
}

func conditions(fields ...field) ([]condition, error) {
	var list []condition
	for _, f := range fields {
		if len(f.values) == 0 && len(f.not) == 0 {
			continue
		}
		one, err := newCondition(f.values, f.not, f.make)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

func (c *compiler) source(s *security.Source) ([]condition, error) {
	key := func(name string) func([]string, bool) (test, error) {
		return func(values []string, _ bool) (test, error) { return c.when(name, values) }
	}
	return conditions(
		field{s.GetPrincipals(), s.GetNotPrincipals(), key("source.principal")},
		field{s.GetNamespaces(), s.GetNotNamespaces(), key("source.namespace")},
		field{s.GetServiceAccounts(), s.GetNotServiceAccounts(), key("source.serviceAccount")},
		field{s.GetTrustDomains(), s.GetNotTrustDomains(), key("source.trustDomain")},
		field{s.GetIpBlocks(), s.GetNotIpBlocks(), key("source.ip")},
		field{s.GetRemoteIpBlocks(), s.GetNotRemoteIpBlocks(), key("remote.ip")},
		field{s.GetRequestPrincipals(), s.GetNotRequestPrincipals(), key("request.auth.principal")},
	)
}

func (c *compiler) operation(o *security.Operation) ([]condition, error) {
	return conditions(
		field{o.GetPaths(), o.GetNotPaths(), func(values []string, not bool) (test, error) {
			return newPathPatterns(values, c.allow != not), nil
		}},
		field{o.GetMethods(), o.GetNotMethods(), func(values []string, _ bool) (test, error) {
			return methodTest{newPatterns(values, present)}, nil
		}},
		field{o.GetHosts(), o.GetNotHosts(), func(values []string, not bool) (test, error) {
			lower := make([]string, len(values))
			for i, v := range values {
				lower[i] = strings.ToLower(v)
			}
			return hostTest{newPatterns(lower, present), c.allow == not}, nil
		}},
		field{o.GetPorts(), o.GetNotPorts(), func(values []string, _ bool) (test, error) { return newPortTest(values) }},
	)
}
