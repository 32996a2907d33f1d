package mesh_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

// journal is what happened, line by line, with the time.
type journal struct {
	mu    sync.Mutex
	began time.Time
	lines []string
}

func (j *journal) log(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.began.IsZero() {
		j.began = time.Now()
	}
	j.lines = append(j.lines, fmt.Sprintf("%-6s ", time.Since(j.began).Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, "\n") + "\n"
}

// client is an aspect that writes down what it knows before and after.
func (j *journal) client(name string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			j.log("%s: %s %s%s; %s", name, r.Method, r.Host, r.URL.Path, known(r.Context()))
			resp, err := next.RoundTrip(r)
			if err != nil {
				j.log("%s: error %v; %s", name, err, known(r.Context()))
			} else {
				j.log("%s: %d; %s", name, resp.StatusCode, known(r.Context()))
			}
			return resp, err
		})
	}
}

func (j *journal) server(name string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			j.log("%s: %s %s; %s", name, r.Method, r.URL.Path, known(r.Context()))
			next.ServeHTTP(w, r)
			j.log("%s: done", name)
		})
	}
}

func (j *journal) aspects() mesh.Aspects {
	return mesh.Aspects{
		Request:             []func(http.RoundTripper) http.RoundTripper{j.client("request 1"), j.client("request 2")},
		Attempt:             []func(http.RoundTripper) http.RoundTripper{j.client("attempt 1"), j.client("attempt 2")},
		BeforeAuthorization: []func(http.Handler) http.Handler{j.server("before authorization")},
		AfterAuthorization:  []func(http.Handler) http.Handler{j.server("after authorization")},
	}
}

// known is the decision so far.
func known(ctx context.Context) string {
	c := mesh.CallFrom(ctx)
	if c == nil {
		return "no mesh"
	}
	var parts []string
	add := func(name, v string) {
		if v != "" {
			parts = append(parts, name+" "+v)
		}
	}
	add("route", c.Route)
	add("cluster", c.Cluster)
	add("endpoint", c.Endpoint)
	if c.Attempts > 0 {
		add("attempt", fmt.Sprint(c.Attempts))
	}
	add("flags", c.Flags)
	if len(parts) == 0 {
		return "nothing yet"
	}
	return strings.Join(parts, ", ")
}

// Handle writes down the access log: a slog.Handler.
func (j *journal) Handle(_ context.Context, r slog.Record) error {
	text := "told:"
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "response_code", "response_flags", "route_name", "upstream_cluster":
			text += " " + a.Value.String()
		}
		return true
	})
	j.log("%s", text)
	return nil
}
func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j *journal) WithGroup(string) slog.Handler            { return j }

// golden compares with a file; UPDATE=1 writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, string(want)); diff != "" {
		t.Errorf("%s (-got +want):\n%s", file, diff)
	}
}

// The order of work, as a client's request meets it: virtual host and route, the request's aspects, delay, abort,
// CORS, rewriting, the split, and for each attempt the endpoint, the attempt's aspects, and the connection.
func TestOrderOfWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		began := false
		m := open(t, rules(byDNS("a.com"), destination("a.com", "trafficPolicy: {loadBalancer: {simple: RANDOM}}, subsets: [{name: v1}, {name: v2}]"), virtual("a.com", `[{
		  match: [{uri: {prefix: /old}}], name: main, rewrite: {uri: /new, authority: b.com}, timeout: 20s,
		  fault: {delay: {fixedDelay: 1s, percentage: {value: 50}}, abort: {httpStatus: 500, percentage: {value: 10}}},
		  corsPolicy: {allowOrigins: [{exact: "*"}]}, retries: {attempts: 1, retryOn: connect-failure, backoff: 2s},
		  route: [{destination: {host: a.com, subset: v1}, weight: 1}, {destination: {host: a.com, subset: v2}, weight: 1}]}]`)), &mesh.Options{
			Aspects: j.aspects(), AccessLog: slog.New(j),
			Rand: func() float64 {
				if began {
					j.log("chance")
				}
				return 0.25
			},
			LookupHost: func(_ context.Context, host string) ([]string, error) {
				j.log("lookup of %s", host)
				return []string{"10.0.0.1", "10.0.0.2"}, nil
			},
			Dial: func(_ context.Context, _, address string) (net.Conn, error) {
				j.log("dial %s", address)
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
			},
		})
		began = true
		meshtest.Do(t, clientOf(m, nil), "GET", "http://a.com/old/x")
		synctest.Wait()
		golden(t, "testdata/order-client.txt", j.String())
	})
}

