package route

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestNormalizePath(t *testing.T) {
	for in, want := range map[string]string{
		"":             "",
		"*":            "*",
		"/":            "/",
		"/a/b":         "/a/b",
		"/a//b":        "/a//b",
		"//a":          "//a",
		"/a/./b":       "/a/b",
		"/a/../b":      "/b",
		"/a//../b":     "/a/b",
		"/../a":        "/a",
		"/a/..":        "/",
		"/a/b/..":      "/a/",
		"/a/.":         "/a/",
		"/.":           "/",
		"/a/...":       "/a/...",
		"/a/.b":        "/a/.b",
		"/a./b":        "/a./b",
		"/a/..b/c":     "/a/..b/c",
		"/a/b../c":     "/a/b../c",
		"/a/%2e%2E/b":  "/b",
		"/a/%2e/b":     "/a/b",
		"/a/.%2e/b":    "/b",
		"/a%2eb":       "/a.b",
		"/%61%2Db%7e":  "/a-b~",
		"/a%2Fb%2fc":   "/a%2Fb%2fc",
		"/a%5Cb":       "/a%5Cb",
		"/a\\b":        "/a/b",
		"/a\\..\\b":    "/b",
		"/a%zz%2":      "/a%zz%2",
		"/a b":         "/a%20b",
		"/\u00e9":      "/%C3%A9",
		"/a;x=1/b,c=2": "/a;x=1/b,c=2",
	} {
		if got := normalizePath(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestIsPlain(t *testing.T) {
	for c := range 256 {
		p := "/a" + string([]byte{byte(c)}) + "b"
		u := &url.URL{Path: p}
		if want := u.EscapedPath() == p && normalizePath(p) == p; isPlain(p) != want {
			t.Errorf("%q is plain: %v, want %v", p, isPlain(p), want)
		}
	}
	for p, want := range map[string]bool{"": false, "a": false, "/": true, "/.": false, "/a.b": true, "/a/.b": false, "//": true} {
		if got := isPlain(p); got != want {
			t.Errorf("%q is plain: %v, want %v", p, got, want)
		}
	}
}

func FuzzNormalizePath(f *testing.F) {
	for _, s := range []string{"/a/../b", "/%2e%2e/", "/a//..//b", "\\..", "/%", "/a/.%2E/%2e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := normalizePath("/" + in)
		if out[0] != '/' {
			t.Fatalf("%q becomes %q, which does not begin with a slash", in, out)
		}
		for _, seg := range strings.Split(out, "/") {
			if seg == "." || seg == ".." {
				t.Fatalf("%q becomes %q, which has a dot segment", in, out)
			}
		}
		if isNormal("/"+in) && out != "/"+in {
			t.Fatalf("%q is normal and becomes %q", in, out)
		}
	})
}

func TestRequestOf(t *testing.T) {
	client := func(method, u string, change func(*http.Request)) *http.Request {
		r, err := http.NewRequest(method, u, nil)
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(r)
		}
		return r
	}
	for _, tt := range []struct {
		name string
		r    *http.Request
		want Request
	}{
		{"client", client("GET", "http://reviews:9080/a?x=1", nil), Request{Method: "GET", Scheme: "http", Authority: "reviews:9080", Path: "/a", RawQuery: "x=1", Port: 9080}},
		{"default ports", client("POST", "https://reviews", nil), Request{Method: "POST", Scheme: "https", Authority: "reviews", Path: "/", Port: 443}},
		{"IPv6", client("GET", "http://[::1]:81/", nil), Request{Method: "GET", Scheme: "http", Authority: "[::1]:81", Path: "/", Port: 81}},
		{"own host", client("GET", "http://10.0.0.1/", func(r *http.Request) { r.Host = "reviews" }), Request{Method: "GET", Scheme: "http", Authority: "reviews", Path: "/", Port: 80}},
		{"empty method", client("GET", "http://a/", func(r *http.Request) { r.Method = "" }), Request{Method: "GET", Scheme: "http", Authority: "a", Path: "/", Port: 80}},
		{"normalised", client("GET", "http://a/x/../b%2Fc//d", nil), Request{Method: "GET", Scheme: "http", Authority: "a", Path: "/b%2Fc//d", Port: 80}},
		{"server", &http.Request{Method: "GET", Host: "a:81", URL: &url.URL{Path: "/x"}}, Request{Method: "GET", Scheme: "http", Authority: "a:81", Path: "/x"}},
		{"server's backslash", &http.Request{Method: "GET", Host: "a", URL: &url.URL{Path: "/x\\..\\y", RawPath: "/x\\..\\y"}}, Request{Method: "GET", Scheme: "http", Authority: "a", Path: "/y"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := RequestOf(tt.r)
			got.Header = nil
			if got.Method != tt.want.Method || got.Scheme != tt.want.Scheme || got.Authority != tt.want.Authority ||
				got.Path != tt.want.Path || got.RawQuery != tt.want.RawQuery || got.Port != tt.want.Port {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestSetPath(t *testing.T) {
	for _, p := range []string{"/a", "/a%2Fb", "//x", "/a%20b", "/%zz", "/é"} {
		u := &url.URL{Scheme: "http", Host: "a"}
		SetPath(u, p)
		want := p
		switch p {
		case "/%zz":
			want = "/%25zz"
		case "/é":
			want = "/%C3%A9"
		}
		if got := u.EscapedPath(); got != want {
			t.Errorf("%q goes out as %q, want %q", p, got, want)
		}
	}
}
