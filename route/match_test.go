package route

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	networking "istio.io/api/networking/v1"
)

func headers(name string, m *networking.StringMatch) *networking.HTTPMatchRequest {
	return &networking.HTTPMatchRequest{Headers: map[string]*networking.StringMatch{name: m}}
}

func without(name string, m *networking.StringMatch) *networking.HTTPMatchRequest {
	return &networking.HTTPMatchRequest{WithoutHeaders: map[string]*networking.StringMatch{name: m}}
}

func query(name string, m *networking.StringMatch) *networking.HTTPMatchRequest {
	return &networking.HTTPMatchRequest{QueryParams: map[string]*networking.StringMatch{name: m}}
}

func uri(m *networking.StringMatch) *networking.HTTPMatchRequest {
	return &networking.HTTPMatchRequest{Uri: m}
}

func uriAnyCase(m *networking.StringMatch) *networking.HTTPMatchRequest {
	return &networking.HTTPMatchRequest{Uri: m, IgnoreUriCase: true}
}

func TestMatch(t *testing.T) {
	get := func(change func(q *Request)) *Request {
		q := &Request{Method: "GET", Scheme: "http", Authority: "reviews:9080", Path: "/", Header: http.Header{}, Port: 9080}
		change(q)
		return q
	}
	path := func(p string) *Request { return get(func(q *Request) { q.Path = p }) }
	header := func(values ...string) *Request {
		return get(func(q *Request) {
			if values != nil {
				q.Header["X-Test"] = values
			}
		})
	}
	rawQuery := func(s string) *Request { return get(func(q *Request) { q.RawQuery = s }) }
	claims := func(c map[string]any) *Request { return get(func(q *Request) { q.Claims = c }) }

	for _, tt := range []struct {
		name  string
		match *networking.HTTPMatchRequest
		q     *Request
		want  bool
	}{
		{"no match takes all", nil, path("/any"), true},
		{"no uri takes what begins with a slash", headers("x-test", anything()), header("1"), true},
		{"no uri does not take OPTIONS *", nil, path("*"), false},

		{"exact path", uri(exactly("/a")), path("/a"), true},
		{"exact path, longer", uri(exactly("/a")), path("/a/"), false},
		{"exact path, other case", uri(exactly("/a")), path("/A"), false},
		{"exact path ignoring case", uriAnyCase(exactly("/aB")), path("/Ab"), true},
		{"prefix is not a segment", uri(beginning("/foo")), path("/foobar"), true},
		{"prefix, shorter path", uri(beginning("/foo")), path("/fo"), false},
		{"prefix ignoring case", uriAnyCase(beginning("/Foo")), path("/fOO/x"), true},
		{"empty prefix takes all", uri(beginning("")), path("/x"), true},
		{"only ASCII letters lose their case", uriAnyCase(exactly("/\u212A")), path("/k"), false},
		{"regex must match the whole path", uri(matching("/a")), path("/ab"), false},
		{"regex matches the whole path", uri(matching("/a.*")), path("/ab"), true},
		{"regex alternatives are anchored together", uri(matching("/a|/b")), path("/bc"), false},
		{"regex with its own anchors", uri(matching("^/a$")), path("/a"), true},
		{"regex keeps case under ignoreUriCase", uriAnyCase(matching("/a.*")), path("/AB"), false},
		{"regex with its own flag", uri(matching("(?i)/a.*")), path("/AB"), true},
		{"the query is not part of the path", uri(exactly("/a")), get(func(q *Request) { q.Path, q.RawQuery = "/a", "x=1" }), true},

		{"method", &networking.HTTPMatchRequest{Method: exactly("GET")}, path("/"), true},
		{"method keeps case", &networking.HTTPMatchRequest{Method: exactly("get")}, path("/"), false},
		{"authority has the port", &networking.HTTPMatchRequest{Authority: exactly("reviews")}, path("/"), false},
		{"authority with the port", &networking.HTTPMatchRequest{Authority: exactly("reviews:9080")}, path("/"), true},
		{"authority prefix", &networking.HTTPMatchRequest{Authority: beginning("reviews")}, path("/"), true},
		{"authority keeps case", &networking.HTTPMatchRequest{Authority: beginning("Reviews")}, path("/"), false},
		{"scheme", &networking.HTTPMatchRequest{Scheme: exactly("https")}, path("/"), false},
		{"port", &networking.HTTPMatchRequest{Port: 9080}, path("/"), true},
		{"other port", &networking.HTTPMatchRequest{Port: 80}, path("/"), false},
		{"unknown port is never met", &networking.HTTPMatchRequest{Port: 9080}, get(func(q *Request) { q.Port = 0 }), false},
		{"host as a header", headers("Host", beginning("reviews")), path("/"), true},
		{"pseudo-header", headers(":path", exactly("/?x")), get(func(q *Request) { q.RawQuery = "x" }), true},

		{"header exact", headers("x-test", exactly("a")), header("a"), true},
		{"header name in any case", headers("X-tEST", exactly("a")), header("a"), true},
		{"header value keeps case", headers("x-test", exactly("a")), header("A"), false},
		{"header prefix", headers("x-test", beginning("a")), header("ab"), true},
		{"header regex", headers("x-test", matching("a+")), header("aab"), false},
		{"header with several values is joined", headers("x-test", exactly("a,b")), header("a", "b"), true},
		{"one of several values is not enough", headers("x-test", exactly("a")), header("a", "b"), false},
		{"missing header, exact", headers("x-test", exactly("a")), header(), false},
		{"missing header, empty exact", headers("x-test", exactly("")), header(), false},
		{"empty header, empty exact", headers("x-test", exactly("")), header(""), true},
		{"missing header, regex that takes empty", headers("x-test", matching(".*")), header(), false},
		{"presence", headers("x-test", anything()), header(""), true},
		{"presence, missing", headers("x-test", anything()), header(), false},
		{"not UTF-8: no regex matches", headers("x-test", matching(".*")), header("\xff"), false},
		{"a dot takes no line break", headers("x-test", matching("a.*")), header("a\nb"), false},

		{"withoutHeaders, other value", without("x-test", exactly("a")), header("b"), true},
		{"withoutHeaders, the value", without("x-test", exactly("a")), header("a"), false},
		{"withoutHeaders, missing counts as empty", without("x-test", exactly("a")), header(), true},
		{"withoutHeaders, missing counts as empty: exact", without("x-test", exactly("")), header(), false},
		{"withoutHeaders, missing counts as empty: regex", without("x-test", matching(".*")), header(), false},
		{"withoutHeaders {}, missing", without("x-test", anything()), header(), true},
		{"withoutHeaders {}, there", without("x-test", anything()), header(""), false},
		{"withoutHeaders *, missing", without("x-test", matching("*")), header(), true},
		{"withoutHeaders *, there", without("x-test", matching("*")), header("a"), false},

		{"query", query("a", exactly("1")), rawQuery("b=2&a=1"), true},
		{"query, first value counts", query("a", exactly("2")), rawQuery("a=1&a=2"), false},
		{"query is not decoded", query("a", exactly("x y")), rawQuery("a=x%20y"), false},
		{"query as sent", query("a", exactly("x%20y")), rawQuery("a=x%20y"), true},
		{"query name keeps case", query("A", exactly("1")), rawQuery("a=1"), false},
		{"query without value is empty", query("a", exactly("")), rawQuery("a"), true},
		{"query present", query("a", anything()), rawQuery("b&a="), true},
		{"query missing", query("a", anything()), rawQuery("ab=1"), false},
		{"query regex", query("a", matching("[0-9]+")), rawQuery("a=12x"), false},

		{"claim", headers("@request.auth.claims.sub", exactly("me")), claims(map[string]any{"sub": "me"}), true},
		{"claim in brackets", headers("@request.auth.claims[sub]", exactly("me")), claims(map[string]any{"sub": "me"}), true},
		{"claim name with dots", headers("@request.auth.claims[a.b]", exactly("x")), claims(map[string]any{"a.b": "x"}), true},
		{"nested claim", headers("@request.auth.claims.a.b", exactly("x")), claims(map[string]any{"a": map[string]any{"b": "x"}}), true},
		{"nested claim in brackets", headers("@request.auth.claims[a][b]", exactly("x")), claims(map[string]any{"a": map[string]any{"b": "x"}}), true},
		{"claim list, one of", headers("@request.auth.claims.groups", beginning("ad")), claims(map[string]any{"groups": []any{"dev", "admin"}}), true},
		{"claim list, none", headers("@request.auth.claims.groups", exactly("ops")), claims(map[string]any{"groups": []any{"dev", 3}}), false},
		{"claim of another type", headers("@request.auth.claims.n", exactly("3")), claims(map[string]any{"n": 3}), false},
		{"no token", headers("@request.auth.claims.sub", exactly("me")), claims(nil), false},
		{"without claim, no token", without("@request.auth.claims.sub", exactly("me")), claims(nil), true},
		{"without claim, other value", without("@request.auth.claims.sub", exactly("me")), claims(map[string]any{"sub": "you"}), true},
		{"without claim, the value", without("@request.auth.claims.sub", exactly("me")), claims(map[string]any{"sub": "me"}), false},

		{"all fields must match", &networking.HTTPMatchRequest{Uri: exactly("/"), Method: exactly("POST")}, path("/"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := toHost("a")
			if tt.match != nil {
				spec.Match = []*networking.HTTPMatchRequest{tt.match}
			}
			r, err := New(spec)
			if err != nil {
				t.Fatal(err)
			}
			hit := r.Match(tt.q)
			if got := hit != nil; got != tt.want {
				_, why := r.Explain(tt.q)
				t.Errorf("matched: %v, want %v (%v)", got, tt.want, why)
			}
			if got := linear(r, tt.q); got != hit {
				t.Errorf("linear scan says %v, the index %v", got, hit)
			}
		})
	}
}

