package route

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"testing"

	networking "istio.io/api/networking/v1"
)

func TestHandler(t *testing.T) {
	spec := toHost("a", uri(beginning("/api/")))
	spec.Rewrite = &networking.HTTPRewrite{Uri: "/"}
	spec.Headers = &networking.Headers{
		Request:  &networking.Headers_HeaderOperations{Set: pairs{"x-in": "1"}},
		Response: &networking.Headers_HeaderOperations{Set: pairs{"x-out": "%RESPONSE_CODE%"}, Remove: []string{"x-secret"}},
	}
	plain := toHost("b", uri(exactly("/plain")))
	r, err := New(spec, plain, &networking.HTTPRoute{
		Match: []*networking.HTTPMatchRequest{uri(exactly("/old"))}, Redirect: &networking.HTTPRedirect{Uri: "/new"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path string
		next       http.HandlerFunc
		code       int
		want       string // of the header x-out
		body       string
	}{
		{"implicit 200", "/api/x", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Secret", "s")
			_, _ = io.WriteString(w, r.URL.Path+" "+r.Header.Get("X-In")+" "+r.URL.Host)
		}, 200, "200", "/x 1 a"},
		{"explicit status", "/api/x", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Secret", "s")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(503)
		}, 503, "503", ""},
		{"nothing written", "/api/x", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Secret", "s") }, 200, "200", ""},
		{"flushed first", "/api/x", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Secret", "s")
			if err := http.NewResponseController(w).Flush(); err != nil {
				panic(err)
			}
			w.(http.Flusher).Flush()
		}, 200, "200", ""},
		{"copied from a reader", "/api/x", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Secret", "s")
			_, _ = io.Copy(w, strings.NewReader("abc"))
		}, 200, "200", "abc"},
		{"a route without response headers", "/plain", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, 204, "", ""},
		{"redirect", "/old", nil, 301, "", ""},
		{"no route", "/none", nil, 404, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var next http.Handler
			if tt.next != nil {
				next = tt.next
			}
			w := finalRecorder{httptest.NewRecorder()}
			r.Handler(next).ServeHTTP(w, httptest.NewRequest("GET", tt.path, nil))
			if w.Code != tt.code || w.Header().Get("X-Out") != tt.want || w.Header().Get("X-Secret") != "" || w.Body.String() != tt.body {
				t.Errorf("%d %v %q, want %d x-out: %s %q", w.Code, w.Header(), w.Body, tt.code, tt.want, tt.body)
			}
		})
	}
}

// finalRecorder lets informational responses pass.
type finalRecorder struct{ *httptest.ResponseRecorder }

func (w finalRecorder) WriteHeader(code int) {
	if code >= 200 {
		w.ResponseRecorder.WriteHeader(code)
	}
}

// A reverse proxy behind the handler has nothing left to do but send.
func TestHandlerBeforeReverseProxy(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Host+r.URL.RequestURI())
	}))
	defer upstream.Close()
	_, port := splitPort(strings.TrimPrefix(upstream.URL, "http://"))
	const host = "localhost" // an address is no destination
	spec := toHost(host, uri(beginning("/api")))
	spec.Rewrite = &networking.HTTPRewrite{Uri: "/v2", Authority: "inner"}
	spec.Route[0].Destination.Port = &networking.PortSelector{Number: uint32(portOf(host+":"+port, ""))}
	r, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	edge := httptest.NewServer(r.Handler(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.Out.Host = p.In.Host }}))
	defer edge.Close()
	resp, err := http.Get(edge.URL + "/api/x%2Fy?q=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if want := "inner/v2/x%2Fy?q=1"; string(got) != want {
		t.Errorf("upstream saw %q, want %q", got, want)
	}
}

func TestHandlerHijacks(t *testing.T) {
	spec := toHost("a")
	spec.Headers = &networking.Headers{Response: &networking.Headers_HeaderOperations{Set: pairs{"x-out": "1"}}}
	r, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(r.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
	})))
	defer s.Close()
	resp, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 204 {
		t.Errorf("%d, want 204", resp.StatusCode)
	}
}
