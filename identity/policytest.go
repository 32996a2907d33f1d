package identity

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// test is one condition on a request.
type test interface{ match(q *Request) bool }

// Tests that look at one text each.
type (
	methodTest struct{ *patterns }
	hostTest   struct {
		*patterns
		dotted bool // the name with a trailing dot counts as the name without
	}
	serverNameTest struct{ *patterns }
	principalTest  struct{ *patterns }
	headerTest     struct {
		name   string
		values *patterns
	}
)

func (t methodTest) match(q *Request) bool     { return t.patterns.match(q.Method) }
func (t serverNameTest) match(q *Request) bool { return t.patterns.match(q.ServerName) }
func (t principalTest) match(q *Request) bool  { return q.peer != "" && t.patterns.match(q.peer) }

func (t hostTest) match(q *Request) bool {
	if t.patterns.match(q.host) {
		return true
	}
	if !t.dotted {
		return false
	}
	name, port := q.host, ""
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		name, port = name[:i], name[i:]
	}
	if name, dot := strings.CutSuffix(name, "."); dot {
		return t.patterns.match(name + port)
	}
	return false
}

func (t *headerTest) match(q *Request) bool {
	v, ok := q.header(t.name)
	return ok && t.values.match(v)
}

// peerTest asks one of several patterns about the peer's ID.
type peerTest[P interface{ match(id string) bool }] struct{ list []P }

func (t *peerTest[P]) match(q *Request) bool {
	if q.peer == "" {
		return false
	}
	for i := range t.list {
		if t.list[i].match(q.peer) {
			return true
		}
	}
	return false
}

func newPeerTest[P interface{ match(id string) bool }](values []string, make func(string) P) test {
	t := &peerTest[P]{}
	for _, v := range values {
		t.list = append(t.list, make(v))
	}
	return t
}

// addressTest wants an address in one of the blocks.
type addressTest struct {
	blocks []netip.Prefix
	of     func(*Request) netip.Addr
}

func (t *addressTest) match(q *Request) bool {
	a := t.of(q)
	for _, b := range t.blocks {
		if b.Contains(a) {
			return true
		}
	}
	return false
}

func newAddressTest(values []string, of func(*Request) netip.Addr) (test, error) {
	t := &addressTest{of: of}
	for _, v := range values {
		b, err := netip.ParsePrefix(v)
		if err != nil {
			a, err := netip.ParseAddr(v)
			if err != nil {
				return nil, fmt.Errorf("%q is not an IP address or CIDR block", v)
			}
			b = netip.PrefixFrom(a, a.BitLen())
		}
		t.blocks = append(t.blocks, b.Masked())
	}
	return t, nil
}

func source(q *Request) netip.Addr      { return q.Source }
func remote(q *Request) netip.Addr      { return q.Remote }
func destination(q *Request) netip.Addr { return q.Destination }

// portTest wants one of the ports.
type portTest []int

func (t portTest) match(q *Request) bool { return slices.Contains(t, q.Port) }

func newPortTest(values []string) (test, error) {
	var t portTest
	for _, v := range values {
		n, err := strconv.ParseUint(v, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%q is not in 0..65535", v)
		}
		t = append(t, int(n))
	}
	return t, nil
}

// never is what an attribute matches that we do not have: metadata of Envoy's filters.
type never struct{}

func (never) match(*Request) bool { return false }

// when makes the test of a condition's key.
func (c *compiler) when(key string, values []string) (test, error) {
	switch key {
	case "source.ip":
		return newAddressTest(values, source)
	case "remote.ip":
		return newAddressTest(values, remote)
	case "destination.ip":
		return newAddressTest(values, destination)
	case "destination.port":
		return newPortTest(values)
	case "connection.sni":
		return serverNameTest{newPatterns(values, some)}, nil
	case "source.namespace":
		return newPeerTest(values, newNamespacePattern), nil
	case "source.serviceAccount":
		return newPeerTest(values, func(v string) accountPattern { return newAccountPattern(v, c.policy.Namespace) }), nil
	case "source.trustDomain":
		return newPeerTest(withDomainAliases(values, c.domains), newDomainPattern), nil
	case "source.principal":
		return principalTest{principalPatterns(values, c.domains)}, nil
	case "request.auth.principal":
		return newRequestPrincipals(values), nil
	case "request.auth.audiences":
		return &claimTest{[]string{"aud"}, newPatterns(values, some)}, nil
	case "request.auth.presenter":
		return &claimTest{[]string{"azp"}, newPatterns(values, some)}, nil
	}
	if name, ok := strings.CutPrefix(key, "request.headers["); ok && strings.HasSuffix(name, "]") {
		return &headerTest{headerName(strings.TrimSuffix(name, "]")), newPatterns(values, present)}, nil
	}
	if path, ok := strings.CutPrefix(key, "request.auth.claims"); ok && strings.HasPrefix(path, "[") && strings.HasSuffix(path, "]") {
		return &claimTest{claimPath(path), newPatterns(values, some)}, nil
	}
	if strings.HasPrefix(key, "experimental.envoy.filters.") {
		return never{}, nil
	}
	return nil, fmt.Errorf("%q is not an attribute that Istio has", key)
}

func headerName(s string) string {
	if strings.HasPrefix(s, ":") {
		return strings.ToLower(s)
	}
	return http.CanonicalHeaderKey(s)
}
