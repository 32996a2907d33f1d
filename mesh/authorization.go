package mesh

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	security "istio.io/api/security/v1"

	"github.com/go-inmesh/inmesh/identity"
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
	"github.com/go-inmesh/inmesh/route"
)

// dryRun is Istio's annotation for policies that are tried out.
const dryRun = "istio.io/dry-run"

// compileSecurity makes the policies that apply to the workload, and what verifies its callers' tokens.
func (m *Mesh) compileSecurity(s *snapshot, previous *snapshot) error {
	o := m.options
	w := identity.Workload{Namespace: o.Workload.Namespace, RootNamespace: o.RootNamespace, Labels: o.Workload.Labels}
	var policies []identity.Policy
	for _, t := range rule.All[*security.AuthorizationPolicy](s.rules.set) {
		if t.Spec.GetTargetRef() != nil || len(t.Spec.GetTargetRefs()) > 0 || !w.Selects(t.Namespace, t.Spec.GetSelector()) {
			continue
		}
		tried, _ := strconv.ParseBool(t.Annotations[dryRun])
		policies = append(policies, identity.Policy{Namespace: t.Namespace, Name: t.Name, DryRun: tried, Spec: t.Spec})
		name := t.Spec.GetProvider().GetName()
		if t.Spec.GetAction() == security.AuthorizationPolicy_CUSTOM && o.Authorizers[name] == nil {
			s.findings = append(s.findings, t.Finding(finding.Fault{Path: "provider.name", Severity: finding.Warning, Code: finding.CodeNotObeyed,
				Message: "no authorizer has the name " + strconv.Quote(name) + ", so that requests which the rules meet are denied: the options' Authorizers have " +
					strconv.Quote(strings.Join(slices.Sorted(maps.Keys(o.Authorizers)), ", "))}))
		}
	}
	var rules []*security.JWTRule
	for _, t := range rule.All[*security.RequestAuthentication](s.rules.set) {
		if t.Spec.GetTargetRef() == nil && len(t.Spec.GetTargetRefs()) == 0 && w.Selects(t.Namespace, t.Spec.GetSelector()) {
			rules = append(rules, t.Spec.GetJwtRules()...)
		}
	}
	var err error
	s.policies, err = identity.NewPolicies(policies, &identity.PolicyOptions{TrustDomain: o.TrustDomain, TrustDomainAliases: o.TrustDomainAliases,
		Providers: o.Authorizers})
	if err != nil {
		return err
	}
	to := &identity.TokenOptions{Client: o.KeysClient, Context: m.life, Start: m.start}
	if previous != nil {
		to.Previous = previous.tokens
	}
	s.tokens, err = identity.NewTokens(rules, to)
	return err
}

// guard authenticates requests and asks policy about them before next sees them: CUSTOM policies, tokens, then AUDIT, DENY and
// ALLOW. Without policies and rules for tokens it does nothing.
type guard struct {
	mesh *Mesh
	edge bool
	next http.Handler
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := callOf(r.Context())
	if c == nil { // an aspect took the context away, and with it who the peer is
		c = newCall(g.mesh, nil, nil)
	}
	s := c.snap
	if s == nil {
		s = g.mesh.current.Load()
	}
	if s.policies == nil && s.tokens == nil {
		g.next.ServeHTTP(w, r)
		return
	}
	path := route.RequestOf(r).Path
	if path != r.URL.EscapedPath() && r.Method != http.MethodConnect { // what is judged is what the application gets
		r = r.WithContext(r.Context())
		u := *r.URL
		route.SetPath(&u, path)
		r.URL, r.RequestURI = &u, u.RequestURI()
	}
	q := identity.RequestOf(r, path, identity.Proxies{Trusted: g.mesh.options.TrustedProxies, Edge: g.edge})
	q.Peer = c.peer
	request, response, err := s.policies.Ask(r, &q)
	if err != nil {
		deny(w, r, err)
		return
	}
	if len(request) > 0 {
		r = r.WithContext(r.Context())
		r.Header = r.Header.Clone()
		maps.Copy(r.Header, request)
	}
	maps.Copy(w.Header(), response)
	r, token, err := s.tokens.Verify(r)
	if err != nil {
		deny(w, r, err)
		return
	}
	q.Header, q.RawQuery = r.Header, r.URL.RawQuery
	if token != nil {
		q.Claims, c.claims = token.Claims, token.Claims
		r = r.WithContext(identity.NewTokenContext(r.Context(), token))
	}
	verdict := s.policies.Authorize(&q)
	if verdict.Audited != "" {
		g.mesh.options.Logger.InfoContext(r.Context(), "mesh: request audited", "policy", verdict.Audited, "method", r.Method, "path", path)
	}
	if !verdict.Allowed {
		deny(w, r, verdict.Err())
		return
	}
	g.next.ServeHTTP(w, r)
}

// PolicyStats counts what AuthorizationPolicies decided.
type PolicyStats = identity.PolicyStats

// Policies tells what the AuthorizationPolicies of the rules of this moment have decided, those in dry run too.
func (m *Mesh) Policies() PolicyStats { return m.current.Load().policies.Stats() }
