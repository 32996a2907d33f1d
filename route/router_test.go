package route

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"
)

func TestNewErrors(t *testing.T) {
	with := func(change func(*networking.HTTPRoute)) *networking.HTTPRoute {
		spec := toHost("a")
		change(spec)
		return spec
	}
	for _, tt := range []struct {
		name  string
		specs []*networking.HTTPRoute
		want  []string // parts of the error
	}{
		{"null", []*networking.HTTPRoute{toHost("a"), nil}, []string{"route: [1]: null"}},
		{"delegate", []*networking.HTTPRoute{{Delegate: &networking.Delegate{Name: "d"}}}, []string{"route: [0].delegate: ", `"d"`}},
		{"all faults at once", []*networking.HTTPRoute{toHost("a", uri(matching("("))), toHost("a", uri(matching(")")))}, []string{"route: [0].match[0].uri", "route: [1].match[0].uri"}},
		{"unknown formatter", []*networking.HTTPRoute{with(func(r *networking.HTTPRoute) {
			r.Headers = requestOps(pairs{"x-a": "%NO_SUCH%"}, nil)
		})}, []string{"route: [0].headers.request.set[x-a]: ", "NO_SUCH"}},
		{"unknown formatter of a destination", []*networking.HTTPRoute{with(func(r *networking.HTTPRoute) {
			r.Route[0].Headers = &networking.Headers{Response: &networking.Headers_HeaderOperations{Add: pairs{"x-a": "%NO_SUCH%"}}}
		})}, []string{"route: [0].route[0].headers.response.add[x-a]: ", "NO_SUCH"}},
		{"redirect code that does not redirect", []*networking.HTTPRoute{{Redirect: &networking.HTTPRedirect{Uri: "/", RedirectCode: 304}}}, []string{"route: [0].redirect.redirectCode: 304 is not 301, 302, 303, 307 or 308"}},
		{"substitution", []*networking.HTTPRoute{with(func(r *networking.HTTPRoute) {
			r.Rewrite = &networking.HTTPRewrite{UriRegexRewrite: &networking.RegexRewrite{Match: "a", Rewrite: `\x`}}
		})}, []string{"route: [0].rewrite.uriRegexRewrite.rewrite: ", `\x`}},
		{"substitution that ends too soon", []*networking.HTTPRoute{with(func(r *networking.HTTPRoute) {
			r.Rewrite = &networking.HTTPRewrite{UriRegexRewrite: &networking.RegexRewrite{Match: "a", Rewrite: `b\`}}
		})}, []string{"route: [0].rewrite.uriRegexRewrite.rewrite: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.specs...)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestRouteIsWhatItWasMadeOf(t *testing.T) {
	spec := toHost("a", &networking.HTTPMatchRequest{Name: "m1", Uri: exactly("/1")}, &networking.HTTPMatchRequest{Uri: exactly("/2")})
	spec.Name, spec.Timeout = "r", durationpb.New(3*time.Second)
	direct := &networking.HTTPRoute{DirectResponse: &networking.HTTPDirectResponse{
		Status: 418, Body: &networking.HTTPBody{Specifier: &networking.HTTPBody_Bytes{Bytes: []byte("tea")}},
	}}
	r, err := New(spec, direct)
	if err != nil {
		t.Fatal(err)
	}
	if r.Len() != 2 {
		t.Fatalf("%d routes, want 2", r.Len())
	}
	one, two := r.Match(ask("/1", nil)), r.Match(ask("/2", nil))
	if one.Name() != "r.m1" || two.Name() != "r" || one.Index() != 0 || two.Index() != 0 {
		t.Errorf("names %q and %q of %d and %d", one.Name(), two.Name(), one.Index(), two.Index())
	}
	if one.Spec() != spec || one.Action() != Forward || one.Timeout() != 3*time.Second || one.CORS() != nil || one.Retry().Attempts() != 2 {
		t.Errorf("unexpected %v %v %v %v %v", one.Spec(), one.Action(), one.Timeout(), one.CORS(), one.Retry())
	}
	if code, location := one.Redirect(ask("/1", nil)); code != 0 || location != "" {
		t.Errorf("a forwarding route redirects: %d %q", code, location)
	}
	last := r.Route(1)
	if code, body := last.Direct(); last.Action() != DirectResponse || code != 418 || string(body) != "tea" {
		t.Errorf("%v %d %q, want directResponse 418 tea", last.Action(), code, body)
	}
	if got := []string{Forward.String(), Redirect.String(), DirectResponse.String(), Action(7).String()}; !cmp.Equal(got, []string{"route", "redirect", "directResponse", "Action(7)"}) {
		t.Errorf("actions are called %v", got)
	}
}

func TestEmptyRouter(t *testing.T) {
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Match(ask("/", nil)); got != nil || r.Len() != 0 {
		t.Errorf("an empty router has route %v of %d", got, r.Len())
	}
}

func TestExplain(t *testing.T) {
	r, err := New(
		toHost("a", headers("user-agent", matching(".*Chrome.*"))),
		toHost("b", uri(beginning("/v2")), headers("x-user", exactly("jason"))),
		toHost("c", &networking.HTTPMatchRequest{Method: exactly("POST"), Port: 80}),
		toHost("d", &networking.HTTPMatchRequest{Port: 80}),
		toHost("e", without("x-user", anything())),
		toHost("f", without("x-none", exactly(""))),
		toHost("g", without("x-user", beginning("t"))),
		toHost("h", query("lang", exactly("en"))),
		toHost("i", headers("@request.auth.claims.sub", exactly("me"))),
		toHost("j", &networking.HTTPMatchRequest{Authority: exactly("a.com"), Uri: exactly("/R"), IgnoreUriCase: true}),
		toHost("k", &networking.HTTPMatchRequest{Scheme: exactly("https")}),
		toHost("l", without(":method", exactly("GET"))),
		toHost("last"),
		toHost("never"),
	)
	if err != nil {
		t.Fatal(err)
	}
	q := &Request{
		Method: "GET", Scheme: "http", Authority: "b.com", Path: "/r", RawQuery: "lang=de", Port: 9080,
		Header: http.Header{"User-Agent": {"curl/8"}, "X-User": {"tom"}}, Claims: map[string]any{"sub": "you"},
	}
	hit, rejected := r.Explain(q)
	if hit == nil || hit.Index() != 12 {
		t.Fatalf("hit %v, want route 12", hit)
	}
	want := []string{
		`headers[user-agent] regex ".*Chrome.*" does not match "curl/8"`,
		`match[0]: uri prefix "/v2" does not match "/r"; match[1]: headers[x-user] exact "jason" does not match "tom"`,
		`method exact "POST" does not match "GET"`,
		`port 80 is not 9080`,
		`withoutHeaders[x-user] is there: "tom"`,
		`withoutHeaders[x-none] exact "" matches: a missing header counts as empty`,
		`withoutHeaders[x-user] prefix "t" matches "tom"`,
		`queryParams[lang] exact "en" does not match "de"`,
		`headers[@request.auth.claims.sub] exact "me" does not match you`,
		`authority exact "a.com" does not match "b.com"`,
		`scheme exact "https" does not match "http"`,
		`withoutHeaders[:method] exact "GET" matches "GET"`,
	}
	got := make([]string, len(rejected))
	for i, x := range rejected {
		got[i] = x.Reason
		if x.Index != i {
			t.Errorf("rejection %d is of route %d", i, x.Index)
		}
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("reasons (-got +want):\n%s", diff)
	}

	r, err = New(toHost("a", headers("x-a", anything())), toHost("b", &networking.HTTPMatchRequest{Port: 80}), toHost("c", &networking.HTTPMatchRequest{Uri: exactly("/A"), IgnoreUriCase: true}), toHost("d", headers("@request.auth.claims[a]", exactly("x"))), toHost("e"))
	if err != nil {
		t.Fatal(err)
	}
	hit, rejected = r.Explain(&Request{Path: "*"})
	if hit != nil {
		t.Errorf("hit %d, want none", hit.Index())
	}
	got = got[:0]
	for _, x := range rejected {
		got = append(got, x.Reason)
	}
	want = []string{
		`uri prefix "/" does not match "*"`, `uri prefix "/" does not match "*"`, `uri exact "/A" (ignoring case) does not match "*"`,
		`uri prefix "/" does not match "*"`, `uri prefix "/" does not match "*"`,
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("reasons (-got +want):\n%s", diff)
	}
	_, rejected = r.Explain(&Request{Path: "/"})
	got = []string{rejected[0].Reason, rejected[1].Reason, rejected[3].Reason}
	want = []string{`headers[x-a] present: missing`, `port 80: the request's port is not known`, `headers[@request.auth.claims[a]] exact "x": missing`}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("reasons (-got +want):\n%s", diff)
	}
}

// The regex here is one that comes to a comparison: package regexp keeps what others need in a pool, which the race
// detector empties now and then.
func TestNoAllocations(t *testing.T) {
	spec := toHost("a", &networking.HTTPMatchRequest{
		Uri: beginning("/api"), Method: exactly("GET"), Headers: map[string]*networking.StringMatch{"x-user": matching(".*as.*"), "x-b": anything()},
		QueryParams: map[string]*networking.StringMatch{"lang": exactly("en")},
	})
	many := make([]*networking.HTTPRoute, 0, 101)
	for i := range 100 {
		many = append(many, toHost("a", shapes[2].route(i), uriAnyCase(exactly("/Fold"+strings.Repeat("x", i)))))
	}
	r, err := New(append(many, spec)...)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest("GET", "http://reviews:9080/api/v1?lang=en", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"X-User": {"jason"}, "X-B": {"1"}}
	var hit *Route
	if n := testing.AllocsPerRun(100, func() {
		q := RequestOf(req)
		hit = r.Match(&q)
		hit.Split(0.5)
		hit.Authority(0)
		hit.Path(&q)
		hit.RequestHeaders(0, req.Header, nil)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
	if hit == nil || hit.Index() != 100 {
		t.Errorf("hit %v, want the last", hit)
	}
}

func TestSentinels(t *testing.T) {
	err := error(noRoute())
	var told interface {
		ResponseFlag() string
		StatusCode() int
	}
	if !errors.Is(err, ErrNoRoute) || !errors.As(err, &told) || told.ResponseFlag() != "NR" || told.StatusCode() != 404 {
		t.Errorf("%v is no answer of a sidecar", err)
	}
}

// TestCompile takes what New refuses and Envoy can do.
func TestCompile(t *testing.T) {
	spec := &networking.HTTPRoute{
		Rewrite: &networking.HTTPRewrite{Authority: "rewrite.com"},
		Headers: &networking.Headers{Request: &networking.Headers_HeaderOperations{Set: map[string]string{"host": "header.com"}}},
		Route:   []*networking.HTTPRouteDestination{{Destination: &networking.Destination{Host: "a"}}},
	}
	if _, err := New(spec); err == nil {
		t.Error("New: got no error for two sources of the authority")
	}
	r, err := Compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Route(0).Authority(0); got != "rewrite.com" {
		t.Errorf("got authority %q, want rewrite.com", got)
	}
	if _, err := Compile(&networking.HTTPRoute{Redirect: &networking.HTTPRedirect{Uri: "/", RedirectCode: 305}}); err == nil {
		t.Error("got no error for a redirect that Envoy does not know")
	}
}
