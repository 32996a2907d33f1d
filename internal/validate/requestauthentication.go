package validate

import (
	"net/url"
	"strconv"

	security "istio.io/api/security/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// requestAuthentication judges https://istio.io/latest/docs/reference/config/security/request_authentication/.
func requestAuthentication(fs *finding.Faults, r *security.RequestAuthentication) {
	if r == nil {
		return
	}
	targets(fs, r.Selector, r.TargetRef, r.TargetRefs)
	atMost(fs, "jwtRules", len(r.JwtRules), 4096)
	for i, j := range r.JwtRules {
		jwtRule(fs, finding.Index("jwtRules", i), j)
	}
}

func jwtRule(fs *finding.Faults, path string, r *security.JWTRule) {
	if r == nil {
		fs.Warnf(path, finding.CodeSuspicious, "null, and no token is accepted by it")
		return
	}
	if r.Issuer == "" && r.JwksUri == "" {
		fs.Errorf(finding.Join(path, "issuer"), "no issuer and no jwksUri, want one")
	}
	if r.JwksUri != "" && r.Jwks != "" {
		fs.Errorf(finding.Join(path, "jwks"), "jwks and jwksUri are set together")
	}
	jwksURI(fs, finding.Join(path, "jwksUri"), r.JwksUri)
	if r.Jwks != "" {
		jwks(fs, finding.Join(path, "jwks"), r.Jwks)
	}
	for _, list := range []struct {
		name   string
		values []string
	}{
		{"audiences", r.Audiences}, {"fromParams", r.FromParams}, {"fromCookies", r.FromCookies},
		{"spaceDelimitedClaims", r.SpaceDelimitedClaims},
	} {
		noEmpty(fs, finding.Join(path, list.name), list.values)
	}
	atMost(fs, finding.Join(path, "spaceDelimitedClaims"), len(r.SpaceDelimitedClaims), 64)
	for i, h := range r.FromHeaders {
		if h.GetName() == "" {
			fs.Errorf(finding.Join(finding.Index(finding.Join(path, "fromHeaders"), i), "name"), "the header has no name")
		}
	}
	for i, o := range r.OutputClaimToHeaders {
		at := finding.Index(finding.Join(path, "outputClaimToHeaders"), i)
		if o.GetClaim() == "" {
			fs.Errorf(finding.Join(at, "claim"), "the claim has no name")
		}
		if !isStrictHeader(o.GetHeader()) {
			fs.Errorf(finding.Join(at, "header"), "%q is not a header name of letters, digits, - and _", o.GetHeader())
		}
	}
	Duration(fs, finding.Join(path, "timeout"), r.Timeout)
}

func jwksURI(fs *finding.Faults, path, s string) {
	if s == "" {
		return
	}
	u, err := url.Parse(s)
	if err == nil && u.Port() != "" {
		_, err = strconv.Atoi(u.Port())
	}
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || len(s) > 2048 {
		fs.Errorf(path, "%q is not a URL of http or https of at most 2048 characters", s)
	}
}

// noEmpty wants strings that are not empty.
func noEmpty(fs *finding.Faults, path string, list []string) {
	for i, s := range list {
		if s == "" {
			fs.Errorf(finding.Index(path, i), "the value is empty")
		}
	}
}

func isStrictHeader(s string) bool {
	for i := range len(s) {
		if !alnum(s[i]) && s[i] != '-' && s[i] != '_' {
			return false
		}
	}
	return s != ""
}
