package mesh_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

// everything is a rule that changes all that a rule can change.
var everything = rules(
	entry("reviews.com", "10.0.0.1 version=v1", "10.0.0.2 version=v2"),
	destination("reviews.com", "subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]"),
	virtual("reviews.com", `[{
	  match: [{uri: {prefix: /old}}], rewrite: {uri: /new, authority: other.com}, timeout: 5s,
	  retries: {attempts: 2, retryOn: 5xx, perTryTimeout: 1s},
	  headers: {request: {set: {x-set: s}, add: {x-add: a}, remove: [x-remove]}, response: {set: {x-answer: done}}},
	  corsPolicy: {allowOrigins: [{exact: "http://a.com"}]},
	  route: [{destination: {host: reviews.com, subset: v1}, weight: 50, headers: {request: {add: {x-add: b}}}},
	          {destination: {host: reviews.com, subset: v2}, weight: 50, headers: {request: {set: {x-set: t}}}}]}]`))

// keep is all of a request that a caller may look at again.
type keep struct {
	Method, Host, Proto, RequestURI string
	URL                             url.URL
	Header, Trailer                 http.Header
	Rest                            []string // what lies behind the header's values in memory
	Length                          int64
	TransferEncoding                []string
	Close                           bool
}

func keepOf(r *http.Request) keep {
	k := keep{Method: r.Method, Host: r.Host, Proto: r.Proto, RequestURI: r.RequestURI, URL: *r.URL, Header: r.Header.Clone(),
		Trailer: r.Trailer.Clone(), Length: r.ContentLength, TransferEncoding: slices.Clone(r.TransferEncoding), Close: r.Close}
	v := r.Header["X-Add"]
	k.Rest = slices.Clone(v[:cap(v)])
	return k
}

func TestContractNeverChangesTheRequest(t *testing.T) {
	hosts := map[string]string{"a rule": "http://reviews.com/old/x?b=%zz", "passthrough": "http://elsewhere.com/old/x?b=%zz"}
	for name, target := range hosts {
		t.Run(name, func(t *testing.T) {
			fleet := meshtest.Fleet{"10.0.0.1:80": meshtest.Status(503), "10.0.0.2:80": meshtest.Status(503), "elsewhere.com": meshtest.Status(200)}
			m := open(t, everything, nil)
			req := newRequest(t, "PUT", target, strings.NewReader("body"), "x-add: 0", "x-set: 0", "x-remove: 0", "origin: http://a.com",
				"x-envoy-max-retries: 1", "grpc-timeout: 1S", "x-envoy-upstream-rq-timeout-ms: 4000", "cookie: a=b")
			req.Header["X-Add"] = append(make([]string, 0, 4), "0") // there is room to write behind it
			ctx, body, getBody := req.Context(), req.Body, req.GetBody
			before := keepOf(req)
			resp, err := m.Transport(fleet).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			drain(t, resp)
			if diff := cmp.Diff(keepOf(req), before, cmp.AllowUnexported(url.Userinfo{})); diff != "" {
				t.Errorf("the request was changed (-got +want):\n%s", diff)
			}
			if req.Context() != ctx || req.Body != body || getBody == nil || req.GetBody == nil {
				t.Error("the request's context or body was replaced")
			}
		})
	}
}

func TestContractNilAndEmptyFields(t *testing.T) {
	m := open(t, everything, nil)
	fleet := meshtest.Fleet{"10.0.0.1:80": meshtest.Status(200), "10.0.0.2:80": meshtest.Status(200)}
	// A server's request that is sent on has a RequestURI; a hand-made one has neither Host nor Method nor Proto.
	req := (&http.Request{URL: &url.URL{Scheme: "http", Host: "reviews.com", Path: "/old"}, Header: http.Header{}}).WithContext(t.Context())
	resp, err := m.Transport(fleet).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	drain(t, resp)
	if req.Host != "" || req.Method != "" || len(req.Header) != 0 {
		t.Errorf("the request was changed: %+v", req)
	}
}