// The order of work on the server's side.
func TestOrderOfWorkOfServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		m := open(t, "", &mesh.Options{Aspects: j.aspects(), AccessLog: slog.New(j)})
		m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { j.log("application: %s", known(r.Context())) })).
			ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/x", nil))
		synctest.Wait()
		golden(t, "testdata/order-server.txt", j.String())
	})
}

// A gateway has the server's side first, then the client's.
func TestOrderOfWorkOfGateways(t *testing.T) {
	addr := listen(t, proto)
	j := &journal{}
	m := open(t, rules(entry("a.com", addr), edge(allHTTP), virtualNamed("a", "*", "gateways: [edge]", "[{name: main, rewrite: {uri: /sub/}, route: [{destination: {host: a.com}}]}]")),
		&mesh.Options{Aspects: j.aspects()})
	m.Gateway("edge").ServeHTTP(httptest.NewRecorder(), at(80, "GET", "http://www.com/x"))
	var lines strings.Builder
	for _, l := range j.lines {
		lines.WriteString(strings.ReplaceAll(l[7:], addr, "ADDRESS") + "\n") // without the time
	}
	golden(t, "testdata/order-gateway.txt", lines.String())
}

// errQuota is a user's own refusal.
var errQuota = errors.New("quota used up")

func TestAspectsRefuseWithAnError(t *testing.T) {
	refuse := func(http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Body != nil {
				_ = r.Body.Close()
			}
			return nil, fmt.Errorf("aspect: %w", errQuota)
		})
	}
	for name, a := range map[string]mesh.Aspects{
		"request": {Request: []func(http.RoundTripper) http.RoundTripper{refuse}},
		"attempt": {Attempt: []func(http.RoundTripper) http.RoundTripper{refuse}},
	} {
		for _, host := range []string{"a.com", "elsewhere.com"} {
			t.Run(name+" "+host, func(t *testing.T) {
				m := open(t, entry("a.com", "10.0.0.1"), &mesh.Options{Aspects: a})
				resp, err := clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("a"), "elsewhere.com": meshtest.Name("e")}).Do(newRequest(t, "GET", "http://"+host+"/", nil))
				if !errors.Is(err, errQuota) {
					t.Errorf("got %v, %v, want the aspect's error", resp, err)
				}
				if o := mesh.Outcome(resp, err); o == nil || !errors.Is(o.Err, errQuota) {
					t.Errorf("outcome %+v", o)
				}
			})
		}
	}
}

// limited is a user's refusal that tells flag and status.
type limited struct{}

func (limited) Error() string        { return "too many" }
func (limited) ResponseFlag() string { return "RL" }
func (limited) StatusCode() int      { return 429 }

func TestAspectsRefuseWithATypedError(t *testing.T) {
	refuse := func(http.RoundTripper) http.RoundTripper {
		return roundTripper(func(*http.Request) (*http.Response, error) { return nil, limited{} })
	}
	for name, a := range map[string]mesh.Aspects{
		"request": {Request: []func(http.RoundTripper) http.RoundTripper{refuse}},
		"attempt": {Attempt: []func(http.RoundTripper) http.RoundTripper{refuse}},
	} {
		for _, local := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", local replies ", local), func(t *testing.T) {
				m := open(t, entry("a.com", "10.0.0.1"), &mesh.Options{Aspects: a, LocalReplies: local})
				resp, err := clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("a")}).Do(newRequest(t, "GET", "http://a.com/", nil))
				if local {
					if err != nil {
						t.Fatal(err)
					}
					drain(t, resp)
					if resp.StatusCode != 429 {
						t.Errorf("got %s", resp.Status)
					}
				} else if _, ok := errors.AsType[limited](err); !ok || verdict(err) != "429 RL" {
					t.Errorf("got %v, %s", err, verdict(err))
				}
				if o := mesh.Outcome(resp, err); o.Code != 429 || o.Flags != "RL" {
					t.Errorf("outcome %+v", o)
				}
			})
		}
	}
}

