package identity

import (
	"errors"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// ErrDenied says that an AuthorizationPolicy refuses the request, or that none allows it: 403.
var ErrDenied = errors.New("identity: access denied")

// Verdict is what policies say of a request.
type Verdict struct {
	// Allowed is the decision.
	Allowed bool
	// Rule is the one that decided, "ns[default]-policy[admins]-rule[0]". It is empty where none did: everything is
	// allowed that no policy speaks of, and where one allows, nothing else is.
	Rule string
	// Audited is the first rule with the action AUDIT that is met; empty for none.
	Audited string
}

// Authorize judges the request by the policies with the actions AUDIT, DENY and ALLOW, in this order. What the policies
// with the action CUSTOM say comes before, see [Policies.Ask].
func (p *Policies) Authorize(q *Request) Verdict {
	v := Verdict{Allowed: true}
	if p == nil {
		return v
	}
	if r := p.audit.find(q); r != nil {
		v.Audited = r.name
		p.stats.audited.Add(1)
	}
	p.dryRun(q)
	if r := p.deny.find(q); r != nil {
		v.Allowed, v.Rule = false, r.name
	} else if p.allow != nil {
		if r := p.allow.find(q); r != nil {
			v.Rule = r.name
		} else {
			v.Allowed = false
		}
	}
	if !v.Allowed {
		p.stats.denied.Add(1)
	}
	return v
}

// dryRun counts what the policies in dry run would have decided.
func (p *Policies) dryRun(q *Request) {
	if p.try.deny == nil && p.try.allow == nil {
		return
	}
	if p.try.deny.find(q) != nil || p.try.allow != nil && p.try.allow.find(q) == nil {
		p.stats.tryDenied.Add(1)
	} else {
		p.stats.tryAllowed.Add(1)
	}
}

// Details is what Envoy's access log says of a refusal: the rule is for the log, never for the caller.
func (v Verdict) Details() string {
	if v.Allowed {
		return ""
	}
	rule := v.Rule
	if rule == "" {
		rule = "none"
	}
	return "rbac_access_denied_matched_policy[" + rule + "]"
}

// Err is the refusal, nil for a request that is allowed. A sidecar answers it with 403 and "RBAC: access denied".
func (v Verdict) Err() error {
	if v.Allowed {
		return nil
	}
	return &answer.Error{Sentinel: ErrDenied, Status: 403, Details: v.Details(), Body: "RBAC: access denied"}
}
