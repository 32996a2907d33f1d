package validate

import (
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// httpMatch judges one alternative of a route's match.
func httpMatch(fs *finding.Faults, path string, m *networking.HTTPMatchRequest) {
	headers := finding.Join(path, "headers")
	for _, name := range sorted(m.Headers) {
		at := finding.Key(headers, name)
		matchHeader(fs, at, name)
		if m.Headers[name] == nil {
			fs.Errorf(at, "null, want a string match; {} asks for presence")
		}
		StringMatch(fs, at, m.Headers[name])
	}
	headers = finding.Join(path, "withoutHeaders")
	for _, name := range sorted(m.WithoutHeaders) {
		at := finding.Key(headers, name)
		matchHeader(fs, at, name)
		if m.WithoutHeaders[name].GetRegex() != "*" { // Istio's spelling of presence
			StringMatch(fs, at, m.WithoutHeaders[name])
		}
	}
	// An empty prefix of a path matches all, and is allowed; of other parts it is a slip.
	if m.Uri != nil {
		regexMatch(fs, finding.Join(path, "uri"), m.Uri)
	}
	if m.Scheme != nil {
		StringMatch(fs, finding.Join(path, "scheme"), m.Scheme)
	}
	if m.Method != nil {
		StringMatch(fs, finding.Join(path, "method"), m.Method)
	}
	if m.Authority != nil {
		StringMatch(fs, finding.Join(path, "authority"), m.Authority)
	}
	for _, name := range sorted(m.QueryParams) {
		StringMatch(fs, finding.Key(finding.Join(path, "queryParams"), name), m.QueryParams[name])
	}
	if m.Port != 0 {
		port(fs, finding.Join(path, "port"), m.Port)
	}
	if len(m.SourceLabels) > 0 {
		labelMap(fs, finding.Join(path, "sourceLabels"), m.SourceLabels)
	}
	gatewayNames(fs, finding.Join(path, "gateways"), m.Gateways)
	if m.SourceNamespace != "" && !isLabel(m.SourceNamespace) {
		fs.Errorf(finding.Join(path, "sourceNamespace"), "%q is not a namespace", m.SourceNamespace)
	}
}

// matchHeader wants a name to match on: of a header, a pseudo-header, or a claim of a token.
func matchHeader(fs *finding.Faults, path, name string) {
	switch {
	case isClaim(name):
	case name == ":method", name == ":scheme", name == ":authority", name == ":path", name == ":status":
	case !isToken(name):
		fs.Errorf(path, "%q is not a header name", name)
	}
}

// claimMatches refuses matches on claims in routes of sidecars, which have no token at hand.
func claimMatches(fs *finding.Faults, path string, r *networking.HTTPRoute) {
	for i, m := range r.Match {
		at := finding.Index(finding.Join(path, "match"), i)
		for _, set := range []struct {
			name    string
			headers map[string]*networking.StringMatch
		}{{"headers", m.GetHeaders()}, {"withoutHeaders", m.GetWithoutHeaders()}} {
			for _, name := range sorted(set.headers) {
				if isClaim(name) {
					fs.Errorf(finding.Key(finding.Join(at, set.name), name), "claims are matched at gateways only, and the mesh gateway is bound")
				}
			}
		}
	}
}

// isClaim tells whether the header name stands for a claim of a verified token: "@request.auth.claims.sub" or
// "@request.auth.claims[sub]".
func isClaim(name string) bool {
	const prefix = "@request.auth.claims"
	if len(name) < len(prefix)+2 || !strings.EqualFold(name[:len(prefix)], prefix) {
		return false
	}
	rest := name[len(prefix):]
	return rest[0] == '.' || rest[0] == '[' && rest[len(rest)-1] == ']' && len(rest) > 2
}

// isToken tells whether s is a token of HTTP, as header names are.
func isToken(s string) bool {
	for i := range len(s) {
		if !alnum(s[i]) && strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}
