package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	security "istio.io/api/security/v1"
)

// Tokens verify the JWTs of requests by the rules of all RequestAuthentications of a workload. They are safe for
// concurrent use. Nil ones let everything pass, unauthenticated.
//
// Keys that are fetched are kept, and fetched again when they are five minutes old or lack the key that a token names;
// when that fails the last good ones serve.
//
// See https://istio.io/latest/docs/reference/config/security/request_authentication/.
type Tokens struct {
	rules  []*tokenRule
	ours   []string // headers that only we write
	remote map[string]*remoteKeys
}

// TokenOptions say how keys are fetched. Nil, and every zero field, works.
type TokenOptions struct {
	// Client fetches keys. Nil means connections of its own that are not kept, under the system's roots.
	Client *http.Client
	// Context ends fetches; nil means that only their timeout does.
	Context context.Context
	// Start runs a refresh beside the requests, false if it cannot. Nil means that the request that finds keys old waits
	// for the new ones.
	Start func(func()) bool
	// Previous are tokens whose fetched keys are taken over, where their place stays the same.
	Previous *Tokens
}

// tokenRule is one JWTRule, compiled.
type tokenRule struct {
	spec      *security.JWTRule
	audiences map[string]bool
	spaced    []string
	from      locations
	fixed     *keySet     // inline keys
	remote    *remoteKeys // keys to fetch
}

// NewTokens compiles the rules. It returns nil where there are none. All faults come at once.
func NewTokens(rules []*security.JWTRule, o *TokenOptions) (*Tokens, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	if o == nil {
		o = &TokenOptions{}
	}
	t := &Tokens{remote: map[string]*remoteKeys{}}
	var errs []error
	for i, spec := range rules {
		if spec == nil {
			continue
		}
		r := &tokenRule{spec: spec, from: locationsOf(spec), spaced: append([]string{"scope", "permission"}, spec.GetSpaceDelimitedClaims()...)}
		if len(spec.GetAudiences()) > 0 {
			r.audiences = map[string]bool{}
			for _, a := range spec.GetAudiences() {
				r.audiences[plainAudience(a)] = true
			}
		}
		if spec.GetJwks() != "" {
			var err error
			if r.fixed, err = parseKeys([]byte(spec.GetJwks()), true); err != nil {
				errs = append(errs, fmt.Errorf("identity: jwtRules[%d].jwks: %w", i, err))
			}
		} else {
			r.remote = t.keysAt(spec, o)
		}
		for _, out := range spec.GetOutputClaimToHeaders() {
			t.ours = append(t.ours, http.CanonicalHeaderKey(out.GetHeader()))
		}
		if name := spec.GetOutputPayloadToHeader(); name != "" {
			t.ours = append(t.ours, http.CanonicalHeaderKey(name))
		}
		t.rules = append(t.rules, r)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

// keysAt are the keys of a rule that does not hold them itself; rules of one place share them.
func (t *Tokens) keysAt(spec *security.JWTRule, o *TokenOptions) *remoteKeys {
	place, discover := spec.GetJwksUri(), false
	if place == "" {
		place, discover = strings.TrimSuffix(spec.GetIssuer(), "/")+"/.well-known/openid-configuration", true
	}
	timeout := 5 * time.Second
	if d := spec.GetTimeout(); d != nil && d.AsDuration() > 0 {
		timeout = d.AsDuration()
	}
	key := fmt.Sprint(place, " ", timeout)
	if k := t.remote[key]; k != nil {
		return k
	}
	k := newRemoteKeys(place, discover, timeout, o)
	if o.Previous != nil {
		if old := o.Previous.remote[key]; old != nil {
			k = old
		}
	}
	t.remote[key] = k
	return k
}

// Verify looks for tokens in the request and accepts it if it has none or if one rule accepts what it finds. It returns
// the token, nil for none, and the request as the application may see it: a changed copy where headers are to be set or
// taken away. An error refuses the request.
func (t *Tokens) Verify(r *http.Request) (*http.Request, *Token, error) {
	if t == nil {
		return r, nil, nil
	}
	if isPreflight(r) {
		return t.cleaned(r, nil, nil), nil, nil
	}
	found, cause := missing, error(nil)
	for _, rule := range t.rules {
		token, p, err := rule.verify(r)
		switch {
		case p == "":
			return t.cleaned(r, rule, token), token, nil
		case p == missing, p == unknownIssuer && found != missing:
		default:
			found, cause = p, err
		}
	}
	if found != missing {
		return r, nil, found.refusal(r, cause)
	}
	return t.cleaned(r, nil, nil), nil, nil
}

// isPreflight tells a CORS preflight, which browsers send without credentials.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// maxTokens bounds what one request can make us compute.
const maxTokens = 8

// verify judges every token that stands where the rule looks: all must be good.
func (rule *tokenRule) verify(r *http.Request) (token *Token, p problem, cause error) {
	list := rule.from.find(r)
	switch {
	case len(list) == 0:
		return nil, missing, nil
	case len(list) > maxTokens:
		return nil, badFormat, nil
	}
	for _, text := range list {
		if token, p, cause = rule.one(r.Context(), text); p != "" {
			return nil, p, cause
		}
	}
	return token, "", nil
}

// one judges a token, in Envoy's order: form, issuer, time, audience, signature.
func (rule *tokenRule) one(ctx context.Context, text string) (*Token, problem, error) {
	t, p := parseToken(text)
	if p != "" {
		return nil, p, nil
	}
	if iss := rule.spec.GetIssuer(); iss != "" && iss != t.issuer {
		return nil, unknownIssuer, nil
	}
	const skew = 60
	now := float64(time.Now().Unix())
	if t.hasNB && now+skew < t.notYet {
		return nil, notYetValid, nil
	}
	if t.hasExpiry && now > t.expires+skew {
		return nil, expired, nil
	}
	if rule.audiences != nil && !rule.accepts(t.audiences) {
		return nil, badAudience, nil
	}
	if p, err := rule.signed(ctx, t); p != "" {
		return nil, p, err
	}
	return t.token(rule.spaced), "", nil
}

func (rule *tokenRule) accepts(audiences []string) bool {
	for _, a := range audiences {
		if rule.audiences[plainAudience(a)] {
			return true
		}
	}
	return false
}

// plainAudience leaves out what Envoy does not compare: the scheme and a slash at the end.
func plainAudience(s string) string {
	if rest, ok := strings.CutPrefix(s, "https://"); ok {
		s = rest
	} else {
		s = strings.TrimPrefix(s, "http://")
	}
	return strings.TrimSuffix(s, "/")
}

// signed looks for the key and checks the signature. A key that is not there may be new: keys are fetched again.
func (rule *tokenRule) signed(ctx context.Context, t *parsedToken) (problem, error) {
	jws, err := jose.ParseSignedCompact(t.text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(t.alg)})
	if err != nil {
		return badFormat, err
	}
	set := rule.fixed
	if rule.remote != nil {
		if set, err = rule.remote.get(ctx, nil); err != nil {
			return noKeys, err
		}
	}
	p := set.verify(jws, t)
	if p != "" && rule.remote != nil && !set.has(t) {
		next, err := rule.remote.get(ctx, set)
		if err == nil && next != set {
			p = next.verify(jws, t)
		}
	}
	return p, nil
}
