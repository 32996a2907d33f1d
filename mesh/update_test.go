package mesh_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

// update puts rules in place, or ends the test.
func update(t *testing.T, m *mesh.Mesh, docs ...string) {
	t.Helper()
	if err := m.Update(meshtest.Rules(t, rules(docs...))); err != nil {
		t.Fatal(err)
	}
}

// ejecting is a policy under which one failure takes an endpoint out for long.
const ejecting = "trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1, baseEjectionTime: 1h, maxEjectionPercent: 100}}"

func TestUpdateUnderLoad(t *testing.T) {
	addr := listen(t, proto)
	version := func(n int) []string {
		docs := []string{entry("a.com", addr), entry(fmt.Sprintf("other%d.com", n), "10.0.0.9"), // others come and go
			virtual("a.com", fmt.Sprintf("[{headers: {response: {set: {x-version: %q}}}, route: [{destination: {host: a.com}}]}]", fmt.Sprint(n)))}
		if n%2 == 1 { // another policy: another cluster, and other connections
			docs = append(docs, destination("a.com", "trafficPolicy: {connectionPool: {http: {http1MaxPendingRequests: 1000}}}"))
		}
		return docs
	}
	m := open(t, rules(version(0)...), nil)
	client := clientOf(m, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var sent, failed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for ctx.Err() == nil {
				resp, err := client.Do(newRequest(t, "POST", "http://a.com/", strings.NewReader("body")))
				if err != nil {
					failed.Add(1)
					t.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != 200 || resp.Header.Get("X-Version") == "" {
					failed.Add(1)
					t.Error(err, resp.Status)
					return
				}
				sent.Add(1)
			}
		})
	}
	for n := range 100 {
		before := sent.Load()
		update(t, m, version(n)...)
		for sent.Load() < before+3 && failed.Load() == 0 {
			resp, err := client.Do(newRequest(t, "GET", "http://a.com/", nil))
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.Header.Get("X-Version"); got != fmt.Sprint(n) {
				t.Errorf("a request after the update got the rules of version %s, want %d", got, n)
			}
			drain(t, resp)
		}
	}
	cancel()
	wg.Wait()
	if got := len(m.Reloads()); got != 16 {
		t.Errorf("%d reloads are remembered, want 16", got)
	}
}

func TestUpdateThatFailsChangesNothing(t *testing.T) {
	m := open(t, rules(entry("a.com", "10.0.0.1"), destination("a.com", ejecting)), nil)
	client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("before")})
	bad := map[string]string{ // valid as rules, but not to be had
		"TLS over a base without it": "trafficPolicy: {tls: {mode: SIMPLE}}",
	}
	for name, spec := range bad {
		err := m.Update(meshtest.Rules(t, rules(entry("a.com", "10.0.0.2"), destination("a.com", spec))))
		if err == nil || !strings.Contains(err.Error(), "a.com") {
			t.Errorf("%s: got %v, want an error that names the cluster", name, err)
		}
		list := m.Reloads()
		if last := list[len(list)-1]; last.Err == nil || last.Err.Error() != err.Error() {
			t.Errorf("%s: the last reload is %+v", name, last)
		}
		if got := meshtest.Do(t, client, "GET", "http://a.com/"); got.Body != "before" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// A request keeps the rules that it began with, to its end.
func TestUpdateLeavesRequestsAlone(t *testing.T) {
	m := open(t, rules(entry("a.com", "10.0.0.1"), virtual("a.com", "[{headers: {response: {set: {x-version: one}}}, route: [{destination: {host: a.com}}]}]")), nil)
	arrived, next := make(chan struct{}), make(chan struct{})
	client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-next
		_, _ = io.WriteString(w, "done")
	})})
	got := make(chan meshtest.Answer)
	go func() { got <- meshtest.Do(t, client, "GET", "http://a.com/") }()
	<-arrived
	update(t, m, virtual("a.com", "[{directResponse: {status: 200, body: {string: two}}}]"))
	if a := meshtest.Do(t, client, "GET", "http://a.com/"); a.Body != "two" {
		t.Errorf("a new request: %+v", a)
	}
	close(next)
	if a := <-got; a.Body != "done" || a.Header.Get("X-Version") != "one" {
		t.Errorf("the request under way: %+v", a)
	}
}

