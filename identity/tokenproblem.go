package identity

import (
	"errors"
	"net/http"
	"strings"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// ErrUnauthenticated says that the request has a token that is not accepted: 401, or 403 where only its audience is
// wrong.
var ErrUnauthenticated = errors.New("identity: token refused")

// problem is what is wrong with a token, in the words of Envoy's answers; empty for nothing.
type problem string

const (
	missing       problem = "Jwt is missing"
	badFormat     problem = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"
	notYetValid   problem = "Jwt not yet valid"
	expired       problem = "Jwt is expired"
	unknownIssuer problem = "Jwt issuer is not configured"
	badAudience   problem = "Audiences in Jwt are not allowed"
	badSignature  problem = "Jwt verification fails"
	noKey         problem = "Jwks doesn't have key to match kid or alg from Jwt"
	noKeys        problem = "Jwks remote fetch is failed"
)

// maxRealm bounds the part of the request's path that an answer repeats.
const maxRealm = 256

// refusal is the answer that a sidecar gives. A cause is told to the log alone.
func (p problem) refusal(r *http.Request, cause error) error {
	e := &answer.Error{Sentinel: ErrUnauthenticated, Status: http.StatusUnauthorized, Body: string(p), Cause: cause}
	if p == badAudience {
		e.Status = http.StatusForbidden
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	path := r.URL.EscapedPath()
	if len(path) > maxRealm {
		path = path[:maxRealm]
	}
	realm := strings.Map(func(c rune) rune {
		if c == '"' || c == '\\' || c < ' ' || c > '~' {
			return -1
		}
		return c
	}, scheme+"://"+r.Host+path)
	challenge := `Bearer realm="` + realm + `"`
	if p != missing {
		challenge += `, error="invalid_token"`
	}
	e.Header = map[string]string{"Www-Authenticate": challenge}
	e.Details = "jwt_authn_access_denied{" + strings.ReplaceAll(string(p), " ", "_") + "}"
	return e
}