func TestMatchOrder(t *testing.T) {
	r, err := New(
		toHost("a", uri(beginning("/x/y")), uri(exactly("/z"))),
		toHost("b", uri(beginning("/x"))),
		toHost("c", uri(exactly("/x/exact"))),
		toHost("d"),
		toHost("e", uri(exactly("/never"))),
	)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/x/y/z": 0, "/z": 0, "/x/exact": 1, "/xx": 1, "/": 3, "/never": 3} {
		if got := r.Match(ask(path, nil)); got.Index() != want {
			t.Errorf("%s: route %d, want %d", path, got.Index(), want)
		}
	}
	if got := r.Match(ask("*", nil)); got != nil {
		t.Errorf("*: route %d, want none", got.Index())
	}
}

func TestRegexesThatAreTexts(t *testing.T) {
	for re, want := range map[string]op{
		"abc": exact, "^abc$": exact, "a\\.b": exact, "abc.*": prefix, ".*abc": suffix, ".*abc.*": contains, ".*": prefix,
		"(abc)": exact, "": exact, "a.c": regex, "(?i)abc": regex, "a|b": regex, ".+": regex, "(?s).*": regex, "abc.*?": prefix,
	} {
		got, err := compileRegex(re)
		if err != nil {
			t.Fatal(err)
		}
		if got.op != want {
			t.Errorf("%q is compared as %d, want %d", re, got.op, want)
		}
	}
}