// Clusters whose policy stays keep ejections, limits in use and connections.
func TestUpdateKeepsClusters(t *testing.T) {
	policy := "trafficPolicy: {connectionPool: {http: {http2MaxRequests: 1}}, outlierDetection: {consecutive5xxErrors: 1, baseEjectionTime: 1h, maxEjectionPercent: 100}}"
	for _, same := range []bool{true, false} {
		m := open(t, rules(entry("a.com", "10.0.0.1"), destination("a.com", policy), entry("b.com", "10.0.0.2"), destination("b.com", policy)), nil)
		rt := m.Transport(meshtest.Fleet{"10.0.0.1:80": meshtest.Status(500), "10.0.0.2:80": meshtest.Name("b")})
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://a.com/", nil)) // is ejected
		if err != nil {
			t.Fatal(err)
		}
		drain(t, resp)
		held, err := rt.RoundTrip(newRequest(t, "GET", "http://b.com/", nil)) // takes the only place
		if err != nil {
			t.Fatal(err)
		}
		next := policy
		if !same {
			next = strings.ReplaceAll(policy, "1h", "2h")
		}
		update(t, m, entry("a.com", "10.0.0.1"), destination("a.com", next), entry("b.com", "10.0.0.2"), destination("b.com", next),
			virtual("b.com", "[{timeout: 9s, route: [{destination: {host: b.com}}]}]"))
		want := map[bool][]string{true: {"503 UH", "503 UO"}, false: {"500", "b"}}[same]
		client := &http.Client{Transport: rt}
		got := []string{lineOf(meshtest.Do(t, client, "GET", "http://a.com/")), lineOf(meshtest.Do(t, client, "GET", "http://b.com/"))}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("same policy: %t (-got +want):\n%s", same, diff)
		}
		drain(t, held)
		if got := lineOf(meshtest.Do(t, client, "GET", "http://b.com/")); got != "b" {
			t.Errorf("after the request that held the place: %s", got)
		}
	}
}

// Endpoints that stay keep their state over a change of the others.
func TestUpdateKeepsEndpoints(t *testing.T) {
	m := open(t, rules(entry("a.com", "10.0.0.1"), destination("a.com", ejecting)), nil)
	client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Status(500), "10.0.0.2:80": meshtest.Name("new")})
	meshtest.Do(t, client, "GET", "http://a.com/")
	update(t, m, entry("a.com", "10.0.0.1", "10.0.0.2"), destination("a.com", ejecting))
	if got := meshtest.Spread(t, client, 10, "http://a.com/"); got["new"] != 10 {
		t.Errorf("got %v, want the endpoint that is ejected to stay so", got)
	}
	update(t, m, entry("a.com", "10.0.0.1"), destination("a.com", ejecting))
	if got := lineOf(meshtest.Do(t, client, "GET", "http://a.com/")); got != "503 UH" {
		t.Errorf("got %s", got)
	}
}

func TestUpdateEndpoints(t *testing.T) {
	host := mesh.ServiceRef{Host: "reviews.com"}
	m := open(t, rules(reviews, virtual("reviews.com", "[{match: [{uri: {exact: /v2}}], "+toV2+"}, {route: [{destination: {host: reviews.com}}]}]")), nil)
	client := clientOf(m, reviewsFleet)
	reloads := len(m.Reloads())
	one := mesh.Endpoint{Address: "10.0.0.3", Port: 80, Labels: map[string]string{"version": "v2"}}
	if err := m.UpdateEndpoints(host, []mesh.Endpoint{one}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/v2"} { // the whole service, and the subset
		if got := lineOf(meshtest.Do(t, client, "GET", "http://reviews.com"+path)); got != "v3 GET reviews.com "+path {
			t.Errorf("%s: got %s", path, got)
		}
	}
	if got := len(m.Reloads()); got != reloads {
		t.Errorf("endpoints alone counted as a reload")
	}
	if err := m.UpdateEndpoints(host, nil); err != nil {
		t.Fatal(err)
	}
	if got := lineOf(meshtest.Do(t, client, "GET", "http://reviews.com/")); got != "503 UH" {
		t.Errorf("without endpoints: got %s", got)
	}
	if err := m.UpdateEndpoints(mesh.ServiceRef{Host: "unknown.com"}, nil); err == nil || !strings.Contains(err.Error(), "unknown.com") {
		t.Errorf("an unknown service: %v", err)
	}
	if err := m.UpdateEndpoints(mesh.ServiceRef{Host: "reviews.com", Port: 81}, nil); err == nil || !strings.Contains(err.Error(), "81") {
		t.Errorf("an unknown port: %v", err)
	}
	update(t, m, reviews) // the rules' own endpoints again
	if got := lineOf(meshtest.Do(t, client, "GET", "http://reviews.com/")); got != "v1 GET reviews.com /" && got != "v2 GET reviews.com /" {
		t.Errorf("after an update: got %s", got)
	}
}

