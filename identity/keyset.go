package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// keySet are the keys of an issuer.
type keySet struct {
	keys []jose.JSONWebKey
	at   time.Time // when they were fetched
}

// maxTries bounds the signatures that are computed for one token: keys without a name must all be tried.
const maxTries = 16

// supported are the algorithms that Envoy knows; "none" is not one.
func supported(alg string) bool {
	switch jose.SignatureAlgorithm(alg) {
	case jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512,
		jose.HS256, jose.HS384, jose.HS512, jose.EdDSA:
		return true
	}
	return false
}

// parseKeys reads a set of keys, or a single one. Keys of kinds that we do not know are left out. Shared secrets count
// only where they are written into the rule: what is published to be fetched is no secret.
func parseKeys(text []byte, secrets bool) (*keySet, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, errors.New("not a set of keys in JSON")
	}
	if doc.Keys == nil {
		doc.Keys = []json.RawMessage{text}
	}
	set := &keySet{}
	for _, raw := range doc.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) != nil || k.Use != "" && k.Use != "sig" {
			continue
		}
		if secret, ok := k.Key.([]byte); ok {
			if !secrets || len(secret) == 0 {
				continue
			}
		} else if k = k.Public(); !k.Valid() {
			continue
		}
		set.keys = append(set.keys, k)
	}
	if len(set.keys) == 0 {
		return nil, errors.New("no key that verifies signatures")
	}
	return set, nil
}

// has tells whether there is a key that the token may mean by its name.
func (s *keySet) has(t *parsedToken) bool {
	for i := range s.keys {
		if s.keys[i].KeyID == t.kid && fits(&s.keys[i], t.alg) {
			return true
		}
	}
	return false
}

func (s *keySet) verify(jws *jose.JSONWebSignature, t *parsedToken) problem {
	tried := 0
	for i := range s.keys {
		k := &s.keys[i]
		if k.KeyID != "" && t.kid != "" && k.KeyID != t.kid || !fits(k, t.alg) {
			continue
		}
		if tried++; tried > maxTries {
			break
		}
		if _, err := jws.Verify(k.Key); err == nil {
			return ""
		}
	}
	if tried == 0 {
		return noKey
	}
	return badSignature
}

// fits tells whether the key is one of the algorithm: what the token says never makes a public key a secret.
func fits(k *jose.JSONWebKey, alg string) bool {
	if k.Algorithm != "" && k.Algorithm != alg {
		return false
	}
	switch k.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return strings.HasPrefix(alg, "ES")
	case ed25519.PublicKey:
		return alg == string(jose.EdDSA)
	case []byte:
		return strings.HasPrefix(alg, "HS")
	}
	return false
}
