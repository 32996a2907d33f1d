package validate

import (
	"strings"

	security "istio.io/api/security/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// authorizationPolicy judges https://istio.io/latest/docs/reference/config/security/authorization-policy/.
func authorizationPolicy(fs *finding.Faults, p *security.AuthorizationPolicy) {
	if p == nil {
		return
	}
	targets(fs, p.Selector, p.TargetRef, p.TargetRefs)
	enum(fs, "action", p.Action)
	atMost(fs, "rules", len(p.Rules), 512)
	custom := p.Action == security.AuthorizationPolicy_CUSTOM
	provided := p.GetProvider()
	switch {
	case (custom || p.Action == security.AuthorizationPolicy_DENY) && p.Rules == nil:
		fs.Errorf("rules", "no rules, so that %v is never asked for; a rule {} is for every request", p.Action)
	case custom && provided.GetName() == "":
		fs.Errorf("provider.name", "no provider, which CUSTOM needs")
	case !custom && provided != nil:
		fs.Errorf("provider", "set while action is %v, want CUSTOM", p.Action)
	}
	for i, r := range p.Rules {
		path := finding.Index("rules", i)
		if r == nil {
			fs.Errorf(path, "null, want a rule; {} is for every request")
			continue
		}
		authorizationRule(fs, path, r, custom)
		if p.Action == security.AuthorizationPolicy_DENY && deniesTCP(r) {
			fs.Warnf(path, codeSchema, "on ports of TCP, which have no attributes of HTTP, the rule denies everything; want to.operation.ports")
		}
	}
}

func authorizationRule(fs *finding.Faults, path string, r *security.Rule, custom bool) {
	if n := len(r.From); r.From != nil && n == 0 || n > 512 {
		fs.Errorf(finding.Join(path, "from"), "%d entries are not in 1..512", n)
	}
	for i, f := range r.From {
		at := finding.Join(finding.Index(finding.Join(path, "from"), i), "source")
		if f.GetSource() == nil {
			fs.Errorf(at, "no source")
			continue
		}
		source(fs, at, f.Source, custom)
	}
	if r.To != nil && len(r.To) == 0 {
		fs.Errorf(finding.Join(path, "to"), "no entries, want at least one")
	}
	for i, t := range r.To {
		at := finding.Join(finding.Index(finding.Join(path, "to"), i), "operation")
		if t.GetOperation() == nil {
			fs.Errorf(at, "no operation")
			continue
		}
		operation(fs, at, t.Operation)
	}
	for i, c := range r.When {
		condition(fs, finding.Index(finding.Join(path, "when"), i), c, custom)
	}
}

// deniesTCP tells whether a rule to deny names nothing that connections of TCP have, so that for them it always holds.
func deniesTCP(r *security.Rule) bool {
	from, fromTCP, to, toTCP := false, false, false, false
	for _, f := range r.From {
		if s := f.GetSource(); s != nil {
			from = true
			fromTCP = fromTCP || s.Principals != nil || s.NotPrincipals != nil || s.IpBlocks != nil || s.NotIpBlocks != nil ||
				s.Namespaces != nil || s.NotNamespaces != nil || s.RemoteIpBlocks != nil || s.NotRemoteIpBlocks != nil ||
				s.ServiceAccounts != nil || s.NotServiceAccounts != nil || s.TrustDomains != nil || s.NotTrustDomains != nil
		}
	}
	for _, t := range r.To {
		if o := t.GetOperation(); o != nil {
			to = true
			toTCP = toTCP || o.Ports != nil || o.NotPorts != nil
		}
	}
	return from && !to && !fromTCP || to && !toTCP
}

// condition judges one entry of when.
func condition(fs *finding.Faults, path string, c *security.Condition, custom bool) {
	key := c.GetKey()
	at := finding.Join(path, "key")
	if key == "" {
		fs.Errorf(at, "the condition has no key")
		return
	}
	if custom && (strings.HasPrefix(key, "request.auth.") || key == "source.namespace" || key == "source.principal" ||
		key == "source.serviceAccount" || key == "source.trustDomain") {
		fs.Errorf(at, "%q is not supported with CUSTOM", key)
	}
	if len(c.Values) == 0 && len(c.NotValues) == 0 {
		fs.Errorf(path, "no values and no notValues, want one for %q", key)
		return
	}
	check, problem := attribute(key)
	if problem != "" {
		fs.Errorf(at, "%q %s", key, problem)
		return
	}
	for _, list := range []values{{"values", c.Values}, {"notValues", c.NotValues}} {
		noEmpty(fs, finding.Join(path, list.name), list.list)
		check(fs, finding.Join(path, list.name), list.list)
	}
}

// values is a list with its name.
type values struct {
	name string
	list []string
}

// attribute finds what judges the values of a condition's key, or says what is wrong with the key.
func attribute(key string) (check func(*finding.Faults, string, []string), problem string) {
	anything := func(*finding.Faults, string, []string) {}
	switch key {
	case "source.ip", "remote.ip", "destination.ip":
		return blocks, ""
	case "destination.port":
		return portList, ""
	case "source.serviceAccount":
		return serviceAccounts, ""
	case "source.trustDomain":
		return wildcards, ""
	case "source.namespace", "source.principal", "request.auth.principal", "request.auth.audiences",
		"request.auth.presenter", "connection.sni":
		return anything, ""
	case "destination.namespace":
		return nil, "is not an attribute, for a policy is for its own namespace"
	}
	for _, prefix := range []string{"request.headers", "request.auth.claims", "experimental.envoy.filters."} {
		if strings.HasPrefix(key, prefix) {
			if i := strings.IndexByte(key, '['); i > 0 && i < len(key)-2 && strings.HasSuffix(key, "]") {
				return anything, ""
			}
			return nil, "is not of the form " + prefix + "[NAME]"
		}
	}
	if strings.HasPrefix(key, "destination.labels") {
		return nil, "is not an attribute, want the policy's selector"
	}
	return nil, "is not an attribute that Istio has"
}
