package validate

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// jwks wants a set of keys, or a single key, of RFC 7517. Private keys are warned of: the public half verifies.
func jwks(fs *finding.Faults, path, text string) {
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&set); err != nil {
		fs.Errorf(path, "not a set of keys in JSON: %v", err)
		return
	}
	if set.Keys == nil {
		private, err := jwk(json.RawMessage(text))
		if err != nil {
			fs.Errorf(path, "not a set of keys, and not a key: %v", err)
		} else if private {
			fs.Warnf(path, codeSchema, "the key is private, want the public half")
		}
		return
	}
	for i, k := range *set.Keys {
		switch private, err := jwk(k); {
		case err != nil:
			fs.Errorf(path, "keys[%d] is not a key: %v", i, err)
		case private:
			fs.Warnf(path, codeSchema, "keys[%d] is private, want the public half", i)
		}
	}
}

// jwk wants one key of RFC 7518, and tells whether it is private.
func jwk(text json.RawMessage) (private bool, err error) {
	var key map[string]any
	if err := json.NewDecoder(strings.NewReader(string(text))).Decode(&key); err != nil {
		return false, err
	}
	for _, name := range []string{"kid", "alg", "use", "x5u"} {
		if v, ok := key[name]; ok {
			if _, ok := v.(string); !ok {
				return false, fmt.Errorf("%s is not text", name)
			}
		}
	}
	var need []string
	switch kty, _ := key["kty"].(string); kty {
	case "RSA":
		need = []string{"n", "e"}
	case "EC":
		need = []string{"x", "y"}
	case "OKP":
		need = []string{"x"}
	case "oct":
		need = []string{"k"}
		private = true
	default:
		return false, fmt.Errorf("kty is %q, want RSA, EC, OKP or oct", kty)
	}
	if key["d"] != nil {
		private = true
		need = append(need, "d")
	}
	for _, name := range need {
		s, ok := key[name].(string)
		if !ok {
			return false, fmt.Errorf("%s is missing", name)
		}
		if !isBase64(s) {
			return false, fmt.Errorf("%s is not base64url", name)
		}
	}
	if kty := key["kty"]; kty == "EC" || kty == "OKP" {
		if crv, _ := key["crv"].(string); crv == "" {
			return false, fmt.Errorf("crv is missing")
		}
	}
	return private, nil
}

// isBase64 takes all four alphabets, as verifiers do.
func isBase64(s string) bool {
	s = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(s, "="))
	_, err := base64.RawURLEncoding.DecodeString(s)
	return err == nil
}