// An endpoint that is taken away gets no new request; those under way end well.
func TestUpdateDrainsEndpoints(t *testing.T) {
	arrived, next := make(chan struct{}), make(chan struct{})
	slow := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-next
		_, _ = io.WriteString(w, "done")
	}))
	fast := listen(t, meshtest.Name("fast"))
	m := open(t, entry("a.com", slow), nil)
	client := clientOf(m, nil)
	got := make(chan meshtest.Answer)
	go func() { got <- meshtest.Do(t, client, "GET", "http://a.com/") }()
	<-arrived
	update(t, m, entry("a.com", fast))
	if a := meshtest.Do(t, client, "GET", "http://a.com/"); a.Body != "fast" {
		t.Errorf("a new request: %+v", a)
	}
	update(t, m) // even when its cluster is gone
	close(next)
	if a := <-got; a.Body != "done" {
		t.Errorf("the request under way: %+v", a)
	}
}

func TestUpdateNil(t *testing.T) {
	m := open(t, virtual("a.com", "[{directResponse: {status: 418}}]"), nil)
	if err := m.Update(nil); err != nil {
		t.Fatal(err)
	}
	if got := meshtest.Do(t, clientOf(m, meshtest.Fleet{"a.com": meshtest.Name("outside")}), "GET", "http://a.com/"); got.Body != "outside" {
		t.Errorf("got %+v", got)
	}
}

func TestUpdateAfterClose(t *testing.T) {
	m := open(t, "", nil)
	_ = m.Close()
	if err := m.Update(nil); !errors.Is(err, mesh.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := m.UpdateEndpoints(mesh.ServiceRef{Host: "a"}, nil); !errors.Is(err, mesh.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// The connections of a cluster that is gone are closed when its last request ends, whichever way it ends.
func TestUpdateClosesConnections(t *testing.T) {
	for _, protocol := range []string{"http", "grpc"} {
		for _, early := range []bool{false, true} {
			t.Run(fmt.Sprint(protocol, ", early ", early), func(t *testing.T) {
				var conns atomic.Int64
				next := make(chan struct{})
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					_ = http.NewResponseController(w).Flush()
					<-next
					_, _ = io.WriteString(w, "done")
				}))
				server.Config.Protocols = new(http.Protocols)
				server.Config.Protocols.SetHTTP1(true)
				server.Config.Protocols.SetUnencryptedHTTP2(true)
				server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
					switch s {
					case http.StateNew:
						conns.Add(1)
					case http.StateClosed, http.StateHijacked:
						conns.Add(-1)
					}
				}
				server.Start()
				defer server.Close()
				for range 10 {
					m := open(t, entryPort("a.com", 80, protocol, server.Listener.Addr().String()), nil)
					resp, err := m.Transport(nil).RoundTrip(newRequest(t, "GET", "http://a.com/", nil))
					if err != nil {
						t.Fatal(err)
					}
					update(t, m)
					if early {
						_ = resp.Body.Close()
						next <- struct{}{}
					} else {
						next <- struct{}{}
						drain(t, resp)
					}
					eventually(t, "all connections are closed", func() bool { return conns.Load() == 0 })
				}
			})
		}
	}
}
