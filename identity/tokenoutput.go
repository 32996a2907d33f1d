package identity

import (
	"math"
	"net/http"
	"strconv"
	"strings"
)

// cleaned is the request for the application: without the headers that only we write, as callers may have sent them,
// and without the token unless it is to go on; and with what the rule takes from the token. A nil rule has no token. The
// request that came in stays as it is.
func (t *Tokens) cleaned(r *http.Request, rule *tokenRule, token *Token) *http.Request {
	if rule == nil && !t.forged(r.Header) {
		return r
	}
	out := new(http.Request)
	*out = *r
	out.Header = r.Header.Clone()
	for _, name := range t.ours {
		out.Header.Del(name)
	}
	if rule == nil {
		return out
	}
	if !rule.spec.GetForwardOriginalToken() {
		rule.from.remove(out)
	}
	if name := rule.spec.GetOutputPayloadToHeader(); name != "" {
		out.Header.Set(name, token.payload)
	}
	for _, o := range rule.spec.GetOutputClaimToHeaders() {
		if v, ok := claimText(token.raw, o.GetClaim()); ok {
			out.Header.Set(o.GetHeader(), v)
		}
	}
	return out
}

// forged tells whether a header is there that only we write.
func (t *Tokens) forged(h http.Header) bool {
	for _, name := range t.ours {
		if _, ok := h[name]; ok {
			return true
		}
	}
	return false
}

// claimText is a claim that is text, an integer or a truth value, as a header says it. The name may lead into nested
// claims: "a.b". What cannot stand in a header is left out.
func claimText(claims map[string]any, name string) (string, bool) {
	v, ok := claims[name]
	if !ok {
		v = claimAt(claims, strings.Split(name, "."))
	}
	switch v := v.(type) {
	case string:
		return v, strings.IndexFunc(v, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) < 0
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), v == math.Trunc(v)
	}
	return "", false
}
