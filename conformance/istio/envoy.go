package istio

// What Envoy does with a RouteConfiguration, for the parts that Istio makes. Istio's own simulation
// (pilot/pkg/simulation) stops at the path; this carries on with headers, query parameters, claims of a token,
// rewrites and redirects. It is written from Envoy's API reference.

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
)

// message is a request as Envoy's router sees it.
type message struct {
	headers map[string][]string // by lower-case name, with :method :path :authority :scheme
	claims  map[string]any      // of a verified token, for @request.auth.claims
}

func (r *message) get(name string) (string, bool) {
	v, ok := r.headers[strings.ToLower(name)]
	if !ok || len(v) == 0 {
		return "", false
	}
	return strings.Join(v, ","), true
}

func (r *message) pathOnly() (path, query string) {
	p, _ := r.get(":path")
	p, _, _ = strings.Cut(p, "#")
	path, q, has := strings.Cut(p, "?")
	if has {
		query = "?" + q
	}
	return path, query
}

func fullMatch(re, s string) bool {
	c, err := regexp.Compile(`^(?:` + re + `)$`)
	if err != nil {
		return false
	}
	c.Longest()
	return c.MatchString(s)
}

func matchString(m *matcher.StringMatcher, s string) bool {
	fold := func(x string) string {
		if m.GetIgnoreCase() {
			return strings.ToLower(x)
		}
		return x
	}
	switch p := m.GetMatchPattern().(type) {
	case *matcher.StringMatcher_Exact:
		return fold(s) == fold(p.Exact)
	case *matcher.StringMatcher_Prefix:
		return strings.HasPrefix(fold(s), fold(p.Prefix))
	case *matcher.StringMatcher_Suffix:
		return strings.HasSuffix(fold(s), fold(p.Suffix))
	case *matcher.StringMatcher_Contains:
		return strings.Contains(fold(s), fold(p.Contains))
	case *matcher.StringMatcher_SafeRegex:
		return fullMatch(p.SafeRegex.GetRegex(), s)
	}
	panic(fmt.Sprintf("string matcher %T", m.GetMatchPattern()))
}

func matchHeader(m *route.HeaderMatcher, r *message) bool {
	v, ok := r.get(m.Name)
	if p, is := m.GetHeaderMatchSpecifier().(*route.HeaderMatcher_PresentMatch); is {
		if m.TreatMissingHeaderAsEmpty {
			ok = true
		}
		return (ok == p.PresentMatch) != m.InvertMatch
	}
	if m.GetHeaderMatchSpecifier() == nil {
		return ok != m.InvertMatch
	}
	if !ok {
		if !m.TreatMissingHeaderAsEmpty {
			return false
		}
		v = ""
	}
	var res bool
	switch p := m.GetHeaderMatchSpecifier().(type) {
	case *route.HeaderMatcher_StringMatch:
		res = matchString(p.StringMatch, v)
	case *route.HeaderMatcher_RangeMatch:
		n, err := strconv.ParseInt(v, 10, 64)
		res = err == nil && n >= p.RangeMatch.Start && n < p.RangeMatch.End
	default:
		panic(fmt.Sprintf("header matcher %T", p))
	}
	return res != m.InvertMatch
}

func matchQuery(m *route.QueryParameterMatcher, query string) bool {
	var v string
	found := false
	for _, kv := range strings.Split(strings.TrimPrefix(query, "?"), "&") {
		if kv == "" {
			continue
		}
		k, val, _ := strings.Cut(kv, "=")
		if k == m.Name { // the first value counts; no percent-decoding
			v, found = val, true
			break
		}
	}
	switch p := m.GetQueryParameterMatchSpecifier().(type) {
	case *route.QueryParameterMatcher_PresentMatch:
		return found == p.PresentMatch
	case *route.QueryParameterMatcher_StringMatch:
		return found && matchString(p.StringMatch, v)
	}
	return found
}

func matchValue(m *matcher.ValueMatcher, v any) bool {
	switch p := m.GetMatchPattern().(type) {
	case *matcher.ValueMatcher_StringMatch:
		s, ok := v.(string)
		return ok && matchString(p.StringMatch, s)
	case *matcher.ValueMatcher_BoolMatch:
		b, ok := v.(bool)
		return ok && b == p.BoolMatch
	case *matcher.ValueMatcher_PresentMatch:
		return (v != nil) == p.PresentMatch
	case *matcher.ValueMatcher_OrMatch:
		for _, x := range p.OrMatch.GetValueMatchers() {
			if matchValue(x, v) {
				return true
			}
		}
		return false
	case *matcher.ValueMatcher_ListMatch:
		l, ok := v.([]any)
		if !ok {
			return false
		}
		for _, x := range l {
			if matchValue(p.ListMatch.GetOneOf(), x) {
				return true
			}
		}
		return false
	}
	panic(fmt.Sprintf("value matcher %T", m.GetMatchPattern()))
}

// matchMetadata: the only metadata there is are the JWT filter's, under "payload".
func matchMetadata(m *matcher.MetadataMatcher, claims map[string]any) bool {
	var v any
	if claims != nil {
		v = map[string]any{"payload": claims}
	}
	for _, p := range m.Path {
		mp, ok := v.(map[string]any)
		if !ok {
			v = nil
			break
		}
		v = mp[p.GetKey()]
	}
	return (v != nil && matchValue(m.Value, v)) != m.Invert
}

