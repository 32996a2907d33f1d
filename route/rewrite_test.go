package route

import (
	"testing"

	networking "istio.io/api/networking/v1"
)

func TestRewritePath(t *testing.T) {
	to := func(s string) *networking.HTTPRewrite { return &networking.HTTPRewrite{Uri: s} }
	regex := func(match, with string) *networking.HTTPRewrite {
		return &networking.HTTPRewrite{UriRegexRewrite: &networking.RegexRewrite{Match: match, Rewrite: with}}
	}
	for _, tt := range []struct {
		name    string
		match   *networking.HTTPMatchRequest
		rewrite *networking.HTTPRewrite
		path    string
		want    string
	}{
		{"prefix is replaced", uri(beginning("/api")), to("/v2"), "/api/x", "/v2/x"},
		{"prefix to the root doubles the slash", uri(beginning("/api")), to("/"), "/api/x", "//x"},
		{"prefix with its slash", uri(beginning("/api/")), to("/"), "/api/x", "/x"},
		{"prefix ignoring case", uriAnyCase(beginning("/API")), to("/v2"), "/api/x", "/v2/x"},
		{"exact replaces the whole", uri(exactly("/a")), to("/b"), "/a", "/b"},
		{"regex replaces the whole", uri(matching("/a/.*")), to("/b"), "/a/x", "/b"},
		{"a regex that is a prefix replaces the whole", uri(matching("/a.*")), to("/b"), "/a/x", "/b"},
		{"no uri replaces the first slash", nil, to("/v2"), "/a", "/v2a"},
		{"no uri among other conditions", headers("x", anything()), to("/v2/"), "/a", "/v2/a"},
		{"regex rewrite replaces all", nil, regex("a", "b"), "/a/a", "/b/b"},
		{"regex rewrite is not anchored", nil, regex("/v[0-9]", ""+`\0x`), "/api/v1/z", "/api/v1x/z"},
		{"groups", nil, regex("^/([^/]+)/([^/]+)$", `/\2/\1`), "/a/b", "/b/a"},
		{"a group is one digit", nil, regex("(a)", `\10`), "/a", "/a0"},
		{"backslash and dollar", nil, regex("a", `\\$1`), "/a", `/\$1`},
		{"a group that is not there", nil, regex("a", `b\1`), "/a", "/b"},
		{"no hit leaves the path", nil, regex("x", "y"), "/a", "/a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := toHost("a")
			if tt.match != nil {
				spec.Match = []*networking.HTTPMatchRequest{tt.match}
			}
			spec.Rewrite = tt.rewrite
			r, err := New(spec)
			if err != nil {
				t.Fatal(err)
			}
			got, rewritten := r.Route(0).Path(&Request{Path: tt.path, RawQuery: "q=1"})
			if got != tt.want || !rewritten {
				t.Errorf("%s becomes %s (%v), want %s", tt.path, got, rewritten, tt.want)
			}
		})
	}
	t.Run("authority alone leaves the path", func(t *testing.T) {
		spec := toHost("a")
		spec.Rewrite = &networking.HTTPRewrite{Authority: "b"}
		r, err := New(spec)
		if err != nil {
			t.Fatal(err)
		}
		if got, rewritten := r.Route(0).Path(&Request{Path: "/a"}); got != "/a" || rewritten {
			t.Errorf("got %s, %v", got, rewritten)
		}
	})
}

func TestAuthority(t *testing.T) {
	host := func(op, name, value string) *networking.Headers {
		ops := &networking.Headers_HeaderOperations{}
		m := map[string]string{name: value}
		if op == "set" {
			ops.Set = m
		} else {
			ops.Add = m
		}
		return &networking.Headers{Request: ops}
	}
	for _, tt := range []struct {
		name          string
		rewrite       string
		route, dest   *networking.Headers
		first, second string
	}{
		{"none", "", nil, nil, "", ""},
		{"rewrite", "r", nil, nil, "r", "r"},
		{"route's header", "", host("set", "Host", "h"), nil, "h", "h"},
		{"route's header, added, by its pseudo name", "", host("add", ":authority", "h"), nil, "h", "h"},
		{"destination's header", "", nil, host("set", "host", "d"), "d", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := toHost("a")
			spec.Route = append(spec.Route, &networking.HTTPRouteDestination{Destination: &networking.Destination{Host: "b"}, Weight: 1})
			spec.Headers = tt.route
			spec.Route[0].Headers, spec.Route[0].Weight = tt.dest, 1
			if tt.rewrite != "" {
				spec.Rewrite = &networking.HTTPRewrite{Authority: tt.rewrite}
			}
			r, err := New(spec)
			if err != nil {
				t.Fatal(err)
			}
			hit := r.Route(0)
			if got := hit.Authority(0); got != tt.first {
				t.Errorf("first destination: %q, want %q", got, tt.first)
			}
			if got := hit.Authority(1); got != tt.second {
				t.Errorf("second destination: %q, want %q", got, tt.second)
			}
			if got := hit.Authority(-1); got != "" {
				t.Errorf("no destination: %q, want none", got)
			}
			if req, _ := hit.HeaderOps(0); req.Set != nil || req.Add != nil {
				t.Errorf("the host is among the header operations: %v", req)
			}
		})
	}
}
