package identity

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	security "istio.io/api/security/v1"
)

// locations are where a rule looks for tokens.
type locations struct {
	headers []headerPlace
	params  []string
	cookies []string
}

type headerPlace struct{ name, prefix string }

// locationsOf are those of the rule; without any, the header Authorization and the query parameter access_token.
func locationsOf(spec *security.JWTRule) locations {
	l := locations{params: spec.GetFromParams(), cookies: spec.GetFromCookies()}
	for _, h := range spec.GetFromHeaders() {
		l.headers = append(l.headers, headerPlace{http.CanonicalHeaderKey(h.GetName()), h.GetPrefix()})
	}
	if len(l.headers)+len(l.params)+len(l.cookies) == 0 {
		l.headers, l.params = []headerPlace{{"Authorization", "Bearer "}}, []string{"access_token"}
	}
	return l
}

// find is every token in every place.
func (l *locations) find(r *http.Request) []string {
	var out []string
	for _, h := range l.headers {
		for _, v := range r.Header[h.name] {
			if i := strings.Index(v, h.prefix); i >= 0 {
				if s := firstToken(v[i+len(h.prefix):]); s != "" {
					out = append(out, s)
				}
			}
		}
	}
	if len(l.params) > 0 && r.URL.RawQuery != "" {
		query := r.URL.Query()
		for _, name := range l.params {
			for _, v := range query[name] {
				if v != "" {
					out = append(out, v)
				}
			}
		}
	}
	for _, name := range l.cookies {
		for _, c := range r.CookiesNamed(name) {
			if c.Value != "" {
				out = append(out, c.Value)
			}
		}
	}
	return out
}

// firstToken is the first run of characters that tokens are made of, as Envoy takes it.
func firstToken(s string) string {
	in := func(c rune) bool {
		return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || strings.ContainsRune("-_.+/=?", c)
	}
	i := strings.IndexFunc(s, in)
	if i < 0 {
		return ""
	}
	s = s[i:]
	if j := strings.IndexFunc(s, func(c rune) bool { return !in(c) }); j >= 0 {
		s = s[:j]
	}
	return s
}

// remove takes the tokens away. The header is the request's own.
func (l *locations) remove(r *http.Request) {
	for _, h := range l.headers {
		list := slices.DeleteFunc(slices.Clone(r.Header[h.name]), func(v string) bool { return strings.Contains(v, h.prefix) })
		if len(list) == 0 {
			delete(r.Header, h.name)
		} else {
			r.Header[h.name] = list
		}
	}
	if len(l.params) > 0 && r.URL.RawQuery != "" {
		u := *r.URL
		u.RawQuery = withoutParams(u.RawQuery, l.params)
		if r.URL = &u; r.RequestURI != "" {
			r.RequestURI = u.RequestURI()
		}
	}
	if len(l.cookies) > 0 && r.Header["Cookie"] != nil {
		kept := []string{}
		for _, line := range r.Header["Cookie"] {
			for pair := range strings.SplitSeq(line, ";") {
				pair = strings.TrimSpace(pair)
				if name, _, _ := strings.Cut(pair, "="); pair != "" && !slices.Contains(l.cookies, name) {
					kept = append(kept, pair)
				}
			}
		}
		if delete(r.Header, "Cookie"); len(kept) > 0 {
			r.Header["Cookie"] = []string{strings.Join(kept, "; ")}
		}
	}
}

// withoutParams leaves the rest of the query as it was written.
func withoutParams(query string, names []string) string {
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if s, err := url.QueryUnescape(name); err == nil && slices.Contains(names, s) {
			continue
		}
		kept = append(kept, pair)
	}
	return strings.Join(kept, "&")
}
