package identity

import (
	"strings"
	"testing"

	security "istio.io/api/security/v1"
)

// TestBypasses: ways past policies that were published for Istio and Envoy, or are known of servers behind them. The
// paths are as normalisation leaves them.
func TestBypasses(t *testing.T) {
	denyAdmin := onePolicy(security.AuthorizationPolicy_DENY, to(&security.Operation{Paths: []string{"/admin"}}))
	denyBelow := onePolicy(security.AuthorizationPolicy_DENY, to(&security.Operation{Paths: []string{"/admin/*"}}))
	denyHost := onePolicy(security.AuthorizationPolicy_DENY, to(&security.Operation{Hosts: []string{"admin.test", "admin.test:*"}}))
	allowPublic := onePolicy(security.AuthorizationPolicy_ALLOW, to(&security.Operation{Paths: []string{"/public/*"}}))
	allButAdmin := onePolicy(security.AuthorizationPolicy_ALLOW, to(&security.Operation{NotPaths: []string{"/admin"}}))
	denyAllButPublic := onePolicy(security.AuthorizationPolicy_DENY, to(&security.Operation{NotPaths: []string{"/public/*"}}))
	path := func(s string) func(*Request) { return func(q *Request) { q.Path = s } }
	host := func(s string) func(*Request) { return func(q *Request) { q.Host = s } }
	header := func(v ...string) func(*Request) { return func(q *Request) { q.Header["X-H"] = v } }
	for _, tt := range []struct {
		name   string
		policy Policy
		change func(*Request)
		want   bool
	}{
		{"doubled slashes (CVE-2021-31920)", denyAdmin, path("//admin"), false},
		{"doubled slashes within (CVE-2021-31920)", denyBelow, path("/admin//x"), false},
		{"doubled slashes and notPaths (CVE-2021-31920)", allButAdmin, path("///admin"), false},
		{"escaped slash (CVE-2021-29492)", denyBelow, path("/admin%2Fx"), false},
		{"escaped slash in lower case (CVE-2021-29492)", denyBelow, path("/admin%2fx"), false},
		{"escaped backslash (CVE-2021-29492)", denyBelow, path("/admin%5cx"), false},
		{"escaped slash and an open prefix (CVE-2021-29492)", allowPublic, path("/public/..%2fadmin"), false},
		{"escaped slash and notPaths (CVE-2021-29492)", denyAllButPublic, path("/public/..%2Fadmin"), false},
		{"fragment (CVE-2021-39156)", denyAdmin, path("/admin%23x"), false},
		{"fragment and an open suffix (CVE-2021-39156)", onePolicy(security.AuthorizationPolicy_ALLOW, to(&security.Operation{Paths: []string{"*.css"}})), path("/admin%23.css"), false},
		{"path parameters", denyAdmin, path("/admin;a=b"), false},
		{"path parameters within", denyBelow, path("/admin;a/x"), false},
		{"path parameters and dots", allowPublic, path("/public/..;/admin"), false},
		{"path parameters and an open suffix", onePolicy(security.AuthorizationPolicy_ALLOW, to(&security.Operation{Paths: []string{"*.css"}})), path("/admin;.css"), false},
		{"case of the host (CVE-2021-39155)", denyHost, host("ADMIN.Test"), false},
		{"host with a port (CVE-2021-39155)", denyHost, host("admin.test:8080"), false},
		{"trailing dot of the host", denyHost, host("admin.test."), false},
		{"trailing dot of the host with a port", denyHost, host("admin.test.:8080"), false},
		{"several headers of one name (CVE-2020-25018)", onePolicy(security.AuthorizationPolicy_ALLOW, when("request.headers[x-h]", []string{"v"}, nil)), header("v", "w"), false},
		{"a principal's prefix of another trust domain", onePolicy(security.AuthorizationPolicy_ALLOW, from(&security.Source{ServiceAccounts: []string{"foo/ba"}})), func(*Request) {}, false},
		// What is no bypass goes through.
		{"public", allowPublic, path("/public/x"), true},
		{"public with doubled slashes", allowPublic, path("/public//x"), true},
		{"public with an escaped slash", allowPublic, path("/public/a%2Fb"), true},
		{"another path", denyAdmin, path("/administrator"), true},
		{"another path with parameters", denyAdmin, path("/a;admin"), true},
		{"another host", denyHost, host("test."), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := compiled(t, nil, tt.policy).Authorize(request(tt.change)).Allowed; got != tt.want {
				t.Errorf("allowed %v, want %v", got, tt.want)
			}
		})
	}
}

func TestOtherReading(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "*": "", "/": "", "/a": "", "/a/b.c": "", "/a%20b": "", "/a%3Bb": "",
		"//": "/", "//a": "/a", "/a//b/": "/a/b/", "/a//": "/a/",
		"/a%2Fb": "/a/b", "/a%5cb": "/a/b", "/a%2f%2fb": "/a/b", "/a%2F..%2Fb": "/b", "/a/..%2f": "/", "/..%2fa": "/a",
		"/a;b/c;d": "/a/c", "/;": "/", "/a/;x/b": "/a/b", "/a/..;/b": "/b",
		"/a%23b": "/a", "/a%23/b": "/a", "/a/%23": "/a",
	} {
		if got, _ := otherReading(in); got != want {
			t.Errorf("%q reads %q, want %q", in, got, want)
		}
	}
}

func FuzzOtherReading(f *testing.F) {
	for _, s := range []string{"/a//b", "/a%2f..;/b", "/%23", "//"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, _ := otherReading("/" + in)
		if out == "" {
			return
		}
		if out[0] != '/' || strings.Contains(out, "//") || strings.ContainsAny(out, ";\\") {
			t.Fatalf("%q reads %q", in, out)
		}
		if again, _ := otherReading(out); again != "" && !strings.Contains(out, "%23") {
			t.Fatalf("%q reads %q, which reads %q", in, out, again)
		}
		for seg := range strings.SplitSeq(out, "/") {
			if ambiguous("/"+in) && (seg == "." || seg == "..") {
				t.Fatalf("%q reads %q, which has a dot segment", in, out)
			}
		}
	})
}

func FuzzTemplate(f *testing.F) {
	f.Add("/a/{*}/b", "/a/x/b")
	f.Add("/{**}/b", "//b")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		if strings.Count(pattern, "*") > 6 {
			return
		}
		p := newTemplate(pattern)
		p.match(path)
	})
}