func matchPath(m *route.RouteMatch, path string) bool {
	fold := func(x string) string {
		if m.CaseSensitive != nil && !m.CaseSensitive.Value {
			return strings.ToLower(x)
		}
		return x
	}
	switch p := m.GetPathSpecifier().(type) {
	case *route.RouteMatch_Prefix:
		return strings.HasPrefix(fold(path), fold(p.Prefix))
	case *route.RouteMatch_Path:
		return fold(path) == fold(p.Path)
	case *route.RouteMatch_PathSeparatedPrefix:
		pp, want := fold(path), fold(p.PathSeparatedPrefix)
		return strings.HasPrefix(pp, want) && (len(pp) == len(want) || pp[len(want)] == '/')
	case *route.RouteMatch_SafeRegex:
		return fullMatch(p.SafeRegex.GetRegex(), path)
	}
	panic(fmt.Sprintf("path specifier %T", m.GetPathSpecifier()))
}

func matchRoute(m *route.RouteMatch, r *message) bool {
	path, query := r.pathOnly()
	if !matchPath(m, path) {
		return false
	}
	for _, h := range m.Headers {
		if !matchHeader(h, r) {
			return false
		}
	}
	return matchRest(m, r, query)
}

// matchRest is the part of a match that gRPC does not know.
func matchRest(m *route.RouteMatch, r *message, query string) bool {
	for _, q := range m.QueryParameters {
		if !matchQuery(q, query) {
			return false
		}
	}
	for _, d := range m.DynamicMetadata {
		if !matchMetadata(d, r.claims) {
			return false
		}
	}
	return true
}

// substitution turns RE2's \1 into Go's ${1}, and its \\ into one backslash.
func substitution(s string) string {
	return escaped.ReplaceAllStringFunc(strings.ReplaceAll(s, "$", "$$"), func(e string) string {
		if e[1] == '\\' {
			return `\`
		}
		return "${" + e[1:] + "}"
	})
}

var escaped = regexp.MustCompile(`\\[\d\\]`)

func regexRewrite(rw *matcher.RegexMatchAndSubstitute, path string) string {
	re, err := regexp.Compile(rw.GetPattern().GetRegex())
	if err != nil {
		return path
	}
	return re.ReplaceAllString(path, substitution(rw.Substitution))
}

// swapPrefix is Envoy's prefix_rewrite: it swaps the part of the path that the match names.
func swapPrefix(m *route.RouteMatch, path, with string) string {
	switch p := m.GetPathSpecifier().(type) {
	case *route.RouteMatch_Prefix:
		return with + path[len(p.Prefix):]
	case *route.RouteMatch_PathSeparatedPrefix:
		return with + path[len(p.PathSeparatedPrefix):]
	}
	return with // exact path, or regex: the whole path
}

func rewritePath(r *route.Route, req *message) string {
	a := r.GetRoute()
	path, query := req.pathOnly()
	switch {
	case a.GetPrefixRewrite() != "":
		path = swapPrefix(r.Match, path, a.GetPrefixRewrite())
	case a.GetRegexRewrite() != nil:
		path = regexRewrite(a.GetRegexRewrite(), path)
	}
	return path + query
}

func redirectLocation(r *route.Route, req *message) string {
	a := r.GetRedirect()
	scheme, _ := req.get(":scheme")
	authority, _ := req.get(":authority")
	host, port := authority, ""
	if h, p, err := net.SplitHostPort(authority); err == nil {
		host, port = h, p
	}
	final := scheme
	if a.GetSchemeRedirect() != "" {
		final = a.GetSchemeRedirect()
	} else if a.GetHttpsRedirect() {
		final = "https"
	}
	if a.HostRedirect != "" {
		host, port = a.HostRedirect, ""
		if h, p, err := net.SplitHostPort(a.HostRedirect); err == nil {
			host, port = h, p
		}
	}
	switch {
	case a.PortRedirect != 0:
		port = strconv.Itoa(int(a.PortRedirect))
	case final != scheme && (scheme == "http" && port == "80" || scheme == "https" && port == "443"):
		port = "" // Envoy drops the old scheme's default port when it changes the scheme
	}
	path, query := req.pathOnly()
	switch p := a.GetPathRewriteSpecifier().(type) {
	case *route.RedirectAction_PathRedirect:
		if p.PathRedirect != "" { // empty is the same as none
			np, nq, has := strings.Cut(p.PathRedirect, "?")
			path = np
			if has {
				query = "?" + nq
			}
		}
	case *route.RedirectAction_PrefixRewrite:
		path = swapPrefix(r.Match, path, p.PrefixRewrite)
	case *route.RedirectAction_RegexRewrite:
		path = regexRewrite(p.RegexRewrite, path)
	}
	if a.StripQuery {
		query = ""
	}
	if port != "" {
		host += ":" + port
	}
	return final + "://" + host + path + query
}

var redirectCodes = map[route.RedirectAction_RedirectResponseCode]int{
	route.RedirectAction_MOVED_PERMANENTLY:  301,
	route.RedirectAction_FOUND:              302,
	route.RedirectAction_SEE_OTHER:          303,
	route.RedirectAction_TEMPORARY_REDIRECT: 307,
	route.RedirectAction_PERMANENT_REDIRECT: 308,
}
