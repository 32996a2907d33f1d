package identity

import "strings"

// claimTest compares a claim of a verified token: text, or a list of which one text matches.
type claimTest struct {
	path   []string
	values *patterns
}

func (t *claimTest) match(q *Request) bool { return matchClaim(claimAt(q.Claims, t.path), t.values) }

// claimAt follows the way into nested claims; nil where there is nothing.
func claimAt(claims map[string]any, path []string) any {
	var v any = claims
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

func matchClaim(v any, values *patterns) bool {
	switch v := v.(type) {
	case string:
		return values.match(v)
	case []any:
		for _, x := range v {
			if s, ok := x.(string); ok && values.match(s) {
				return true
			}
		}
	}
	return false
}

// claimPath reads "[a][b]"; a name with brackets of its own stands alone, as in Istio.
func claimPath(s string) []string {
	var path []string
	for rest := s; rest != ""; {
		end := strings.IndexByte(rest, ']')
		if end < 1 || rest[0] != '[' || strings.IndexByte(rest[1:end], '[') >= 0 {
			return []string{strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")}
		}
		path, rest = append(path, rest[1:end]), rest[end+1:]
	}
	return path
}

// requestPrincipals compares issuer and subject of a verified token, "iss/sub".
type requestPrincipals struct{ list []issuerSubject }

type issuerSubject struct{ issuer, subject pattern }

func newRequestPrincipals(values []string) *requestPrincipals {
	p := &requestPrincipals{}
	for _, v := range values {
		p.list = append(p.list, newIssuerSubject(v))
	}
	return p
}

// newIssuerSubject splits at the last slash, for issuers are URLs. A star stands at the beginning or at the end.
func newIssuerSubject(v string) issuerSubject {
	any := pattern{kind: some}
	i := strings.LastIndexByte(v, '/')
	iss, sub := v, ""
	if i >= 0 {
		iss, sub = v[:i], v[i+1:]
	}
	switch {
	case v == "*":
		return issuerSubject{any, any}
	case v[0] == '*' && i < 0:
		return issuerSubject{any, pattern{suffix, v[1:]}}
	case v[0] == '*' && iss == "*":
		return issuerSubject{any, pattern{exact, sub}}
	case v[0] == '*':
		return issuerSubject{pattern{suffix, iss[1:]}, pattern{exact, sub}}
	case strings.HasSuffix(v, "*") && i < 0:
		return issuerSubject{pattern{prefix, v[:len(v)-1]}, any}
	case sub == "*":
		return issuerSubject{pattern{exact, iss}, any}
	case strings.HasSuffix(v, "*"):
		return issuerSubject{pattern{exact, iss}, pattern{prefix, sub[:len(sub)-1]}}
	}
	return issuerSubject{pattern{exact, iss}, pattern{exact, sub}}
}

func (p *requestPrincipals) match(q *Request) bool {
	iss, ok := q.Claims["iss"].(string)
	if !ok {
		return false
	}
	sub, ok := q.Claims["sub"].(string)
	if !ok {
		return false
	}
	for i := range p.list {
		if p.list[i].issuer.match(iss) && p.list[i].subject.match(sub) {
			return true
		}
	}
	return false
}
