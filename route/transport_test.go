package route

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"
)

// tripper is a func that answers requests.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func ok(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("ok")), Request: r}, nil
}

// body tells whether it was closed.
type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error { b.closed = true; return nil }

func newRequest(t *testing.T, method, url string, b io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTransportForwards(t *testing.T) {
	spec := &networking.HTTPRoute{
		Name:    "r",
		Match:   []*networking.HTTPMatchRequest{uri(beginning("/api/"))},
		Rewrite: &networking.HTTPRewrite{Uri: "/v2/", Authority: "inner"},
		Headers: &networking.Headers{
			Request:  &networking.Headers_HeaderOperations{Set: pairs{"x-from": "%REQ(:authority)%%REQ(:path)%"}, Remove: []string{"cookie"}},
			Response: &networking.Headers_HeaderOperations{Set: pairs{"x-route": "%ROUTE_NAME%", "x-to": "%UPSTREAM_HOST%", "x-asked": "%REQ(x-from)%"}},
		},
		Route: []*networking.HTTPRouteDestination{
			{Destination: &networking.Destination{Host: "a", Port: &networking.PortSelector{Number: 81}}, Weight: 1},
			{Destination: &networking.Destination{Host: "b"}, Weight: 1},
		},
		CorsPolicy: origins(exactly("*")),
	}
	r, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, url, host string
		draw            float64
	}{
		{"port of the rule", "http://a.com/api/x%2Fy?z", "a:81", 0},
		{"scheme's own port", "http://a.com/api/x%2Fy?z", "b", 0.5},
		{"port of the request", "http://a.com:9080/api/x%2Fy?z", "b:9080", 0.5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.Rand = func() float64 { return tt.draw }
			req := newRequest(t, "GET", tt.url, nil)
			req.Header = http.Header{"Cookie": {"secret"}, "Origin": {"https://o"}}
			before := req.Clone(req.Context())
			var sent *http.Request
			resp, err := r.Transport(tripper(func(r *http.Request) (*http.Response, error) { sent = r; return ok(r) })).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if sent.URL.Host != tt.host || sent.Host != "inner" || sent.URL.RequestURI() != "/v2/x%2Fy?z" {
				t.Errorf("sent to %s as %s%s", sent.URL.Host, sent.Host, sent.URL.RequestURI())
			}
			authority := before.URL.Host
			if h := sent.Header; h.Get("X-From") != authority+"/api/x%2Fy?z" || h.Get("Cookie") != "" || h.Get("X-Envoy-Original-Path") != "/api/x%2Fy?z" {
				t.Errorf("sent with %v", h)
			}
			want := http.Header{
				"X-Route": {"r"}, "X-To": {tt.host}, "X-Asked": {authority + "/api/x%2Fy?z"}, "Access-Control-Allow-Origin": {"https://o"},
			}
			if diff := cmp.Diff(resp.Header, want); diff != "" {
				t.Errorf("response header (-got +want):\n%s", diff)
			}
			if resp.Request != req {
				t.Error("the response is not that of the caller's request")
			}
			if diff := cmp.Diff(req.Header, before.Header); diff != "" || req.URL.String() != before.URL.String() || req.Host != before.Host {
				t.Errorf("the caller's request changed: %s %s %s", req.URL, req.Host, diff)
			}
		})
	}
}

func TestTransportAnswers(t *testing.T) {
	preflights := toHost("a", uri(exactly("/cors")))
	preflights.CorsPolicy = origins(exactly("*"))
	r, err := New(
		&networking.HTTPRoute{
			Match: []*networking.HTTPMatchRequest{uri(exactly("/old"))}, Redirect: &networking.HTTPRedirect{Uri: "/new", RedirectCode: 307},
			Headers: &networking.Headers{Response: &networking.Headers_HeaderOperations{Set: pairs{"x-a": "1"}}},
		},
		&networking.HTTPRoute{
			Match:          []*networking.HTTPMatchRequest{uri(exactly("/tea"))},
			DirectResponse: &networking.HTTPDirectResponse{Status: 418, Body: &networking.HTTPBody{Specifier: &networking.HTTPBody_String_{String_: "no coffee"}}},
		},
		preflights,
	)
	if err != nil {
		t.Fatal(err)
	}
	rt := r.Transport(tripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("not to be sent") }))
	for _, tt := range []struct {
		name, method, path string
		code               int
		header, value      string
		body               string
	}{
		{"redirect", "POST", "/old?x=1", 307, "Location", "http://a.com/new?x=1", ""},
		{"redirect has the route's headers", "GET", "/old", 307, "X-A", "1", ""},
		{"direct response", "POST", "/tea", 418, "Content-Type", "text/plain", "no coffee"},
		{"preflight", "OPTIONS", "/cors", 200, "Access-Control-Allow-Origin", "https://o", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &body{Reader: strings.NewReader("x")}
			req := newRequest(t, tt.method, "http://a.com"+tt.path, b)
			req.Header = http.Header{"Origin": {"https://o"}, "Access-Control-Request-Method": {"GET"}}
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.code || resp.Header.Get(tt.header) != tt.value || string(text) != tt.body {
				t.Errorf("%d %v %q, want %d %s: %s %q", resp.StatusCode, resp.Header, text, tt.code, tt.header, tt.value, tt.body)
			}
			if !b.closed {
				t.Error("the request's body is still open")
			}
		})
	}
	t.Run("no route", func(t *testing.T) {
		b := &body{Reader: strings.NewReader("x")}
		resp, err := rt.RoundTrip(newRequest(t, "POST", "http://a.com/none", b))
		if !errors.Is(err, ErrNoRoute) || resp != nil || !b.closed {
			t.Errorf("%v %v, body closed: %v", resp, err, b.closed)
		}
	})
}

func TestTransportTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := toHost("a")
		spec.Timeout = durationpb.New(time.Second)
		r, err := New(spec)
		if err != nil {
			t.Fatal(err)
		}
		rt := r.Transport(tripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}))
		start := time.Now()
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://a.com/", nil))
		if !errors.Is(err, ErrTimeout) || resp != nil {
			t.Errorf("%v %v, want ErrTimeout", resp, err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("after %v, want 1s", d)
		}
	})
}

func TestTransportPassesCloseIdleConnections(t *testing.T) {
	r, err := New(toHost("a"))
	if err != nil {
		t.Fatal(err)
	}
	base := &idleCloser{}
	(&http.Client{Transport: r.Transport(base)}).CloseIdleConnections()
	if !base.closed {
		t.Error("not passed on")
	}
}

type idleCloser struct {
	http.RoundTripper
	closed bool
}

func (c *idleCloser) CloseIdleConnections() { c.closed = true }
