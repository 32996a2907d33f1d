package route

import (
	"fmt"
	"net/http"
	"testing"

	networking "istio.io/api/networking/v1"
	"pgregory.net/rapid"
)

// linear is what the index must agree with.
func linear(r *Router, q *Request) *Route {
	for i := range r.routes {
		if r.routes[i].meets(q, false) {
			return &r.routes[i]
		}
	}
	return nil
}

func exactly(s string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Exact{Exact: s}}
}

func beginning(s string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: s}}
}

func matching(s string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Regex{Regex: s}}
}

func anything() *networking.StringMatch { return &networking.StringMatch{} }

// toHost is a route to one destination.
func toHost(host string, match ...*networking.HTTPMatchRequest) *networking.HTTPRoute {
	return &networking.HTTPRoute{
		Match: match,
		Route: []*networking.HTTPRouteDestination{{Destination: &networking.Destination{Host: host}}},
	}
}

// The texts are few and near each other, so that hits and near misses are common.
var (
	somePaths  = []string{"/", "/a", "/A", "/a/", "/a/b", "/a/B/c", "/ab", "/abc", "/b", "/c1", "/c12"}
	pathREs    = []string{"/a", "/a.*", "/[ab]", ".*b", "(?i)/a.*", "/a/(b|B)/?.*", "/c\\d+", ".*"}
	someValues = []string{"", "x", "xy", "X", "y", "1", "12", "x,y"}
	valueREs   = []string{"x", "x.*", ".*y", ".*x.*", "[0-9]+", "x|y", "(?i)x", ".+", ".*"}
	hosts      = []string{"a.com", "a.com:80", "b.com"}
)

func drawText(texts, res []string) *rapid.Generator[*networking.StringMatch] {
	return rapid.Custom(func(t *rapid.T) *networking.StringMatch {
		switch rapid.IntRange(0, 6).Draw(t, "kind") {
		case 0, 1, 2:
			return exactly(rapid.SampledFrom(texts).Draw(t, "exact"))
		case 3, 4:
			s := rapid.SampledFrom(texts).Draw(t, "prefix")
			if s == "" {
				s = "x" // an empty prefix is refused
			}
			return beginning(s)
		default:
			return matching(rapid.SampledFrom(res).Draw(t, "regex"))
		}
	})
}

func drawTexts(t *rapid.T, label string, names ...string) map[string]*networking.StringMatch {
	m := make(map[string]*networking.StringMatch)
	for _, n := range names {
		switch rapid.IntRange(0, 5).Draw(t, label) {
		case 0, 1:
			m[n] = drawText(someValues, valueREs).Draw(t, n)
		case 2:
			m[n] = anything()
		}
	}
	return m
}

func drawMatch(t *rapid.T) *networking.HTTPMatchRequest {
	often := func(label string, n int) bool { return rapid.IntRange(0, n).Draw(t, label) == 0 }
	m := &networking.HTTPMatchRequest{}
	if !often("no uri", 4) {
		m.Uri = drawText(somePaths, pathREs).Draw(t, "uri")
		m.IgnoreUriCase = often("fold", 3)
	}
	if often("method", 4) {
		m.Method = drawText([]string{"GET", "POST", "P"}, []string{"GET|PUT", "P.*"}).Draw(t, "method")
	}
	if often("authority", 4) {
		m.Authority = drawText(hosts, []string{".*com", "a.*"}).Draw(t, "authority")
	}
	if often("scheme", 8) {
		m.Scheme = exactly("https")
	}
	if often("port", 8) {
		m.Port = 80
	}
	if often("headers", 1) {
		m.Headers = drawTexts(t, "headers", "h1", "H2", "h3")
	}
	if often("without", 4) {
		m.WithoutHeaders = drawTexts(t, "without", "h1", "h4")
	}
	if often("query", 4) {
		m.QueryParams = drawTexts(t, "query", "q1", "q2")
	}
	if often("claim", 8) {
		m.Headers = map[string]*networking.StringMatch{"@request.auth.claims.sub": exactly("x")}
	}
	return m
}

