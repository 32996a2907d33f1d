package route

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1"
)

func origins(m ...*networking.StringMatch) *networking.CorsPolicy {
	return &networking.CorsPolicy{AllowOrigins: m}
}

func corsOf(t *testing.T, p *networking.CorsPolicy) *CORS {
	t.Helper()
	spec := toHost("a")
	spec.CorsPolicy = p
	r, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	return r.Route(0).CORS()
}

func TestPreflight(t *testing.T) {
	full := &networking.CorsPolicy{
		AllowOrigins: []*networking.StringMatch{exactly("https://a.com")}, AllowMethods: []string{"GET", "POST"}, AllowHeaders: []string{"x-a", "x-b"},
		ExposeHeaders: []string{"x-c"}, MaxAge: durationpb.New(24e9 * 3600), AllowCredentials: wrapperspb.Bool(true),
	}
	star := origins(exactly("*"))
	star.AllowMethods, star.AllowHeaders = []string{"*"}, []string{"*"}
	ignore := origins(exactly("https://a.com"))
	ignore.UnmatchedPreflights, ignore.AllowMethods = networking.CorsPolicy_IGNORE, []string{"GET"}
	ask := func(method string, h http.Header) *Request {
		return &Request{Method: method, Path: "/", Header: h}
	}
	preflight := http.Header{"Origin": {"https://a.com"}, "Access-Control-Request-Method": {"PUT"}, "Access-Control-Request-Headers": {"x-z"}}
	for _, tt := range []struct {
		name    string
		policy  *networking.CorsPolicy
		q       *Request
		handled bool
		want    http.Header
	}{
		{"allowed", full, ask("OPTIONS", preflight), true, http.Header{
			"Access-Control-Allow-Origin": {"https://a.com"}, "Access-Control-Allow-Credentials": {"true"}, "Access-Control-Allow-Methods": {"GET,POST"},
			"Access-Control-Allow-Headers": {"x-a,x-b"}, "Access-Control-Max-Age": {"86400"},
		}},
		{"stars echo", star, ask("OPTIONS", preflight), true, http.Header{
			"Access-Control-Allow-Origin": {"https://a.com"}, "Access-Control-Allow-Methods": {"PUT"}, "Access-Control-Allow-Headers": {"x-z"},
		}},
		{"little asked, little said", origins(beginning("https://")), ask("OPTIONS", preflight), true, http.Header{"Access-Control-Allow-Origin": {"https://a.com"}}},
		{"other origin is forwarded", origins(exactly("https://b.com")), ask("OPTIONS", preflight), false, nil},
		{"other origin is ignored", ignore, ask("OPTIONS", http.Header{"Origin": {"https://b.com"}, "Access-Control-Request-Method": {"PUT"}}), true, http.Header{"Access-Control-Allow-Methods": {"GET"}}},
		{"not OPTIONS", full, ask("GET", preflight), false, nil},
		{"no origin", full, ask("OPTIONS", http.Header{"Access-Control-Request-Method": {"PUT"}}), false, nil},
		{"no method asked for", full, ask("OPTIONS", http.Header{"Origin": {"https://a.com"}}), false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reply, handled := corsOf(t, tt.policy).Preflight(tt.q)
			if handled != tt.handled {
				t.Fatalf("handled: %v, want %v", handled, tt.handled)
			}
			if !handled {
				return
			}
			if reply.Status != 200 || reply.Body != "" {
				t.Errorf("answer %d %q, want 200 and nothing", reply.Status, reply.Body)
			}
			if diff := cmp.Diff(reply.Header, tt.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

func TestCORSOrigins(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy *networking.CorsPolicy
		origin string
		want   bool
	}{
		{"exact", origins(exactly("https://a.com")), "https://a.com", true},
		{"exact, other", origins(exactly("https://a.com")), "https://a.com:81", false},
		{"star takes all", origins(exactly("*")), "https://a.com", true},
		{"regex that takes a star takes all", origins(matching(".")), "https://a.com", true},
		{"regex", origins(matching(`https://.*\.a\.com`)), "https://x.a.com", true},
		{"regex is anchored", origins(matching(`https://.*\.a\.com`)), "https://x.a.com.evil.org", false},
		{"second of two", origins(exactly("https://a.com"), exactly("https://b.com")), "https://b.com", true},
		{"no origin", origins(exactly("*")), "", false},
		{"older form", &networking.CorsPolicy{AllowOrigin: []string{"https://a.com"}}, "https://a.com", true}, // as Istio
		{"older form, star", &networking.CorsPolicy{AllowOrigin: []string{"*"}}, "https://a.com", true},       // as Istio
		{"none", &networking.CorsPolicy{}, "https://a.com", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := corsOf(t, tt.policy)
			if got := c.Allows(tt.origin); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
			h := http.Header{"Access-Control-Allow-Origin": {"upstream's"}}
			c.Apply(tt.origin, h)
			want := "upstream's"
			if tt.want {
				want = tt.origin
			}
			if got := h.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("allow-origin %q, want %q", got, want)
			}
		})
	}
}

func TestCORSApply(t *testing.T) {
	p := origins(exactly("*"))
	p.AllowCredentials, p.ExposeHeaders, p.AllowMethods = wrapperspb.Bool(true), []string{"x-a", "x-b"}, []string{"GET"}
	h := http.Header{}
	corsOf(t, p).Apply("https://a.com", h)
	want := http.Header{
		"Access-Control-Allow-Origin": {"https://a.com"}, "Access-Control-Allow-Credentials": {"true"}, "Access-Control-Expose-Headers": {"x-a,x-b"},
	}
	if diff := cmp.Diff(h, want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}
