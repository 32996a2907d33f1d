package identity

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	security "istio.io/api/security/v1"
)

// onePolicy is a policy of the rules.
func onePolicy(action security.AuthorizationPolicy_Action, rules ...*security.Rule) Policy {
	return Policy{Namespace: "default", Name: "p", Spec: &security.AuthorizationPolicy{Action: action, Rules: rules}}
}

func compiled(t testing.TB, o *PolicyOptions, list ...Policy) *Policies {
	t.Helper()
	p, err := NewPolicies(list, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// request is GET http://a.test/a of cluster.local/ns/foo/sa/bar with changes.
func request(change ...func(*Request)) *Request {
	q := &Request{Method: "GET", Host: "a.test", Path: "/a", Header: http.Header{"X-H": {"v"}},
		Peer:   Peer{ID: spiffeid.RequireFromString("spiffe://cluster.local/ns/foo/sa/bar")},
		Source: netip.MustParseAddr("10.0.0.1"), Remote: netip.MustParseAddr("1.2.3.4"), Destination: netip.MustParseAddr("10.9.9.9"), Port: 8080, ServerName: "sni.test",
		Claims: map[string]any{"iss": "https://i.test", "sub": "me", "aud": []any{"x", "y"}, "azp": "app", "group": "admin", "n": 1.0,
			"deep": map[string]any{"er": []any{"a", "b"}}}}
	for _, f := range change {
		f(q)
	}
	return q
}

func stranger(q *Request) { q.Peer, q.Claims = Peer{}, nil }

func from(s *security.Source) *security.Rule {
	return &security.Rule{From: []*security.Rule_From{{Source: s}}}
}

func to(o *security.Operation) *security.Rule {
	return &security.Rule{To: []*security.Rule_To{{Operation: o}}}
}

func when(key string, values, not []string) *security.Rule {
	return &security.Rule{When: []*security.Condition{{Key: key, Values: values, NotValues: not}}}
}

// TestFields: every field, on a request that it is met by and one that it is not, and its twin the other way round.
func TestFields(t *testing.T) {
	src := func(f func(*security.Source, []string)) func(values []string) *security.Rule {
		return func(values []string) *security.Rule { s := &security.Source{}; f(s, values); return from(s) }
	}
	op := func(f func(*security.Operation, []string)) func(values []string) *security.Rule {
		return func(values []string) *security.Rule { o := &security.Operation{}; f(o, values); return to(o) }
	}
	key := func(key string, not bool) func(values []string) *security.Rule {
		return func(values []string) *security.Rule {
			if not {
				return when(key, nil, values)
			}
			return when(key, values, nil)
		}
	}
	for _, field := range []struct {
		name     string
		rule     func(values []string) *security.Rule
		not      func(values []string) *security.Rule
		yes, no  []string
		stranger bool // what is met is met without identity and token
	}{
		{"principals", src(func(s *security.Source, v []string) { s.Principals = v }), src(func(s *security.Source, v []string) { s.NotPrincipals = v }),
			[]string{"cluster.local/ns/foo/sa/bar", "cluster.local/ns/foo/*", "*/sa/bar", "*"}, []string{"cluster.local/ns/foo/sa/ba", "cluster.local/ns/foo/sa/Bar", "td/*", "*/sa/baz"}, false},
		{"namespaces", src(func(s *security.Source, v []string) { s.Namespaces = v }), src(func(s *security.Source, v []string) { s.NotNamespaces = v }),
			[]string{"foo", "f*", "*o", "f*o", "*"}, []string{"fo", "foo2", "bar", "oo"}, false},
		{"serviceAccounts", src(func(s *security.Source, v []string) { s.ServiceAccounts = v }), src(func(s *security.Source, v []string) { s.NotServiceAccounts = v }),
			[]string{"foo/bar"}, []string{"bar", "foo/ba", "foo/barr", "fo/bar"}, false},
		{"trustDomains", src(func(s *security.Source, v []string) { s.TrustDomains = v }), src(func(s *security.Source, v []string) { s.NotTrustDomains = v }),
			[]string{"cluster.local", "*", "cluster*", "*.local"}, []string{"cluster", "local", "td"}, false},
		{"ipBlocks", src(func(s *security.Source, v []string) { s.IpBlocks = v }), src(func(s *security.Source, v []string) { s.NotIpBlocks = v }),
			[]string{"10.0.0.1", "10.0.0.0/8"}, []string{"10.0.0.2", "1.2.3.4", "::1"}, true},
		{"remoteIpBlocks", src(func(s *security.Source, v []string) { s.RemoteIpBlocks = v }), src(func(s *security.Source, v []string) { s.NotRemoteIpBlocks = v }),
			[]string{"1.2.3.4", "1.2.0.0/16"}, []string{"10.0.0.1"}, true},
		{"requestPrincipals", src(func(s *security.Source, v []string) { s.RequestPrincipals = v }), src(func(s *security.Source, v []string) { s.NotRequestPrincipals = v }),
			[]string{"https://i.test/me", "*", "https://i.test/*", "*/me", "https://i.test/m*", "*i.test/me"}, []string{"https://i.test/you", "i.test/me", "me", "*/*", "*/you"}, false},
		{"paths", op(func(o *security.Operation, v []string) { o.Paths = v }), op(func(o *security.Operation, v []string) { o.NotPaths = v }),
			[]string{"/a", "/*", "*a", "*", "/{*}", "/{**}"}, []string{"/A", "/a/", "/a/*", "/{*}/b", "/a{*}"}, true},
		{"methods", op(func(o *security.Operation, v []string) { o.Methods = v }), op(func(o *security.Operation, v []string) { o.NotMethods = v }),
			[]string{"GET", "G*", "*T", "*"}, []string{"get", "POST"}, true},
		{"hosts", op(func(o *security.Operation, v []string) { o.Hosts = v }), op(func(o *security.Operation, v []string) { o.NotHosts = v }),
			[]string{"a.test", "A.Test", "*.test", "a.*", "*"}, []string{"b.test", "a.test:80", "a.tes"}, true},
		{"ports", op(func(o *security.Operation, v []string) { o.Ports = v }), op(func(o *security.Operation, v []string) { o.NotPorts = v }),
			[]string{"8080"}, []string{"80"}, true},
		{"source.ip", key("source.ip", false), key("source.ip", true), []string{"10.0.0.1"}, []string{"10.0.0.2"}, true},
		{"remote.ip", key("remote.ip", false), key("remote.ip", true), []string{"1.2.3.0/24"}, []string{"1.2.4.0/24"}, true},
		{"source.namespace", key("source.namespace", false), key("source.namespace", true), []string{"foo"}, []string{"bar"}, false},
		{"source.serviceAccount", key("source.serviceAccount", false), key("source.serviceAccount", true), []string{"foo/bar"}, []string{"bar"}, false},
		{"source.trustDomain", key("source.trustDomain", false), key("source.trustDomain", true), []string{"cluster.local"}, []string{"td"}, false},
		{"source.principal", key("source.principal", false), key("source.principal", true), []string{"cluster.local/ns/foo/sa/bar"}, []string{"foo"}, false},
		{"request.headers", key("request.headers[x-h]", false), key("request.headers[x-h]", true), []string{"v", "v*", "*v", "*"}, []string{"V", "w"}, true},
		{"pseudo header", key("request.headers[:method]", false), key("request.headers[:method]", true), []string{"GET"}, []string{"get"}, true},
		{"request.auth.principal", key("request.auth.principal", false), key("request.auth.principal", true), []string{"https://i.test/me"}, []string{"me"}, false},
		{"request.auth.audiences", key("request.auth.audiences", false), key("request.auth.audiences", true), []string{"x", "y", "*"}, []string{"z"}, false},
		{"request.auth.presenter", key("request.auth.presenter", false), key("request.auth.presenter", true), []string{"app"}, []string{"x"}, false},
		{"request.auth.claims", key("request.auth.claims[group]", false), key("request.auth.claims[group]", true), []string{"admin", "adm*", "*"}, []string{"user"}, false},
		{"nested claims", key("request.auth.claims[deep][er]", false), key("request.auth.claims[deep][er]", true), []string{"a", "b"}, []string{"c"}, false},
		{"a number", key("request.auth.claims[n]", true), key("request.auth.claims[n]", false), []string{"1"}, nil, true},
		{"destination.ip", key("destination.ip", false), key("destination.ip", true), []string{"10.9.0.0/16"}, []string{"10.0.0.1"}, true},
		{"destination.port", key("destination.port", false), key("destination.port", true), []string{"8080"}, []string{"80"}, true},
		{"connection.sni", key("connection.sni", false), key("connection.sni", true), []string{"sni.test", "*.test", "*"}, []string{"a.test"}, true},
		{"metadata of Envoy's", key("experimental.envoy.filters.x[y]", true), key("experimental.envoy.filters.x[y]", false), []string{"z"}, nil, true},
	} {
		t.Run(field.name, func(t *testing.T) {
			for i, values := range [][]string{field.yes, field.no} {
				for _, v := range values {
					for _, not := range []bool{false, true} {
						rule, met := field.rule, i == 0
						if not {
							rule, met = field.not, i != 0
						}
						for _, action := range []security.AuthorizationPolicy_Action{security.AuthorizationPolicy_ALLOW, security.AuthorizationPolicy_DENY} {
							p := compiled(t, nil, onePolicy(action, rule([]string{v})))
							allows := action == security.AuthorizationPolicy_ALLOW
							if got, want := p.Authorize(request()).Allowed, met == allows; got != want {
								t.Errorf("%v not=%v %q: allowed %v, want %v", action, not, v, got, want)
							}
							if field.stranger {
								continue
							}
							if got, want := p.Authorize(request(stranger)).Allowed, not == allows; got != want {
								t.Errorf("%v not=%v %q of a stranger: allowed %v, want %v", action, not, v, got, want)
							}
						}
					}
				}
			}
		})
	}
}

// TestOrder: DENY before ALLOW; no ALLOW policy allows; an ALLOW policy without rules allows nothing; AUDIT decides
// nothing; what is tried out decides nothing.
func TestOrder(t *testing.T) {
	all := &security.Rule{}
	none := to(&security.Operation{Paths: []string{"/never"}})
	allow, deny, audit := security.AuthorizationPolicy_ALLOW, security.AuthorizationPolicy_DENY, security.AuthorizationPolicy_AUDIT
	tried := func(p Policy) Policy { p.DryRun = true; return p }
	named := func(name string, p Policy) Policy { p.Name = name; return p }
	for _, tt := range []struct {
		name    string
		list    []Policy
		details string
		audited string
		stats   PolicyStats
	}{
		{name: "none"},
		{name: "allowed", list: []Policy{onePolicy(allow, all)}},
		{name: "no rule allows", list: []Policy{onePolicy(allow, none)}, details: "rbac_access_denied_matched_policy[none]", stats: PolicyStats{Denied: 1}},
		{name: "no rules", list: []Policy{onePolicy(allow)}, details: "rbac_access_denied_matched_policy[none]", stats: PolicyStats{Denied: 1}},
		{name: "denied", list: []Policy{onePolicy(allow, all), named("q", onePolicy(deny, none, all))}, details: "rbac_access_denied_matched_policy[ns[default]-policy[q]-rule[1]]", stats: PolicyStats{Denied: 1}},
		{name: "not denied", list: []Policy{onePolicy(deny, none)}},
		{name: "audited", list: []Policy{onePolicy(audit, all)}, audited: "ns[default]-policy[p]-rule[0]", stats: PolicyStats{Audited: 1}},
		{name: "tried denial", list: []Policy{tried(onePolicy(deny, all))}, stats: PolicyStats{DryRunDenied: 1}},
		{name: "tried allowance", list: []Policy{tried(onePolicy(allow, all))}, stats: PolicyStats{DryRunAllowed: 1}},
		{name: "tried, none allows", list: []Policy{tried(onePolicy(allow))}, stats: PolicyStats{DryRunDenied: 1}},
		{name: "an earlier name is told", list: []Policy{named("z", onePolicy(deny, all)), named("a", onePolicy(deny, all))}, details: "rbac_access_denied_matched_policy[ns[default]-policy[a]-rule[0]]", stats: PolicyStats{Denied: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := compiled(t, nil, tt.list...)
			v := p.Authorize(request())
			if got := v.Details(); got != tt.details {
				t.Errorf("details %q, want %q", got, tt.details)
			}
			if v.Allowed != (tt.details == "") || (v.Err() == nil) != v.Allowed || v.Audited != tt.audited {
				t.Errorf("got %+v", v)
			}
			if got := p.Stats(); got != tt.stats {
				t.Errorf("stats %+v, want %+v", got, tt.stats)
			}
		})
	}
}

// TestPartsOfARule: one of from, one of to, all of when.
func TestPartsOfARule(t *testing.T) {
	rule := &security.Rule{
		From: []*security.Rule_From{{Source: &security.Source{Namespaces: []string{"x"}}}, {Source: &security.Source{Namespaces: []string{"foo"}, NotPrincipals: []string{"*/sa/root"}}}},
		To:   []*security.Rule_To{{Operation: &security.Operation{Methods: []string{"PUT"}}}, {Operation: &security.Operation{Paths: []string{"/a", "/b"}, Methods: []string{"GET"}}}},
		When: []*security.Condition{{Key: "request.headers[x-h]", Values: []string{"v"}}, {Key: "destination.port", NotValues: []string{"80"}}},
	}
	p := compiled(t, nil, onePolicy(security.AuthorizationPolicy_ALLOW, rule))
	for _, tt := range []struct {
		name   string
		change func(*Request)
		want   bool
	}{
		{"all", func(*Request) {}, true},
		{"other path of the second to", func(q *Request) { q.Path = "/b" }, true},
		{"first to", func(q *Request) { q.Method, q.Path = "PUT", "/c" }, true},
		{"mixed to", func(q *Request) { q.Path = "/c" }, false},
		{"first from", func(q *Request) { q.Peer.ID = spiffeid.RequireFromString("spiffe://cluster.local/ns/x/sa/root") }, true},
		{"not twin", func(q *Request) { q.Peer.ID = spiffeid.RequireFromString("spiffe://cluster.local/ns/foo/sa/root") }, false},
		{"when", func(q *Request) { q.Header = nil }, false},
		{"when not", func(q *Request) { q.Port = 80 }, false},
	} {
		if got := p.Authorize(request(tt.change)).Allowed; got != tt.want {
			t.Errorf("%s: allowed %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestTrustDomainAliases(t *testing.T) {
	o := &PolicyOptions{TrustDomain: "new", TrustDomainAliases: []string{"old", "older"}}
	for _, tt := range []struct {
		principal, peer string
		want            bool
	}{
		{"old/ns/foo/sa/bar", "new/ns/foo/sa/bar", true},
		{"new/ns/foo/sa/bar", "older/ns/foo/sa/bar", true},
		{"cluster.local/ns/foo/sa/bar", "old/ns/foo/sa/bar", true},
		{"cluster.local/ns/foo/sa/bar", "cluster.local/ns/foo/sa/bar", false},
		{"other/ns/foo/sa/bar", "new/ns/foo/sa/bar", false},
		{"old/ns/foo/sa/bar", "other/ns/foo/sa/bar", false},
		{"*er/ns/foo/sa/bar", "older/ns/foo/sa/bar", true},
		{"*/ns/foo/sa/bar", "any/ns/foo/sa/bar", true},
	} {
		p := compiled(t, o, onePolicy(security.AuthorizationPolicy_ALLOW, from(&security.Source{Principals: []string{tt.principal}})))
		q := request(func(q *Request) { q.Peer.ID = spiffeid.RequireFromString("spiffe://" + tt.peer) })
		if got := p.Authorize(q).Allowed; got != tt.want {
			t.Errorf("%s with %s: allowed %v, want %v", tt.principal, tt.peer, got, tt.want)
		}
	}
	p := compiled(t, o, onePolicy(security.AuthorizationPolicy_ALLOW, from(&security.Source{TrustDomains: []string{"old"}})))
	if q := request(func(q *Request) { q.Peer.ID = spiffeid.RequireFromString("spiffe://new/x") }); !p.Authorize(q).Allowed {
		t.Error("a trust domain's alias is not the domain")
	}
}

// TestInvalid: what cannot be compiled is an error, never a policy that is left out.
func TestInvalid(t *testing.T) {
	_, err := NewPolicies([]Policy{onePolicy(security.AuthorizationPolicy_ALLOW, from(&security.Source{IpBlocks: []string{"x"}}), when("no.such", []string{"a"}, nil)), onePolicy(9)}, nil)
	if err == nil {
		t.Fatal("compiled")
	}
	for _, want := range []string{`AuthorizationPolicy default/p: rules[0].from[0].source: "x" is not an IP address`, `rules[1].when[0]: "no.such" is not`, "action: 9"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %s", err, want)
		}
	}
}

func TestProxies(t *testing.T) {
	direct := netip.MustParseAddr("9.9.9.9")
	for _, tt := range []struct {
		name    string
		proxies Proxies
		xff     []string
		want    string
	}{
		{"behind the edge: the last entry", Proxies{}, []string{"1.1.1.1, 2.2.2.2"}, "2.2.2.2"},
		{"behind the edge and a proxy", Proxies{Trusted: 1}, []string{"1.1.1.1", "2.2.2.2"}, "1.1.1.1"},
		{"too few", Proxies{Trusted: 2}, []string{"1.1.1.1, 2.2.2.2"}, "9.9.9.9"},
		{"none", Proxies{}, nil, "9.9.9.9"},
		{"the edge believes nobody", Proxies{Edge: true}, []string{"1.1.1.1"}, "9.9.9.9"},
		{"the edge behind one proxy", Proxies{Trusted: 1, Edge: true}, []string{"6.6.6.6,1.1.1.1"}, "1.1.1.1"},
		{"not an address", Proxies{}, []string{"1.1.1.1, unknown"}, "9.9.9.9"},
		{"an IPv6 address", Proxies{}, []string{"2001:db8::1"}, "2001:db8::1"},
	} {
		if got := tt.proxies.client(direct, http.Header{"X-Forwarded-For": tt.xff}).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestManyRules: the index finds what trying every rule would, whatever the rules can be found by.
func TestManyRules(t *testing.T) {
	var rules []*security.Rule
	for i := range 40 {
		rules = append(rules,
			to(&security.Operation{Paths: []string{fmt.Sprintf("/exact/%d", i)}}),
			to(&security.Operation{Paths: []string{fmt.Sprintf("/dir/%d/*", i), fmt.Sprintf("/t/%d/{*}/x", i)}}),
			from(&security.Source{Principals: []string{fmt.Sprintf("cluster.local/ns/n/sa/s%d", i)}}),
			from(&security.Source{Namespaces: []string{fmt.Sprintf("ns%d", i)}}),
			from(&security.Source{ServiceAccounts: []string{fmt.Sprintf("acc%d/s", i)}}),
			to(&security.Operation{Hosts: []string{fmt.Sprintf("h%d.test", i)}}),
			to(&security.Operation{Paths: []string{fmt.Sprintf("*/end%d", i)}}))
	}
	var list []*policyRule
	c := compiler{policy: &Policy{Namespace: "d", Name: "p", Spec: &security.AuthorizationPolicy{Rules: rules}}, domains: []string{"cluster.local"}}
	for i := range rules {
		r, err := c.rule(i)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	s := newRuleSet(list)
	peer := func(id string) func(*Request) {
		return func(q *Request) { q.Peer.ID = spiffeid.RequireFromString("spiffe://" + id) }
	}
	found := 0
	for i := range 42 {
		for _, change := range []func(*Request){
			func(q *Request) { q.Path = fmt.Sprintf("/exact/%d", i) }, func(q *Request) { q.Path = fmt.Sprintf("//exact/%d", i) },
			func(q *Request) { q.Path = fmt.Sprintf("/dir/%d/a", i) }, func(q *Request) { q.Path = fmt.Sprintf("/t/%d/a/x", i) },
			func(q *Request) { q.Path = fmt.Sprintf("/q/end%d", i) }, func(q *Request) { q.Host = fmt.Sprintf("H%d.test.", i) },
			peer(fmt.Sprintf("cluster.local/ns/n/sa/s%d", i)), peer(fmt.Sprintf("x/a/ns/ns%d/b", i)), peer(fmt.Sprintf("x/ns/ns/acc%d/sa/s", i)), peer(fmt.Sprintf("x/ns/acc%d/sa/s", i)),
		} {
			q := request(change)
			got := s.find(q)
			var want *policyRule
			for _, r := range s.rules {
				if r.holds(q) {
					want = r
					break
				}
			}
			if got != want {
				t.Errorf("%+v: found %v, want %v", q, got, want)
			}
			if got != nil {
				found++
			}
		}
	}
	if found < 300 {
		t.Errorf("only %d requests met a rule", found)
	}
}

func TestAllocations(t *testing.T) {
	q := request()
	var none *Policies
	if n := testing.AllocsPerRun(100, func() { none.Authorize(q) }); n != 0 {
		t.Errorf("no policies: %v allocations", n)
	}
	p := compiled(t, nil, manyPolicies(10)...)
	if n := testing.AllocsPerRun(100, func() { q.read = false; p.Authorize(q) }); n != 0 {
		t.Errorf("10 policies: %v allocations", n)
	}
}

// manyPolicies allow each a caller of its own to read a part of the tree, and the last one the caller of request.
func manyPolicies(n int) []Policy {
	var list []Policy
	for i := range n {
		sa := fmt.Sprintf("cluster.local/ns/foo/sa/s%d", i)
		if i == n-1 {
			sa = "cluster.local/ns/foo/sa/bar"
		}
		list = append(list, Policy{Namespace: "default", Name: fmt.Sprintf("p%d", i), Spec: &security.AuthorizationPolicy{Rules: []*security.Rule{{
			From: []*security.Rule_From{{Source: &security.Source{Principals: []string{sa}}}},
			To:   []*security.Rule_To{{Operation: &security.Operation{Methods: []string{"GET"}, Paths: []string{"/a*"}}}},
		}}}})
	}
	return list
}

func BenchmarkAuthorize(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p, q := compiled(b, nil, manyPolicies(n)...), request()
			b.ReportAllocs()
			for b.Loop() {
				q.read = false
				if !p.Authorize(q).Allowed {
					b.Fatal("denied")
				}
			}
		})
	}
}
