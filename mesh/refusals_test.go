package mesh_test

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
	"github.com/go-inmesh/inmesh/route"
)

// refusalCase is one way in which a request is not answered by an upstream, and what a sidecar makes of it.
type refusalCase struct {
	name     string
	http, dr string
	opts     mesh.Options
	fleet    http.Handler // of a.com; nil refuses the connection
	url      string
	cause    error
	code     int
	flags    string
	body     string
	header   map[string]string
	attempts int
}

func (tt *refusalCase) target() string { return cmp.Or(tt.url, "http://a.com/") }

var refusals = []refusalCase{
	{name: "no route", http: "match: [{uri: {exact: /x}}], route: [{destination: {host: a.com}}]", cause: route.ErrNoRoute, code: 404, flags: "NR"},
	{name: "unknown subset", http: "route: [{destination: {host: a.com, subset: v9}}]", cause: route.ErrNoCluster, code: 503, flags: "NC"},
	{name: "registry only", opts: mesh.Options{RegistryOnly: true}, url: "http://elsewhere.com/", cause: mesh.ErrBlocked, code: 502},
	{name: "no healthy host", http: "route: [{destination: {host: a.com, subset: none}}]", dr: "subsets: [{name: none, labels: {version: v9}}]",
		cause: route.ErrNoHealthyUpstream, code: 503, flags: "UH", body: "no healthy upstream", attempts: 1},
	{name: "connect failed", http: "retries: {attempts: 0}, route: [{destination: {host: a.com}}]", cause: route.ErrUpstreamFailure, code: 503, flags: "UF",
		body: "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: delayed connect error: Connection refused", attempts: 1},
	{name: "connect failed, retried", cause: route.ErrUpstreamFailure, code: 503, flags: "UF,URX",
		body: "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection failure, transport failure reason: delayed connect error: Connection refused", attempts: 3},
	{name: "upstream closed", fleet: meshtest.Reset, cause: route.ErrUpstreamFailure, code: 503, flags: "UC",
		body: "upstream connect error or disconnect/reset before headers. reset reason: connection termination", attempts: 1},
	{name: "timeout", http: "timeout: 2s, route: [{destination: {host: a.com}}]", fleet: meshtest.Hang, cause: route.ErrTimeout, code: 504, flags: "UT", body: "upstream request timeout", attempts: 1},
	{name: "timeout of a try is not retried by default", http: "retries: {attempts: 3, perTryTimeout: 2s}, route: [{destination: {host: a.com}}]", fleet: meshtest.Hang,
		cause: route.ErrTimeout, code: 504, flags: "UT", body: "upstream request timeout", attempts: 1},
	{name: "timeout of a try, retried", http: "retries: {attempts: 3, perTryTimeout: 2s, retryOn: reset}, route: [{destination: {host: a.com}}]", fleet: meshtest.Hang,
		cause: route.ErrTimeout, code: 504, flags: "UT,URX", body: "upstream request timeout", attempts: 4},
}

func (tt *refusalCase) client(t *testing.T, local bool) *http.Client {
	docs := []string{entry("a.com", "10.0.0.1")}
	if tt.http != "" {
		docs = append(docs, virtual("a.com", "[{"+tt.http+"}]"))
	}
	if tt.dr != "" {
		docs = append(docs, destination("a.com", tt.dr))
	}
	opts := tt.opts
	opts.LocalReplies = local
	fleet := meshtest.Fleet{}
	if tt.fleet != nil {
		fleet["10.0.0.1:80"] = tt.fleet
	}
	return clientOf(open(t, rules(docs...), &opts), fleet)
}

// By default a refusal is an error that tells what a sidecar would have answered.
func TestRefusalsAreErrors(t *testing.T) {
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				resp, err := tt.client(t, false).Do(newRequest(t, "GET", tt.target(), nil))
				if err == nil {
					t.Fatalf("got %s", resp.Status)
				}
				e, ok := errors.AsType[refusal](err)
				if !ok || e.StatusCode() != tt.code || e.ResponseFlag() != tt.flags || !errors.Is(err, tt.cause) {
					t.Errorf("got %s of %v, want %d %s of %v", verdict(err), err, tt.code, tt.flags, tt.cause)
				}
				tt.checkOutcome(t, mesh.Outcome(resp, err))
			})
		})
	}
}

