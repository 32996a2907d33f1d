package identity

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math"
	"strings"
)

// Token is a verified JWT.
type Token struct {
	// Issuer and Subject are the claims iss and sub; empty where the token has none.
	Issuer, Subject string
	// Claims are all claims as JSON gives them, scope and permission and other claims that are lists with spaces
	// between taken apart. They must not be changed.
	Claims map[string]any

	payload string // as it was signed, in base64url
	raw     map[string]any
}

type tokenKey struct{}

// NewTokenContext returns a context that carries the token.
func NewTokenContext(ctx context.Context, t *Token) context.Context {
	return context.WithValue(ctx, tokenKey{}, t)
}

// TokenFromContext is the verified token of the request that carries the context; nil where it has none.
func TokenFromContext(ctx context.Context) *Token {
	t, _ := ctx.Value(tokenKey{}).(*Token)
	return t
}

// maxToken bounds what is looked at at all, in bytes.
const maxToken = 16 << 10

// parsedToken is a token taken apart, with nothing proved yet.
type parsedToken struct {
	text, payload    string
	alg, kid         string
	claims           map[string]any
	issuer           string
	audiences        []string
	expires, notYet  float64
	hasExpiry, hasNB bool
}

// parseToken reads the compact form. Encrypted and nested tokens are not of it, and headers that must be understood
// are not understood.
func parseToken(s string) (*parsedToken, problem) {
	header, rest, _ := strings.Cut(s, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || len(s) > maxToken || strings.IndexByte(signature, '.') >= 0 {
		return nil, badFormat
	}
	t := &parsedToken{text: s, payload: payload}
	var head map[string]any
	switch text, err := base64.RawURLEncoding.Strict().DecodeString(header); {
	case err != nil:
		return nil, "Jwt header is an invalid Base64url encoded"
	case json.Unmarshal(text, &head) != nil || head == nil:
		return nil, "Jwt header is an invalid JSON"
	}
	if t.alg, ok = head["alg"].(string); !ok {
		return nil, "Jwt header [alg] field is required and must be a string"
	}
	if !supported(t.alg) {
		return nil, "Jwt header [alg] is not supported"
	}
	if kid, there := head["kid"]; there {
		if t.kid, ok = kid.(string); !ok {
			return nil, "Jwt header [kid] field is not a string"
		}
	}
	if cty, _ := head["cty"].(string); head["crit"] != nil || strings.EqualFold(cty, "JWT") {
		return nil, badFormat
	}
	switch text, err := base64.RawURLEncoding.Strict().DecodeString(payload); {
	case err != nil:
		return nil, "Jwt payload is an invalid Base64"
	case json.Unmarshal(text, &t.claims) != nil || t.claims == nil:
		return nil, "Jwt payload is an invalid JSON"
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(signature); err != nil || signature == "" {
		return nil, "Jwt signature is an invalid Base64"
	}
	return t, t.known()
}

// known reads the registered claims.
func (t *parsedToken) known() problem {
	text := func(name string) (s string, p problem) {
		v, there := t.claims[name]
		if s, ok := v.(string); ok || !there {
			return s, ""
		}
		return "", problem("Jwt payload [" + name + "] field is not a string")
	}
	number := func(name string) (n float64, there bool, p problem) {
		v, there := t.claims[name]
		if n, ok := v.(float64); ok || !there {
			if there && (n < 0 || n != math.Trunc(n) && name == "iat") {
				return 0, true, problem("Jwt payload [" + name + "] field is not a positive integer")
			}
			return n, there, ""
		}
		return 0, true, problem("Jwt payload [" + name + "] field is not an integer")
	}
	var p problem
	if t.issuer, p = text("iss"); p != "" {
		return p
	}
	if _, p = text("sub"); p != "" {
		return p
	}
	if t.notYet, t.hasNB, p = number("nbf"); p != "" {
		return p
	}
	if t.expires, t.hasExpiry, p = number("exp"); p != "" {
		return p
	}
	switch aud := t.claims["aud"].(type) {
	case nil:
	case string:
		t.audiences = []string{aud}
	case []any:
		for _, a := range aud {
			s, ok := a.(string)
			if !ok {
				return "Jwt payload [aud] field is not a string or string list"
			}
			t.audiences = append(t.audiences, s)
		}
	default:
		return "Jwt payload [aud] field is not a string or string list"
	}
	return ""
}

// token is what becomes of it once it is verified. The claims named are lists with spaces between.
func (t *parsedToken) token(spaced []string) *Token {
	sub, _ := t.claims["sub"].(string)
	out := &Token{Issuer: t.issuer, Subject: sub, payload: t.payload, raw: t.claims, Claims: t.claims}
	copied := false
	for _, name := range spaced {
		s, ok := t.claims[name].(string)
		if !ok {
			continue
		}
		if !copied {
			out.Claims, copied = maps.Clone(t.claims), true
		}
		list := []any{}
		for word := range strings.FieldsSeq(s) {
			list = append(list, word)
		}
		out.Claims[name] = list
	}
	return out
}
