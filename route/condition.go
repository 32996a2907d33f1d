package route

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1"
)

// field is the part of a request that a condition looks at.
type field uint8

const (
	onPath field = iota
	onMethod
	onAuthority
	onScheme
	onPort
	onHeader
	onQuery
	onClaim
	onTarget // the path with its query: what Envoy has under the header name ":path"
)

// cond is one thing that a match entry asks for.
type cond struct {
	field field
	not   bool // withoutHeaders: met where the text does not match
	port  int32
	name  string // of the header (canonical) or parameter; of the claim, as the rule has it
	text  text
	claim *claim
}

// conditions compiles one match entry, in the order in which Explain tells them. The path's comes first.
// A nil entry is that of a route without match.
func (c *compiler) conditions(m *networking.HTTPMatchRequest) (cs []cond, err error) {
	n := 5
	if m != nil {
		n += len(m.Headers) + len(m.WithoutHeaders) + len(m.QueryParams)
	}
	cs = c.room(n)
	defer func() { c.took(len(cs)) }()
	add := func(f field, name string, m *networking.StringMatch, fold bool) {
		t, e := c.text(m, fold)
		if e != nil && err == nil {
			err = e
		}
		cs = append(cs, cond{field: f, name: name, text: t})
	}
	// Without a uri, or with an empty one, Istio writes the prefix "/": all but "OPTIONS *" begins with it.
	if uri := m.GetUri(); uri.GetMatchType() != nil {
		add(onPath, "", uri, m.GetIgnoreUriCase())
	} else {
		cs = append(cs, cond{field: onPath, text: text{op: prefix, arg: "/"}})
	}
	if m == nil {
		return cs, err
	}
	if m.Method.GetMatchType() != nil {
		add(onMethod, "", m.Method, false)
	}
	if m.Authority.GetMatchType() != nil {
		add(onAuthority, "", m.Authority, false)
	}
	if m.Scheme.GetMatchType() != nil {
		add(onScheme, "", m.Scheme, false)
	}
	if m.Port != 0 {
		cs = append(cs, cond{field: onPort, port: int32(m.Port)})
	}
	for _, not := range [2]bool{false, true} {
		headers := m.Headers
		if not {
			headers = m.WithoutHeaders
		}
		for _, name := range sorted(headers) {
			f, key := headerField(name)
			add(f, key, headers[name], false)
			last := &cs[len(cs)-1]
			last.not = not
			if f == onClaim {
				last.claim = &claim{claimPath(name)}
			}
		}
	}
	for _, name := range sorted(m.QueryParams) {
		add(onQuery, name, m.QueryParams[name], false)
	}
	return cs, err
}

func sorted[V any](m map[string]V) []string {
	if len(m) == 0 {
		return nil
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// headerField says where the value of a header name is found: Envoy's pseudo-headers and the host are not in
// an http.Header, and a name such as "@request.auth.claims.sub" is no header at all.
func headerField(name string) (field, string) {
	switch low := strings.ToLower(name); {
	case low == ":method":
		return onMethod, ""
	case low == ":authority" || low == "host":
		return onAuthority, ""
	case low == ":scheme":
		return onScheme, ""
	case low == ":path":
		return onTarget, ""
	case claimPath(name) != nil:
		return onClaim, name
	}
	return onHeader, http.CanonicalHeaderKey(name)
}

// claimPath splits "@request.auth.claims.a.b" and "@request.auth.claims[a][b]"; nil for other names.
func claimPath(name string) []string {
	const claims = "@request.auth.claims"
	if len(name) < len(claims)+2 || !strings.EqualFold(name[:len(claims)], claims) {
		return nil
	}
	rest := name[len(claims):]
	switch {
	case rest[0] == '.':
		return strings.Split(rest[1:], ".")
	case rest[0] == '[' && rest[len(rest)-1] == ']' && len(rest) > 2:
		return strings.Split(rest[1:len(rest)-1], "][")
	}
	return nil
}

// value is what the request has for the condition, and whether it has anything.
func (c *cond) value(q *Request) (string, bool) {
	switch c.field {
	case onPath:
		return q.Path, true
	case onMethod:
		return q.Method, true
	case onAuthority:
		return q.Authority, true
	case onScheme:
		return q.Scheme, true
	case onHeader:
		return first(q.Header, c.name)
	case onQuery:
		return queryValue(q.RawQuery, c.name)
	case onTarget:
		return q.target(), true
	}
	return "", false
}

// met tells whether the request fulfils the condition.
func (c *cond) met(q *Request) bool {
	switch c.field {
	case onPort:
		return q.Port == int(c.port)
	case onClaim:
		return matchClaim(&c.text, c.claim.of(q.Claims)) != c.not
	}
	v, ok := c.value(q)
	if c.not {
		if c.text.op == present {
			return !ok
		}
		return !c.text.match(v) // a missing header counts as an empty one here
	}
	return ok && c.text.match(v)
}

// claim is the way to a claim.
type claim struct{ names []string }

// of follows the way into nested claims; nil where there is nothing.
func (c *claim) of(claims map[string]any) any {
	var v any = claims
	for _, n := range c.names {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[n]
	}
	return v
}

// matchClaim compares a claim: a string, or a list of which one string matches. Other types match nothing,
// but are present.
func matchClaim(t *text, v any) bool {
	if t.op == present && t.src.GetRegex() != "" || t.src.GetMatchType() == nil {
		return v != nil
	}
	switch v := v.(type) {
	case string:
		return t.match(v)
	case []any:
		for _, x := range v {
			if s, ok := x.(string); ok && t.match(s) {
				return true
			}
		}
	case []string:
		return slices.ContainsFunc(v, t.match)
	}
	return false
}

// unmet says in words why the condition is not met, in the rule's own terms.
func (c *cond) unmet(q *Request) string {
	var what string
	switch c.field {
	case onPath:
		what = "uri"
	case onMethod:
		what = "method"
	case onAuthority:
		what = "authority"
	case onScheme:
		what = "scheme"
	case onPort:
		if q.Port == 0 {
			return "port " + strconv.Itoa(int(c.port)) + ": the request's port is not known"
		}
		return "port " + strconv.Itoa(int(c.port)) + " is not " + strconv.Itoa(q.Port)
	case onQuery:
		what = "queryParams[" + c.name + "]"
	case onHeader:
		what = "headers[" + strings.ToLower(c.name) + "]"
	case onTarget:
		what = "headers[:path]"
	case onClaim:
		what = "headers[" + c.name + "]"
	}
	if c.not {
		if _, name, ok := strings.Cut(what, "["); ok {
			what = "withoutHeaders[" + name
		} else {
			what = "withoutHeaders[:" + what + "]"
		}
	}
	var v string
	var ok bool
	if c.field == onClaim {
		value := c.claim.of(q.Claims)
		if ok = value != nil; ok {
			v = fmt.Sprintf("%v", value)
		}
	} else if v, ok = c.value(q); ok {
		v = strconv.Quote(v)
	}
	switch {
	case c.not && c.text.op == present:
		return what + " is there: " + v
	case c.not && !ok:
		return what + " " + c.text.String() + " matches: a missing header counts as empty"
	case c.not:
		return what + " " + c.text.String() + " matches " + v
	case !ok:
		return what + " " + c.text.String() + ": missing"
	}
	return what + " " + c.text.String() + " does not match " + v
}