// FuzzStringMatch holds regex matches against Go's regexp, which is RE2's but for bytes that are not UTF-8.
func FuzzStringMatch(f *testing.F) {
	for _, re := range []string{"a", "a.*", ".*b", ".*a.*", "(?i)ab?", "a|b", "", "^x$", "x{2}", "(a)(b)*", `\d+.*`, "a\n.*"} {
		f.Add(re, "ab")
		f.Add(re, "a\nb")
	}
	f.Fuzz(func(t *testing.T, re, s string) {
		got, err := compileRegex(re)
		want, wantErr := regexp.Compile(`\A(?:` + re + `)\z`)
		if err != nil || wantErr != nil {
			return // what is alone invalid may pair with the parentheses
		}
		if g, w := got.match(s), want.MatchString(s) && utf8.ValidString(s); g != w && re != "*" {
			t.Fatalf("%q on %q: %v, want %v (compared as %d with %q)", re, s, g, w, got.op, got.arg)
		}
		p := text{op: prefix, arg: re, fold: true}
		if g := p.match(re + s); !g {
			t.Fatalf("%q does not begin with itself", re)
		}
		if g, w := p.match(s), strings.HasPrefix(foldString(s), foldString(re)); g != w {
			t.Fatalf("prefix %q of %q without case: %v, want %v", re, s, g, w)
		}
	})
}
