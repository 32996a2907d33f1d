package validate

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"
)

// maxCompared bounds how many pairs of matches of one VirtualService are compared, so that a huge one stays quick.
const maxCompared = 1 << 18

// place is where a match stands.
type place struct{ rule, match int }

type placed struct {
	place
	m *networking.HTTPMatchRequest
}

// covers finds the earlier match that takes every request of a later one. Matches are kept by their prefix, so that
// those of other paths are not looked at. The zero value is ready to use.
type covers struct {
	prefixes map[string][]placed // those without uri are kept under ""
	compared int
}

// add keeps the match, if it is of a kind that can cover another.
func (c *covers) add(at place, m *networking.HTTPMatchRequest) {
	prefix := ""
	if m.GetUri().GetMatchType() != nil {
		p, ok := m.Uri.MatchType.(*networking.StringMatch_Prefix)
		if !ok {
			return
		}
		prefix = p.Prefix
		if m.IgnoreUriCase && strings.ToLower(prefix) != strings.ToUpper(prefix) {
			return
		}
	}
	if c.prefixes == nil {
		c.prefixes = map[string][]placed{}
	}
	c.prefixes[prefix] = append(c.prefixes[prefix], placed{at, m})
}

// earlier finds a kept match that covers m, which stands in the rule. Within one rule, where a match too many does no
// harm, only a prefix that begins with another is worth a word, as in Istio.
func (c *covers) earlier(rule int, m *networking.HTTPMatchRequest) (place, bool) {
	if m == nil || c.prefixes == nil {
		return place{}, false
	}
	uri, isPrefix := "", false
	switch u := m.GetUri().GetMatchType().(type) {
	case *networking.StringMatch_Prefix:
		uri, isPrefix = u.Prefix, true
	case *networking.StringMatch_Exact:
		uri = u.Exact
	}
	for n := 0; n <= len(uri); n++ {
		for _, p := range c.prefixes[uri[:n]] {
			if c.compared++; c.compared > maxCompared {
				return place{}, false
			}
			if p.rule == rule && (!isPrefix || n == len(uri) || n == 0) ||
				m.IgnoreUriCase && strings.ToLower(uri[:n]) != strings.ToUpper(uri[:n]) {
				continue
			}
			if coversRest(p.m, m) {
				return p.place, true
			}
		}
	}
	return place{}, false
}

// coversRest tells whether all that b asks of a request beside its path is enough for a.
func coversRest(a, b *networking.HTTPMatchRequest) bool {
	if a.GetPort() != 0 && a.GetPort() != b.GetPort() ||
		!coversText(a.GetScheme(), b.GetScheme()) || !coversText(a.GetMethod(), b.GetMethod()) ||
		!coversText(a.GetAuthority(), b.GetAuthority()) ||
		!coversClient(a, b) {
		return false
	}
	if len(a.GetHeaders()) > len(b.GetHeaders()) || len(a.GetQueryParams()) > len(b.GetQueryParams()) ||
		len(a.GetWithoutHeaders()) > len(b.GetWithoutHeaders()) {
		return false
	}
	for name, want := range a.GetHeaders() {
		if have, ok := b.GetHeaders()[name]; !ok || !coversText(want, have) {
			return false
		}
	}
	for name, want := range a.GetQueryParams() {
		if have, ok := b.GetQueryParams()[name]; !ok || !coversText(want, have) {
			return false
		}
	}
	for name, want := range a.GetWithoutHeaders() {
		if have, ok := b.GetWithoutHeaders()[name]; !ok || canon(want) != canon(have) {
			return false
		}
	}
	return true
}

// coversText tells whether every text that b matches is matched by a. Nil and a match of no kind match all.
func coversText(a, b *networking.StringMatch) bool {
	switch w := a.GetMatchType().(type) {
	case nil:
		return true
	case *networking.StringMatch_Exact:
		h, ok := b.GetMatchType().(*networking.StringMatch_Exact)
		return ok && h.Exact == w.Exact
	case *networking.StringMatch_Prefix:
		switch h := b.GetMatchType().(type) {
		case *networking.StringMatch_Exact:
			return strings.HasPrefix(h.Exact, w.Prefix)
		case *networking.StringMatch_Prefix:
			return strings.HasPrefix(h.Prefix, w.Prefix)
		}
	case *networking.StringMatch_Regex:
		h, ok := b.GetMatchType().(*networking.StringMatch_Regex)
		return ok && h.Regex == w.Regex
	}
	return false
}

// coversClient tells whether the clients and gateways that b is for are among those of a. A match that names
// gateways does not look at the client's labels and namespace.
func coversClient(a, b *networking.HTTPMatchRequest) bool {
	if len(a.GetGateways()) > 0 {
		for _, g := range b.GetGateways() {
			if !slices.Contains(a.Gateways, g) {
				return false
			}
		}
		return len(b.GetGateways()) > 0
	}
	if len(a.GetSourceLabels()) == 0 && a.GetSourceNamespace() == "" {
		return true
	}
	if len(b.GetGateways()) > 0 || a.SourceNamespace != "" && a.SourceNamespace != b.GetSourceNamespace() {
		return false
	}
	for k, v := range a.SourceLabels {
		if have, ok := b.GetSourceLabels()[k]; !ok || have != v {
			return false
		}
	}
	return true
}