// With LocalReplies it is that answer, to the letter.
func TestRefusalsAsLocalReplies(t *testing.T) {
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				resp, err := tt.client(t, true).Do(newRequest(t, "GET", tt.target(), nil))
				if err != nil {
					t.Fatal(err)
				}
				want := http.Header{"Content-Length": {strconv.Itoa(len(tt.body))}}
				if tt.body != "" {
					want.Set("Content-Type", "text/plain")
				}
				for k, v := range tt.header {
					want.Set(k, v)
				}
				if diff := gocmp.Diff(resp.Header, want); diff != "" {
					t.Errorf("header (-got +want):\n%s", diff)
				}
				if body := drain(t, resp); resp.StatusCode != tt.code || body != tt.body {
					t.Errorf("got %d %q, want %d %q", resp.StatusCode, body, tt.code, tt.body)
				}
				tt.checkOutcome(t, mesh.Outcome(resp, nil))
			})
		})
	}
}

// A gRPC client gets status 200 and a grpc-status it understands.
func TestRefusalsToGRPC(t *testing.T) {
	status := map[int]string{404: "12", 502: "14", 503: "14", 504: "14"}
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				resp, err := tt.client(t, true).Do(newRequest(t, "POST", tt.target(), nil, "content-type: application/grpc+proto"))
				if err != nil {
					t.Fatal(err)
				}
				body := drain(t, resp)
				if resp.StatusCode != 200 || resp.Header.Get("Grpc-Status") != status[tt.code] || resp.Header.Get("Content-Type") != "application/grpc" || body != "" {
					t.Errorf("got %d %v %q, want grpc-status %s", resp.StatusCode, resp.Header, body, status[tt.code])
				}
				if got := resp.Header.Get("Grpc-Message"); got != tt.body {
					t.Errorf("got message %q, want %q", got, tt.body)
				}
			})
		})
	}
}

func (tt *refusalCase) checkOutcome(t *testing.T, o *mesh.Call) {
	t.Helper()
	if o == nil {
		t.Fatal("no outcome")
	}
	if o.Code != tt.code || o.Flags != tt.flags || o.Attempts != tt.attempts || !errors.Is(o.Err, tt.cause) {
		t.Errorf("outcome: code %d, flags %q, %d attempts, %v; want %d, %q, %d, %v", o.Code, o.Flags, o.Attempts, o.Err, tt.code, tt.flags, tt.attempts, tt.cause)
	}
}

func TestRefusalsOverflow(t *testing.T) {
	const text = "upstream connect error or disconnect/reset before headers. reset reason: overflow"
	for _, local := range []bool{false, true} {
		m := open(t, rules(entry("a.com", "10.0.0.1"), destination("a.com", "trafficPolicy: {connectionPool: {http: {http2MaxRequests: 1}}}")), &mesh.Options{LocalReplies: local})
		rt := m.Transport(meshtest.Fleet{"10.0.0.1:80": meshtest.Name("a")})
		first, err := rt.RoundTrip(newRequest(t, "GET", "http://a.com/", nil))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://a.com/", nil))
		if local {
			if err != nil {
				t.Fatal(err)
			}
			if got := drain(t, resp); resp.StatusCode != 503 || got != text || resp.Header.Get("X-Envoy-Overloaded") != "true" {
				t.Errorf("got %d %q %v", resp.StatusCode, got, resp.Header)
			}
		} else if !errors.Is(err, breaker.ErrOverflow) || verdict(err) != "503 UO" {
			t.Errorf("got %v", err)
		}
		drain(t, first)
	}
}

// What a fault, a redirect and a direct response answer are responses in either mode: a rule asks for them.
func TestRefusalsAreNotWhatRulesAnswer(t *testing.T) {
	for _, local := range []bool{false, true} {
		m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{fault: {abort: {httpStatus: 503, percentage: {value: 100}}}, route: [{destination: {host: a.com}}]}]")),
			&mesh.Options{LocalReplies: local})
		got := meshtest.Do(t, clientOf(m, meshtest.Fleet{}), "GET", "http://a.com/")
		if got.Code != 503 || got.Body != "fault filter abort" || got.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("got %+v", got)
		}
	}
}

func TestOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		fleet := meshtest.Fleet{"10.0.0.1:80": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if calls++; calls < 3 {
				w.WriteHeader(503)
			}
		})}
		m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", `[{match: [{uri: {exact: /other}}], route: [{destination: {host: a.com}}]},
		  {name: main, fault: {delay: {fixedDelay: 1s, percentage: {value: 100}}}, retries: {attempts: 3, retryOn: 5xx}, route: [{destination: {host: a.com}}]}]`)), nil)
		resp, err := clientOf(m, fleet).Do(newRequest(t, "GET", "http://a.com/", nil))
		if err != nil {
			t.Fatal(err)
		}
		drain(t, resp)
		got := mesh.Outcome(resp, nil)
		if got.Rule.Line == 0 {
			t.Errorf("the rule has no place: %v", got.Rule)
		}
		got.Rule = (&mesh.Call{}).Rule
		want := &mesh.Call{VirtualHost: got.VirtualHost, VirtualService: "default/a.com", Route: "main", RouteIndex: 1, Cluster: "outbound|80||a.com",
			Endpoint: "10.0.0.1:80", Attempts: 3, Flags: "DI", Code: 200}
		if diff := gocmp.Diff(got, want, cmpopts.IgnoreFields(mesh.Call{}, "Peer")); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
	})
}

func TestOutcomeOutsideTheRules(t *testing.T) {
	m := open(t, "", nil)
	resp, err := clientOf(m, meshtest.Fleet{"b.com": meshtest.Status(204)}).Do(newRequest(t, "GET", "http://b.com/", nil))
	if err != nil {
		t.Fatal(err)
	}
	drain(t, resp)
	if got := mesh.Outcome(resp, nil); got.VirtualHost != "allow_any" || got.Cluster != "PassthroughCluster" || got.Code != 204 || got.Attempts != 1 || got.Flags != "" {
		t.Errorf("got %+v", got)
	}
	blocked := open(t, "", &mesh.Options{RegistryOnly: true})
	_, err = clientOf(blocked, nil).Do(newRequest(t, "GET", "http://b.com/", nil))
	if got := mesh.Outcome(nil, err); got.VirtualHost != "block_all" || got.Cluster != "BlackHoleCluster" || got.Code != 502 || got.Attempts != 0 {
		t.Errorf("got %+v", got)
	}
	// Without a mesh there is no story.
	if got := mesh.Outcome(nil, errors.New("x")); got != nil {
		t.Errorf("got %+v", got)
	}
	if got := mesh.Outcome(&http.Response{Request: newRequest(t, "GET", "http://b.com/", nil)}, nil); got != nil {
		t.Errorf("got %+v", got)
	}
	if got := mesh.CallFrom(context.Background()); got != nil {
		t.Errorf("got %+v", got)
	}
}

// The error's text tells the cause to people.
func TestRefusalText(t *testing.T) {
	m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{route: [{destination: {host: a.com, subset: v9}}]}]")), nil)
	got := meshtest.Do(t, clientOf(m, meshtest.Fleet{}), "GET", "http://a.com/")
	for _, part := range []string{"v9", "503 NC", "a.com"} {
		if !strings.Contains(got.Err.Error(), part) {
			t.Errorf("%q does not tell %q", got.Err, part)
		}
	}
}

// A delay that a rule injects and an answer in time are told apart from a real slowness.
func TestOutcomeFlags(t *testing.T) {
	tests := map[string]struct{ http, want string }{
		"delay":           {"fault: {delay: {fixedDelay: 1s, percentage: {value: 100}}}", "DI"},
		"abort":           {"fault: {abort: {httpStatus: 500, percentage: {value: 100}}}", "FI"},
		"delay and abort": {"fault: {delay: {fixedDelay: 1s, percentage: {value: 100}}, abort: {httpStatus: 500, percentage: {value: 100}}}", "DI,FI"},
		"neither":         {"fault: {delay: {fixedDelay: 1s}, abort: {httpStatus: 500}}", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{"+tt.http+", route: [{destination: {host: a.com}}]}]")), nil)
				began := time.Now()
				resp, err := clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Status(200)}).Do(newRequest(t, "GET", "http://a.com/", nil))
				if err != nil {
					t.Fatal(err)
				}
				drain(t, resp)
				if got := mesh.Outcome(resp, nil).Flags; got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				if delayed := time.Since(began) == time.Second; delayed != strings.Contains(tt.want, "DI") {
					t.Errorf("took %v", time.Since(began))
				}
			})
		})
	}
}
