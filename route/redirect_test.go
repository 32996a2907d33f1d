package route

import (
	"net/url"
	"testing"

	networking "istio.io/api/networking/v1"
)

func TestRedirect(t *testing.T) {
	port := func(r *networking.HTTPRedirect, n uint32) *networking.HTTPRedirect {
		r.RedirectPort = &networking.HTTPRedirect_Port{Port: n}
		return r
	}
	derive := func(r *networking.HTTPRedirect, p networking.HTTPRedirect_RedirectPortSelection) *networking.HTTPRedirect {
		r.RedirectPort = &networking.HTTPRedirect_DerivePort{DerivePort: p}
		return r
	}
	ask := func(scheme, authority, path, query string, port int) *Request {
		return &Request{Method: "GET", Scheme: scheme, Authority: authority, Path: path, RawQuery: query, Port: port}
	}
	for _, tt := range []struct {
		name  string
		match *networking.HTTPMatchRequest
		rule  *networking.HTTPRedirect
		q     *Request
		code  int
		want  string
	}{
		{"uri keeps host and query", nil, &networking.HTTPRedirect{Uri: "/new"}, ask("http", "a.com", "/old", "x=1", 80), 301, "http://a.com/new?x=1"},
		{"uri with its own query", nil, &networking.HTTPRedirect{Uri: "/new?y=2"}, ask("http", "a.com", "/old", "x=1", 80), 301, "http://a.com/new?y=2"},
		{"authority keeps the path", nil, &networking.HTTPRedirect{Authority: "b.com", RedirectCode: 302}, ask("http", "a.com:8080", "/old", "x=1", 8080), 302, "http://b.com/old?x=1"},
		{"authority with a port", nil, &networking.HTTPRedirect{Authority: "b.com:81"}, ask("http", "a.com", "/", "", 80), 301, "http://b.com:81/"},
		{"scheme drops the old default port", nil, &networking.HTTPRedirect{Scheme: "https"}, ask("http", "a.com:80", "/x", "", 80), 301, "https://a.com/x"},
		{"scheme keeps another port", nil, &networking.HTTPRedirect{Scheme: "https"}, ask("http", "a.com:8080", "/x", "", 8080), 301, "https://a.com:8080/x"},
		{"same scheme keeps the default port", nil, &networking.HTTPRedirect{Uri: "/y"}, ask("http", "a.com:80", "/x", "", 80), 301, "http://a.com:80/y"},
		{"https to http", nil, &networking.HTTPRedirect{Scheme: "http"}, ask("https", "[::1]:443", "/x", "", 443), 301, "http://[::1]/x"},
		{"port", nil, port(&networking.HTTPRedirect{}, 8443), ask("http", "a.com:80", "/x", "", 80), 301, "http://a.com:8443/x"},
		{"default port is left out", nil, port(&networking.HTTPRedirect{Scheme: "https"}, 443), ask("http", "a.com", "/x", "", 80), 301, "https://a.com/x"},
		{"port of the other scheme is kept", nil, port(&networking.HTTPRedirect{}, 443), ask("http", "a.com", "/x", "", 80), 301, "http://a.com:443/x"},
		{"port beside authority", nil, port(&networking.HTTPRedirect{Authority: "b.com"}, 81), ask("http", "a.com:80", "/x", "", 80), 301, "http://b.com:81/x"},
		{"derived from the request", nil, derive(&networking.HTTPRedirect{Scheme: "https"}, networking.HTTPRedirect_FROM_REQUEST_PORT), ask("http", "a.com:8080", "/x", "", 8080), 301, "https://a.com:8080/x"},
		{"derived from the request, unknown", nil, derive(&networking.HTTPRedirect{}, networking.HTTPRedirect_FROM_REQUEST_PORT), ask("http", "a.com", "/x", "", 0), 301, "http://a.com/x"},
		{"derived from the protocol", nil, derive(&networking.HTTPRedirect{Authority: "b.com"}, networking.HTTPRedirect_FROM_PROTOCOL_DEFAULT), ask("http", "a.com:81", "/x", "", 81), 301, "http://b.com/x"},
		{"prefix rewrite", uri(beginning("/old")), &networking.HTTPRedirect{PrefixRewrite: "/new", RedirectCode: 308}, ask("http", "a.com", "/old/x", "y=1", 80), 308, "http://a.com/new/x?y=1"},
		{"prefix rewrite without uri", nil, &networking.HTTPRedirect{PrefixRewrite: "/new/"}, ask("http", "a.com", "/x", "", 80), 301, "http://a.com/new/x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := &networking.HTTPRoute{Redirect: tt.rule}
			if tt.match != nil {
				spec.Match = []*networking.HTTPMatchRequest{tt.match}
			}
			r, err := New(spec)
			if err != nil {
				t.Fatal(err)
			}
			hit := r.Match(tt.q)
			if hit == nil || hit.Action() != Redirect {
				t.Fatalf("no redirect: %v", hit)
			}
			if code, got := hit.Redirect(tt.q); code != tt.code || got != tt.want {
				t.Errorf("%d %s, want %d %s", code, got, tt.code, tt.want)
			}
			if got := hit.Split(0.5); got != -1 {
				t.Errorf("a redirect has destination %d", got)
			}
		})
	}
}

func FuzzRedirect(f *testing.F) {
	f.Add("/new?x", "b.com", "", "http", "a.com:80", "/old", "q=1", uint16(0))
	f.Add("", "", "/p", "https", "[::1]:443", "/", "", uint16(81))
	f.Add("", "", "", "http", ":", "*", "", uint16(80))
	f.Fuzz(func(t *testing.T, uri, host, prefix, scheme, authority, path, query string, port uint16) {
		spec := &networking.HTTPRedirect{Uri: uri, Authority: host, PrefixRewrite: prefix, Scheme: scheme}
		if port != 0 {
			spec.RedirectPort = &networking.HTTPRedirect_Port{Port: uint32(port)}
		}
		r, err := New(&networking.HTTPRoute{Redirect: spec})
		if err != nil {
			t.Skip(err)
		}
		q := &Request{Scheme: "http", Authority: authority, Path: path, RawQuery: query, Port: 80}
		code, location := r.Route(0).Redirect(q)
		if code != 301 || location == "" {
			t.Fatalf("%d %q", code, location)
		}
		if _, err := url.Parse("http://" + authority); err == nil && path != "" && path[0] == '/' && host == "" && uri == "" && prefix == "" {
			if _, err := url.Parse(location); err != nil {
				if _, err := url.Parse("http://a" + path + "?" + query); err == nil {
					t.Fatalf("%q from %q: %v", location, authority, err)
				}
			}
		}
	})
}