// paths are all the ways that a request can end, with what the caller gets.
var paths = []struct {
	name  string
	rules string
	opts  mesh.Options
	base  http.RoundTripper
	own   bool // over the mesh's own connections
	url   string
	head  []string
	spoil func(*testing.T, *http.Request, *mesh.Mesh)
	want  string // "200", or the verdict of the error
}{
	{name: "success", want: "200"},
	{name: "passthrough", url: "http://elsewhere.com/", want: "200"},
	{name: "no route", rules: virtual("a.com", "[{match: [{uri: {exact: /no}}], route: [{destination: {host: a.com}}]}]"), want: "404 NR"},
	{name: "no cluster", rules: virtual("a.com", "[{route: [{destination: {host: a.com, subset: v9}}]}]"), want: "503 NC"},
	{name: "abort", rules: virtual("a.com", "[{fault: {abort: {httpStatus: 418, percentage: {value: 100}}}, route: [{destination: {host: a.com}}]}]"), want: "418"},
	{name: "redirect", rules: virtual("a.com", "[{redirect: {uri: /there}}]"), want: "301"},
	{name: "direct response", rules: virtual("a.com", "[{directResponse: {status: 201, body: {string: x}}}]"), want: "201"},
	{name: "preflight", rules: virtual("a.com", `[{corsPolicy: {allowOrigins: [{exact: "*"}]}, route: [{destination: {host: a.com}}]}]`),
		head: []string{"origin: http://b.com", "access-control-request-method: PUT"}, want: "200"},
	{name: "no healthy upstream", rules: destination("a.com", "subsets: [{name: v1, labels: {version: v1}}]") + "\n---\n" +
		virtual("a.com", "[{route: [{destination: {host: a.com, subset: v1}}]}]"), want: "503 UH"},
	{name: "blocked", opts: mesh.Options{RegistryOnly: true}, url: "http://elsewhere.com/", want: "502"},
	{name: "upstream refuses the connection", base: meshtest.Fleet{}, want: "503 UF,URX"},
	{name: "base fails", base: roundTripper(func(r *http.Request) (*http.Response, error) {
		_ = r.Body.Close()
		return nil, errors.New("broken")
	}), want: "503 UC"},
	{name: "retries used up", rules: virtual("a.com", "[{retries: {attempts: 2, retryOn: 5xx}, route: [{destination: {host: a.com}}]}]"),
		base: meshtest.Fleet{"10.0.0.1:80": meshtest.Status(503)}, want: "503"},
	{name: "timeout", rules: virtual("a.com", "[{timeout: 1s, route: [{destination: {host: a.com}}]}]"), base: meshtest.Fleet{"10.0.0.1:80": meshtest.Hang},
		want: "504 UT"},
	{name: "per-try timeout", rules: virtual("a.com", "[{retries: {attempts: 1, perTryTimeout: 1s, retryOn: reset}, route: [{destination: {host: a.com}}]}]"),
		base: meshtest.Fleet{"10.0.0.1:80": meshtest.Hang}, want: "504 UT,URX"},
	{name: "DNS has no answer", own: true, url: "http://undeclared.com/", rules: virtual("undeclared.com", "[{route: [{destination: {host: undeclared.com}}]}]"),
		opts: mesh.Options{LookupHost: func(context.Context, string) ([]string, error) { return nil, errors.New("no such host") }}, want: "503 UH"},
	{name: "no identity for mTLS", own: true, rules: destination("a.com", "trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}"), want: "503 UF,URX"},
	{name: "cancelled in a delay", rules: virtual("a.com", "[{fault: {delay: {fixedDelay: 9s, percentage: {value: 100}}}, route: [{destination: {host: a.com}}]}]"),
		spoil: cancelled, want: "-"},
	{name: "cancelled upstream", base: meshtest.Fleet{"10.0.0.1:80": meshtest.Hang}, spoil: cancelled, want: "-"},
	{name: "closed mesh", spoil: func(_ *testing.T, _ *http.Request, m *mesh.Mesh) { _ = m.Close() }, want: "-"},
	{name: "no host", spoil: func(_ *testing.T, r *http.Request, _ *mesh.Mesh) { r.URL.Host = "" }, want: "-"},
	{name: "no URL", spoil: func(_ *testing.T, r *http.Request, _ *mesh.Mesh) { r.URL = nil }, want: "-"},
	{name: "no header", spoil: func(_ *testing.T, r *http.Request, _ *mesh.Mesh) { r.Header = nil }, want: "-"},
	{name: "other scheme", spoil: func(_ *testing.T, r *http.Request, _ *mesh.Mesh) { r.URL.Scheme = "ftp" }, want: "-"},
	{name: "answers of a sidecar", opts: mesh.Options{LocalReplies: true},
		rules: virtual("a.com", "[{match: [{uri: {exact: /no}}], route: [{destination: {host: a.com}}]}]"), want: "404"},
}

