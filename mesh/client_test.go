package mesh_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
	"github.com/go-inmesh/inmesh/route"
)

func TestClientTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := meshtest.Client(t, entry("a.com", "10.0.0.1"), meshtest.Fleet{"10.0.0.1:80": meshtest.Hang})
		client.Timeout = 3 * time.Second
		begin := time.Now()
		_, err := client.Get("http://a.com/")
		if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() {
			t.Errorf("got %v, want a net.Error that is a timeout", err)
		}
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("took %v, want 3s", took)
		}
	})
}

// The client's own limit covers the body, too.
func TestClientTimeoutInTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := meshtest.Client(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{timeout: 1h, route: [{destination: {host: a.com}}]}]")),
			meshtest.Fleet{"10.0.0.1:80": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			})})
		client.Timeout = 3 * time.Second
		resp, err := client.Get("http://a.com/")
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(resp.Body)
		if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() {
			t.Errorf("got %v, want a net.Error that is a timeout", err)
		}
		_ = resp.Body.Close()
	})
}

func TestClientLeaves(t *testing.T) {
	deadline := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, time.Second)
	}
	cancel := func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(time.Second, cancel)
		return ctx, cancel
	}
	cause := errors.New("the user has gone")
	because := func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancelCause(ctx)
		time.AfterFunc(time.Second, func() { cancel(cause) })
		return ctx, func() { cancel(nil) }
	}
	tests := []struct {
		name    string
		ctx     func(context.Context) (context.Context, context.CancelFunc)
		rule    string
		want    error
		timeout bool
	}{
		{"cancelled", cancel, "route: [{destination: {host: a.com}}]", context.Canceled, false},
		{"cancelled under a timeout", cancel, "timeout: 9s, route: [{destination: {host: a.com}}]", context.Canceled, false},
		{"cancelled while retrying", cancel, "retries: {attempts: 9, perTryTimeout: 100ms, retryOn: reset, backoff: 1m}, route: [{destination: {host: a.com}}]", context.Canceled, false},
		{"cancelled in a delay", cancel, "fault: {delay: {fixedDelay: 9s, percentage: {value: 100}}}, route: [{destination: {host: a.com}}]", context.Canceled, false},
		{"deadline", deadline, "route: [{destination: {host: a.com}}]", context.DeadlineExceeded, true},
		{"deadline under a timeout", deadline, "timeout: 9s, route: [{destination: {host: a.com}}]", context.DeadlineExceeded, true},
		{"deadline in a delay", deadline, "fault: {delay: {fixedDelay: 9s, percentage: {value: 100}}}, route: [{destination: {host: a.com}}]", context.DeadlineExceeded, true},
		{"deadline in a pause", deadline, "retries: {attempts: 9, perTryTimeout: 100ms, retryOn: reset, backoff: 1m}, route: [{destination: {host: a.com}}]", context.DeadlineExceeded, true},
		{"cause", because, "route: [{destination: {host: a.com}}]", cause, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{"+tt.rule+"}]")), &mesh.Options{Rand: meshtest.Always(0.9)})
				client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Hang})
				ctx, cancel := tt.ctx(t.Context())
				defer cancel()
				begin := time.Now()
				resp, err := client.Do(newRequest(t, "GET", "http://a.com/", nil).WithContext(ctx))
				if err == nil {
					t.Fatalf("got %s", resp.Status)
				}
				if !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if e, ok := errors.AsType[net.Error](err); !ok || e.Timeout() != tt.timeout {
					t.Errorf("%v is a timeout: %t, want %t", err, !tt.timeout, tt.timeout)
				}
				if took := time.Since(begin); took != time.Second {
					t.Errorf("took %v, want 1s", took)
				}
				if o := mesh.Outcome(resp, err); o == nil || o.Code != 0 || errors.Is(o.Err, route.ErrTimeout) {
					t.Errorf("outcome %+v, want the caller's leaving, not a timeout of a rule", o)
				}
			})
		})
	}
}

// A rule's timeout is a timeout for net/http's callers as well.
func TestClientRouteTimeoutIsATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := meshtest.Client(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{timeout: 1s, route: [{destination: {host: a.com}}]}]")),
			meshtest.Fleet{"10.0.0.1:80": meshtest.Hang})
		_, err := client.Get("http://a.com/")
		if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() || !errors.Is(err, route.ErrTimeout) {
			t.Errorf("got %v, want a timeout of the route", err)
		}
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v looks as if the caller had left", err)
		}
	})
}