func TestAspectsAnswer(t *testing.T) {
	answer := func(http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) { return respond(r, 401, "who?"), nil })
	}
	for name, a := range map[string]mesh.Aspects{
		"request": {Request: []func(http.RoundTripper) http.RoundTripper{answer}},
		"attempt": {Attempt: []func(http.RoundTripper) http.RoundTripper{answer}},
	} {
		m := open(t, entry("a.com", "10.0.0.1"), &mesh.Options{Aspects: a})
		if got := meshtest.Do(t, clientOf(m, meshtest.Fleet{}), "GET", "http://a.com/"); got.Code != 401 || got.Body != "who?" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// An aspect may change the request that it passes on, in a copy; the rules have decided already.
func TestAspectsChangeTheRequest(t *testing.T) {
	m := open(t, entry("a.com", "10.0.0.1"), &mesh.Options{Aspects: mesh.Aspects{
		Request: []func(http.RoundTripper) http.RoundTripper{func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				r = r.Clone(context.WithValue(r.Context(), http.ServerContextKey, "derived"))
				r.Header.Set("X-Key", "secret")
				resp, err := next.RoundTrip(r)
				if err == nil {
					resp.Header.Set("X-Checked", "yes")
				}
				return resp, err
			})
		}},
		Attempt: []func(http.RoundTripper) http.RoundTripper{func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				r.Header.Set("X-Attempt", fmt.Sprint(mesh.CallFrom(r.Context()).Attempts))
				return next.RoundTrip(r)
			})
		}},
	}})
	got := meshtest.Do(t, clientOf(m, meshtest.Fleet{"10.0.0.1:80": echo("v1")}), "GET", "http://a.com/")
	if got.Body != "v1 GET a.com / x-attempt=1 x-key=secret" || got.Header.Get("X-Checked") != "yes" {
		t.Errorf("got %+v", got)
	}
}

// Handlers' aspects refuse by answering, and are around a gateway's requests too.
func TestAspectsOfServers(t *testing.T) {
	refuse := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Api-Key") != "right" {
				http.Error(w, "who?", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	for name, a := range map[string]mesh.Aspects{
		"before": {BeforeAuthorization: []func(http.Handler) http.Handler{refuse}},
		"after":  {AfterAuthorization: []func(http.Handler) http.Handler{refuse}},
	} {
		m := open(t, rules(edge(allHTTP), virtualNamed("a", "*", "gateways: [edge]", "[{directResponse: {status: 200, body: {string: in}}}]")), &mesh.Options{Aspects: a})
		for _, h := range []http.Handler{m.Gateway("edge"), m.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "in") }))} {
			if got := ask(h, at(80, "GET", "http://a.com/")); got != "401 who?" {
				t.Errorf("%s: got %q", name, got)
			}
			if got := ask(h, at(80, "GET", "http://a.com/", "X-Api-Key: right")); got != "200 in" {
				t.Errorf("%s: got %q", name, got)
			}
		}
	}
}

// An aspect's refusal says nothing of the endpoint, and is not retried.
func TestAspectsDoNotEject(t *testing.T) {
	calls := 0
	m := open(t, rules(entry("a.com", "10.0.0.1"), destination("a.com", ejecting), virtual("a.com", "[{retries: {attempts: 3, retryOn: 5xx}, route: [{destination: {host: a.com}}]}]")), &mesh.Options{
		Aspects: mesh.Aspects{Attempt: []func(http.RoundTripper) http.RoundTripper{func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				if calls++; r.URL.Path == "/limited" {
					return nil, limited{}
				}
				return next.RoundTrip(r)
			})
		}}}})
	client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("a")})
	if got := lineOf(meshtest.Do(t, client, "GET", "http://a.com/limited")); got != "429 RL" || calls != 1 {
		t.Errorf("got %s after %d attempts", got, calls)
	}
	if got := lineOf(meshtest.Do(t, client, "GET", "http://a.com/")); got != "a" {
		t.Errorf("got %s", got)
	}
}