// cancelled has the caller leave after a second.
func cancelled(t *testing.T, r *http.Request, _ *mesh.Mesh) {
	ctx, cancel := context.WithCancel(r.Context())
	*r = *r.WithContext(ctx)
	stop := time.AfterFunc(time.Second, cancel)
	t.Cleanup(func() { stop.Stop(); cancel() })
}

// On every path the body is closed, there is either a response with a body or an error, and never both.
func TestContractEveryPath(t *testing.T) {
	for _, tt := range paths {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				docs := []string{entry("a.com", "10.0.0.1")}
				if tt.rules != "" {
					docs = append(docs, tt.rules)
				}
				m := open(t, rules(docs...), &tt.opts)
				base := tt.base
				if base == nil && !tt.own {
					base = meshtest.Fleet{"10.0.0.1:80": meshtest.Status(200), "elsewhere.com": meshtest.Status(200)}
				}
				target, method := "http://a.com/", "PUT"
				if tt.url != "" {
					target = tt.url
				}
				if len(tt.head) > 0 {
					method = "OPTIONS"
				}
				in := newBody("payload")
				req := newRequest(t, method, target, in, tt.head...)
				if tt.spoil != nil {
					tt.spoil(t, req, m)
				}
				resp, err := m.Transport(base).RoundTrip(req)
				if (resp == nil) == (err == nil) {
					t.Fatalf("got response %v and error %v", resp, err)
				}
				got := verdict(err)
				if err == nil {
					if resp.Body == nil || resp.Header == nil || resp.Request == nil {
						t.Fatalf("a response without body, header or request: %+v", resp)
					}
					drain(t, resp)
					got = strings.Fields(resp.Status + " ?")[0]
				}
				if got != tt.want {
					t.Errorf("got %s (%v), want %s", got, err, tt.want)
				}
				synctest.Wait()
				if in.closes.Load() == 0 {
					t.Error("the request's body was not closed")
				}
			})
		})
	}
}

func TestContractClosesTheBodyOnOverflow(t *testing.T) {
	m := open(t, rules(entry("a.com", "10.0.0.1"), destination("a.com", "trafficPolicy: {connectionPool: {http: {http2MaxRequests: 1}}}")), nil)
	rt := m.Transport(meshtest.Fleet{"10.0.0.1:80": meshtest.Name("a")})
	first, err := rt.RoundTrip(newRequest(t, "GET", "http://a.com/", nil))
	if err != nil {
		t.Fatal(err)
	}
	in := newBody("payload")
	if _, err = rt.RoundTrip(newRequest(t, "PUT", "http://a.com/", in)); verdict(err) != "503 UO" {
		t.Errorf("got %v, want an overflow", err)
	}
	if in.closes.Load() == 0 {
		t.Error("the request's body was not closed")
	}
	drain(t, first)
	third, err := rt.RoundTrip(newRequest(t, "GET", "http://a.com/", nil))
	if err != nil {
		t.Fatalf("the place of a request that has ended is not free: %v", err)
	}
	drain(t, third)
}