func drawRequest(t *rapid.T) *Request {
	q := &Request{
		Method:    rapid.SampledFrom([]string{"GET", "POST", "PUT"}).Draw(t, "method"),
		Scheme:    rapid.SampledFrom([]string{"http", "https"}).Draw(t, "scheme"),
		Authority: rapid.SampledFrom(hosts).Draw(t, "authority"),
		Path:      rapid.SampledFrom(append(somePaths, "/a/b/c", "/x", "*")).Draw(t, "path"),
		RawQuery:  rapid.SampledFrom([]string{"", "q1=x", "q1=1&q2=xy", "q2", "&q1=&q1=x"}).Draw(t, "query"),
		Port:      rapid.SampledFrom([]int{0, 80, 81}).Draw(t, "port"),
		Header:    http.Header{},
	}
	for _, h := range []string{"H1", "H2", "H3", "H4"} {
		for range rapid.IntRange(0, 2).Draw(t, h+" lines") {
			q.Header.Add(h, rapid.SampledFrom(someValues).Draw(t, h))
		}
	}
	if rapid.Bool().Draw(t, "token") {
		q.Claims = map[string]any{"sub": "x"}
	}
	return q
}

func TestIndexAgreesWithLinearScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 60).Draw(t, "routes")
		specs := make([]*networking.HTTPRoute, n)
		for i := range specs {
			var ms []*networking.HTTPMatchRequest
			for range rapid.IntRange(1, 3).Draw(t, "entries") {
				ms = append(ms, drawMatch(t))
			}
			specs[i] = toHost("a", ms...)
		}
		r, err := New(specs...)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			q := drawRequest(t)
			if got, want := r.Match(q), linear(r, q); got != want {
				t.Fatalf("Match(%+v) = %v, linear scan says %v", q, entryOf(r, got), entryOf(r, want))
			}
			hit, rejected := r.Explain(q)
			if hit != r.Match(q) {
				t.Fatalf("Explain hits %v, Match %v", entryOf(r, hit), entryOf(r, r.Match(q)))
			}
			for _, x := range rejected {
				if x.Reason == "" {
					t.Fatalf("no reason for %d", x.Index)
				}
			}
		}
	})
}

func entryOf(r *Router, hit *Route) string {
	for i := range r.routes {
		if &r.routes[i] == hit {
			return fmt.Sprintf("entry %d of route %d", i-int(r.starts[hit.index]), hit.index)
		}
	}
	return "none"
}

// FuzzIndex holds the index against the linear scan on paths and headers that the fuzzer makes up.
func FuzzIndex(f *testing.F) {
	f.Add("/a/b", "x", "/a", "/b", "x.*")
	f.Add("/A", "", "/", "", "")
	f.Fuzz(func(t *testing.T, path, value, a, b, re string) {
		var specs []*networking.HTTPRoute
		for i, s := range []string{a, b, path, a + b, b + a, value, a + "/", b + "/", "/", "", re, a + path} {
			specs = append(specs,
				toHost("a", &networking.HTTPMatchRequest{Uri: exactly(s), IgnoreUriCase: i%2 == 0, Headers: map[string]*networking.StringMatch{"h": exactly(value + a)}}),
				toHost("b", &networking.HTTPMatchRequest{Uri: beginning(s), IgnoreUriCase: i%3 == 0, Headers: map[string]*networking.StringMatch{"h": beginning(b)}}),
			)
		}
		specs = append(specs, toHost("c", &networking.HTTPMatchRequest{Uri: matching(re)}))
		r, err := New(specs...)
		if err != nil {
			t.Skip(err)
		}
		q := &Request{Method: "GET", Path: path, Header: http.Header{"H": {value}}}
		if got, want := r.Match(q), linear(r, q); got != want {
			t.Fatalf("Match = %s, linear scan says %s", entryOf(r, got), entryOf(r, want))
		}
	})
}