func TestClientFollowsRedirects(t *testing.T) {
	tests := map[string]struct{ rule, want string }{
		"by a rule, uri":       {"[{match: [{uri: {exact: /from}}], redirect: {uri: /to}}, {route: [{destination: {host: a.com}}]}]", "GET a.com /to?q=1"},
		"by a rule, authority": {"[{match: [{uri: {exact: /from}}], redirect: {authority: b.com}}, {route: [{destination: {host: a.com}}]}]", "GET b.com /from?q=1"},
		"by the upstream":      {"[{match: [{uri: {prefix: /from}}], rewrite: {uri: /moved}, route: [{destination: {host: a.com}}]}, {route: [{destination: {host: a.com}}]}]", "GET a.com /sub/to"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/moved" {
					w.Header().Set("Location", "sub/to") // relative to what the caller asked for
					w.WriteHeader(http.StatusFound)
					return
				}
				_, _ = io.WriteString(w, r.Method+" "+r.Host+" "+r.URL.RequestURI())
			})
			m := open(t, rules(entry("a.com", "10.0.0.1"), entry("b.com", "10.0.0.1"), virtual("a.com", tt.rule)), nil)
			client := &http.Client{Transport: m.Transport(meshtest.Fleet{"10.0.0.1:80": h})}
			if got := meshtest.Do(t, client, "GET", "http://a.com/from?q=1"); got.Body != tt.want {
				t.Errorf("got %q (%v), want %q", got.Body, got.Err, tt.want)
			}
		})
	}
}

// A body that the client has to send again after a 307 is sent again.
func TestClientRedirectKeepsTheBody(t *testing.T) {
	m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{match: [{uri: {exact: /from}}], redirect: {uri: /to, redirectCode: 307}}, {route: [{destination: {host: a.com}}]}]")), nil)
	client := &http.Client{Transport: m.Transport(meshtest.Fleet{"10.0.0.1:80": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Method+" "+r.URL.Path+" "+string(b))
	})})}
	resp, err := client.Post("http://a.com/from", "text/plain", strings.NewReader("payload"))
	if err != nil {
		t.Fatal(err)
	}
	if got := drain(t, resp); got != "POST /to payload" {
		t.Errorf("got %q", got)
	}
}

func TestClientCookies(t *testing.T) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", `[
	  {match: [{headers: {cookie: {regex: "^(.*?;)?(user=leander)(;.*)?$"}}}], directResponse: {status: 200, body: {string: leander}}},
	  {route: [{destination: {host: a.com}}]}]`)), nil)
	client := &http.Client{Jar: jar, Transport: m.Transport(meshtest.Fleet{"10.0.0.1:80": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "user", Value: "leander"})
		_, _ = io.WriteString(w, "who are you?")
	})})}
	for _, want := range []string{"who are you?", "leander"} {
		if got := meshtest.Do(t, client, "GET", "http://a.com/"); got.Body != want {
			t.Errorf("got %q, want %q", got.Body, want)
		}
	}
}

func TestClientHead(t *testing.T) {
	m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", `[{match: [{uri: {exact: /direct}}], directResponse: {status: 200, body: {string: text}}}, {route: [{destination: {host: a.com}}]}]`)), nil)
	client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("text")})
	for _, path := range []string{"/", "/direct"} {
		if got := meshtest.Do(t, client, "HEAD", "http://a.com"+path); got.Code != 200 || got.Body != "" || got.Err != nil {
			t.Errorf("%s: got %+v", path, got)
		}
	}
}

// A nil base and nil rules are a plain client.
func TestClientWithoutRules(t *testing.T) {
	m, err := mesh.New(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var got *http.Request
	client := clientOf(m, roundTripper(func(r *http.Request) (*http.Response, error) {
		got = r
		return respond(r, 200, "ok"), nil
	}))
	a := meshtest.Do(t, client, "GET", "http://user:secret@anywhere.com:81/a%2Fb/../c?x=1&&y", "accept: a")
	if a.Body != "ok" {
		t.Fatal(a)
	}
	if got.URL.String() != "http://user:secret@anywhere.com:81/a%2Fb/../c?x=1&&y" || got.Host != "anywhere.com:81" {
		t.Errorf("sent %s to %s, want it unchanged", got.URL, got.Host)
	}
	if len(got.Header) != 2 || got.Header.Get("Authorization") == "" { // the client's own, of the URL's user
		t.Errorf("sent headers %v, want them unchanged", got.Header)
	}
	if len(a.Header) != 0 {
		t.Errorf("got headers %v, want them unchanged", a.Header)
	}
}