// The response's request is the caller's, as far as http.Client, redirects and cookies look at it.
func TestContractResponseRequest(t *testing.T) {
	m := open(t, everything, nil)
	fleet := meshtest.Fleet{"10.0.0.1:80": meshtest.Status(200), "10.0.0.2:80": meshtest.Status(200), "elsewhere.com": meshtest.Status(200)}
	for _, target := range []string{"http://reviews.com/old/x?q=1", "http://elsewhere.com/old/x?q=1"} {
		req := newRequest(t, "GET", target, nil, "a: b")
		resp, err := m.Transport(fleet).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		drain(t, resp)
		if got := resp.Request; got.URL.String() != target || got.Host != req.Host || len(got.Header) != 1 {
			t.Errorf("resp.Request is %s of %s with %v, want %s", got.URL, got.Host, got.Header, target)
		}
	}
}

// What limits an attempt goes when the response's body is closed, and not before.
func TestContractAttemptContextEndsWithTheBody(t *testing.T) {
	m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{timeout: 1h, retries: {attempts: 1, perTryTimeout: 30m}, route: [{destination: {host: a.com}}]}]")), nil)
	var attempt context.Context
	rt := m.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		attempt = r.Context()
		return respond(r, 200, "text"), nil
	}))
	resp, err := rt.RoundTrip(newRequest(t, "GET", "http://a.com/", nil))
	if err != nil {
		t.Fatal(err)
	}
	if attempt.Err() != nil {
		t.Error("the attempt's context ended before its body")
	}
	_ = resp.Body.Close()
	if attempt.Err() == nil {
		t.Error("the attempt's context did not end with its body")
	}
}

// upgradedConn is the body of a 101 response.
type upgradedConn struct {
	io.Reader
	wrote  strings.Builder
	closed bool
}

func (c *upgradedConn) Write(p []byte) (int, error) { return c.wrote.Write(p) }
func (c *upgradedConn) Close() error                { c.closed = true; return nil }

func TestContractUpgradeKeepsWrite(t *testing.T) {
	tests := map[string]string{
		"a rule with limits": "http://a.com/",
		"passthrough":        "http://elsewhere.com/",
	}
	for name, target := range tests {
		t.Run(name, func(t *testing.T) {
			m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{timeout: 1h, retries: {attempts: 3, retryOn: 5xx, perTryTimeout: 1m}, route: [{destination: {host: a.com}}]}]")), nil)
			conn, calls := &upgradedConn{Reader: strings.NewReader("hello")}, 0
			rt := m.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
				calls++
				resp := respond(r, http.StatusSwitchingProtocols, "")
				resp.Body = conn
				return resp, nil
			}))
			resp, err := rt.RoundTrip(newRequest(t, "GET", target, nil, "connection: upgrade", "upgrade: websocket"))
			if err != nil {
				t.Fatal(err)
			}
			w, ok := resp.Body.(io.ReadWriteCloser)
			if !ok {
				t.Fatalf("the body %T cannot be written to", resp.Body)
			}
			if _, err := io.WriteString(w, "ping"); err != nil || conn.wrote.String() != "ping" {
				t.Errorf("wrote %q, %v", conn.wrote.String(), err)
			}
			if got := drain(t, resp); got != "hello" || !conn.closed || calls != 1 {
				t.Errorf("got %q, closed %t, %d calls", got, conn.closed, calls)
			}
		})
	}
}

func TestContractNeverRetriesAnUpgrade(t *testing.T) {
	m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{retries: {attempts: 3, retryOn: 5xx}, route: [{destination: {host: a.com}}]}]")), nil)
	calls := 0
	rt := m.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		calls++
		return respond(r, 503, ""), nil
	}))
	resp, err := rt.RoundTrip(newRequest(t, "GET", "http://a.com/", nil, "connection: upgrade", "upgrade: websocket"))
	if err != nil {
		t.Fatal(err)
	}
	drain(t, resp)
	if calls != 1 || resp.StatusCode != 503 {
		t.Errorf("sent %d times, got %d", calls, resp.StatusCode)
	}
}

// idler counts how often it was told to close what is idle.
type idler struct {
	meshtest.Fleet
	closed int
}

func (i *idler) CloseIdleConnections() { i.closed++ }

func TestContractCloseIdleConnections(t *testing.T) {
	base := &idler{}
	client := clientOf(open(t, entry("a.com", "10.0.0.1"), nil), base)
	client.CloseIdleConnections()
	if base.closed != 1 {
		t.Errorf("the base was told %d times, want once", base.closed)
	}
}

func TestContractInformationalResponses(t *testing.T) {
	hints := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, link := range []string{"</a.css>", "</b.css>"} {
			w.Header().Set("Link", link)
			w.WriteHeader(http.StatusEarlyHints)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	m := open(t, everything, nil)
	for _, target := range []string{"http://reviews.com/old", "http://elsewhere.com/"} {
		var got []string
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			got = append(got, http.StatusText(code)+" "+h.Get("Link"))
			return nil
		}})
		resp, err := m.Transport(meshtest.Fleet{"10.0.0.1:80": hints, "10.0.0.2:80": hints, "elsewhere.com": hints}).
			RoundTrip(newRequest(t, "GET", target, nil).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		drain(t, resp)
		if diff := cmp.Diff(got, []string{"Early Hints </a.css>", "Early Hints </b.css>"}); diff != "" || resp.StatusCode != 204 {
			t.Errorf("%s: %d (-got +want):\n%s", target, resp.StatusCode, diff)
		}
	}
}

// Trailers go both ways, also where the body is wrapped for retries and limits.
func TestContractTrailers(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("X-Sum", "got "+r.Trailer.Get("X-Sum"))
		w.Header().Set(http.TrailerPrefix+"X-Late", "late")
	})
	fleet := meshtest.Fleet{"10.0.0.1:80": echo, "10.0.0.2:80": echo, "elsewhere.com": echo}
	m := open(t, everything, nil)
	for _, target := range []string{"http://reviews.com/old", "http://elsewhere.com/"} {
		pr, pw := io.Pipe()
		req := newRequest(t, "POST", target, pr)
		req.Trailer = http.Header{"X-Sum": nil}
		go func() {
			_, _ = io.WriteString(pw, "text")
			req.Trailer.Set("X-Sum", "42") // known only at the body's end
			_ = pw.Close()
		}()
		resp, err := m.Transport(fleet).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := drain(t, resp); got != "text" {
			t.Errorf("%s: got body %q", target, got)
		}
		if diff := cmp.Diff(resp.Trailer, http.Header{"X-Sum": {"got 42"}, "X-Late": {"late"}}); diff != "" {
			t.Errorf("%s: trailer (-got +want):\n%s", target, diff)
		}
	}
}

// CONNECT asks for a tunnel through the URL's host; no rule speaks of it.
func TestContractConnect(t *testing.T) {
	m := open(t, everything, nil)
	var host, addr string
	rt := m.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		host, addr = r.Host, r.URL.Host
		return respond(r, 200, "tunnel"), nil
	}))
	req := newRequest(t, "CONNECT", "http://reviews.com:3128", nil)
	req.Host = "target:443"
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := drain(t, resp); got != "tunnel" || host != "target:443" || addr != "reviews.com:3128" {
		t.Errorf("got %q over %s to %s", got, addr, host)
	}
}

// A body that is sent again comes from GetBody; without that it is recorded where the route arms retries.
func TestContractRetriedBody(t *testing.T) {
	for _, again := range []bool{true, false} {
		m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{retries: {attempts: 2, retryOn: 5xx, backoff: 1ms}, route: [{destination: {host: a.com}}]}]")), nil)
		var got []string
		rt := m.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			b, _ := io.ReadAll(r.Body)
			got = append(got, r.Header.Get("X-Envoy-Attempt-Count")+" "+string(b))
			return respond(r, 503, ""), nil
		}))
		in := newBody("payload")
		req := newRequest(t, "POST", "http://a.com/", in)
		if again {
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("payload")), nil }
		}
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		drain(t, resp)
		if diff := cmp.Diff(got, []string{"1 payload", "2 payload", "3 payload"}); diff != "" || in.closes.Load() == 0 {
			t.Errorf("with GetBody %t: closed %d times (-got +want):\n%s", again, in.closes.Load(), diff)
		}
	}
}
