package mesh_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

// nearby is a ServiceEntry of endpoints in localities: "10.0.0.1 region/zone/subzone".
func nearby(host string, endpoints ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %s}
spec:
  hosts: [%s]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints:
`, host, host)
	for _, e := range endpoints {
		address, locality, _ := strings.Cut(e, " ")
		fmt.Fprintf(&b, "  - {address: %s, locality: %s}\n", address, locality)
	}
	return b.String()
}

// numbered are five endpoints that tell their address.
var (
	numbered = []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"}
	five     = fleetOf(numbered...)
)

func fleetOf(addresses ...string) meshtest.Fleet {
	f := meshtest.Fleet{}
	for _, a := range addresses {
		f[a+":80"] = meshtest.Name(a)
	}
	return f
}

func byHash(h string) string {
	return destination("a.com", "trafficPolicy: {loadBalancer: {consistentHash: {"+h+"}}}")
}

// A request sticks to its endpoint by what the rule names, and requests without it go anywhere.
func TestHashSticks(t *testing.T) {
	tests := []struct {
		name, rule string
		request    func(i int) (url, header string)
	}{
		{"header", "httpHeaderName: x-user", func(i int) (string, string) { return "http://a.com/", fmt.Sprint("X-User: ", i) }},
		{"header over maglev", "httpHeaderName: x-user, maglev: {tableSize: 1021}", func(i int) (string, string) { return "http://a.com/", fmt.Sprint("X-User: ", i) }},
		{"query parameter", "httpQueryParameterName: id", func(i int) (string, string) { return fmt.Sprint("http://a.com/?x=y&id=", i), "X: y" }},
		{"cookie", "httpCookie: {name: who}", func(i int) (string, string) { return "http://a.com/", fmt.Sprint("Cookie: x=y; who=", i) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base := rules(entry("a.com", numbered...), byHash(tt.rule))
			m := open(t, base, &mesh.Options{Rand: meshtest.Seed(1)})
			client := clientOf(m, five)
			of := func(i int) string {
				url, header := tt.request(i)
				return meshtest.Do(t, client, "GET", url, header).Body
			}
			const users = 100
			first, seen := map[int]string{}, map[string]int{}
			for i := range users {
				first[i] = of(i)
				seen[first[i]]++
			}
			if len(seen) != 5 {
				t.Errorf("got %v, want all five endpoints", seen)
			}
			for i := range users {
				if got := of(i); got != first[i] {
					t.Fatalf("user %d: got %s and then %s", i, first[i], got)
				}
			}
			if got := meshtest.Spread(t, client, 100, "http://a.com/"); len(got) != 5 {
				t.Errorf("without it: got %v, want all five endpoints", got)
			}
			// Another rule set with the same endpoints changes nothing; of four endpoints, most users keep theirs.
			if err := m.Update(meshtest.Rules(t, base+"\n---\n"+entry("b.com", "10.9.9.9"))); err != nil {
				t.Fatal(err)
			}
			for i := range users {
				if got := of(i); got != first[i] {
					t.Fatalf("after an update, user %d: got %s and then %s", i, first[i], got)
				}
			}
			if err := m.Update(meshtest.Rules(t, rules(entry("a.com", numbered[:4]...), byHash(tt.rule)))); err != nil {
				t.Fatal(err)
			}
			moved := 0
			for i := range users {
				if got := of(i); got == numbered[4] {
					t.Fatal("got the endpoint that has left")
				} else if got != first[i] {
					moved++
				}
			}
			if most := seen[numbered[4]] + users/5; moved > most {
				t.Errorf("got %d of %d users moved, want at most %d", moved, users, most)
			}
		})
	}
}

// The hash sees the request as it goes out, and it is of the keys of all destinations of the route.
func TestHashOfTheRoute(t *testing.T) {
	t.Run("headers that the route sets", func(t *testing.T) {
		m := open(t, rules(entry("a.com", numbered...), byHash("httpHeaderName: x-user"),
			virtual("a.com", "[{headers: {request: {set: {x-user: everybody}}}, route: [{destination: {host: a.com}}]}]")), nil)
		client, seen := clientOf(m, five), map[string]bool{}
		for i := range 20 {
			seen[meshtest.Do(t, client, "GET", "http://a.com/", fmt.Sprint("X-User: ", i)).Body] = true
		}
		if len(seen) != 1 {
			t.Errorf("got %v, want one endpoint", seen)
		}
	})
	t.Run("two destinations", func(t *testing.T) {
		m := open(t, rules(entry("a.com", numbered...), entry("b.com", "10.0.0.9"), byHash("httpHeaderName: x-user"),
			destination("b.com", "trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-group}}}"),
			virtual("a.com", "[{route: [{destination: {host: a.com}, weight: 99}, {destination: {host: b.com}, weight: 1}]}]")),
			&mesh.Options{Rand: meshtest.Seed(3)})
		client := clientOf(m, fleetOf(append(slices.Clone(numbered), "10.0.0.9")...))
		seen := map[string]int{}
		for i := range 50 {
			for range 2 {
				seen[meshtest.Do(t, client, "GET", "http://a.com/", "X-User: me", fmt.Sprint("X-Group: ", i)).Body]++
			}
		}
		if len(seen) < 5 {
			t.Errorf("got %v, want all endpoints, for the group counts too", seen)
		}
		one := meshtest.Spread(t, client, 50, "http://a.com/", "X-Group: us")
		delete(one, "10.0.0.9")
		if len(one) != 1 {
			t.Errorf("by group alone: got %v, want one endpoint", one)
		}
	})
}

// A cookie with a ttl is made once, and ties its bearer to an endpoint.
func TestHashCookie(t *testing.T) {
	m := open(t, rules(entry("a.com", numbered...), byHash("httpCookie: {name: who, ttl: 60s, path: /}"),
		virtual("a.com", `[{match: [{uri: {exact: /down}}], directResponse: {status: 200}},
		{headers: {response: {remove: [set-cookie]}}, route: [{destination: {host: a.com}}]}]`)), &mesh.Options{Rand: meshtest.Seed(1)})
	seen := map[string]bool{}
	for range 20 {
		client := clientOf(m, five)
		client.Jar, _ = cookiejar.New(nil)
		first := meshtest.Do(t, client, "GET", "http://a.com/")
		c, err := http.ParseSetCookie(first.Header.Get("Set-Cookie"))
		if err != nil || c.Name != "who" || len(c.Value) != 16 || c.MaxAge != 60 || c.Path != "/" || !c.HttpOnly {
			t.Fatalf("got %q, %v", first.Header.Get("Set-Cookie"), err)
		}
		for range 10 {
			got := meshtest.Do(t, client, "GET", "http://a.com/")
			if got.Body != first.Body || got.Header.Get("Set-Cookie") != "" {
				t.Fatalf("got %s with %q, want %s and no new cookie", got.Body, got.Header.Get("Set-Cookie"), first.Body)
			}
		}
		seen[first.Body] = true
	}
	if len(seen) < 4 {
		t.Errorf("20 clients: got %v, want most endpoints", seen)
	}
	if got := meshtest.Do(t, clientOf(m, five), "GET", "http://a.com/down"); got.Header.Get("Set-Cookie") != "" {
		t.Errorf("an answer of our own: got %q, want no cookie", got.Header.Get("Set-Cookie"))
	}
	if got := meshtest.Do(t, clientOf(m, meshtest.Fleet{}), "GET", "http://a.com/"); got.Header.Get("Set-Cookie") != "" {
		t.Errorf("a failure: got %q, want no cookie", got.Header.Get("Set-Cookie"))
	}
}

// The source is the workload, and on a gateway the caller.
func TestHashSourceIP(t *testing.T) {
	text := rules(entry("a.com", numbered...), byHash("useSourceIp: true"))
	seen := map[string]bool{}
	for i := range 20 {
		m := open(t, text, &mesh.Options{Workload: mesh.Workload{IP: fmt.Sprint("10.1.1.", i)}})
		got := meshtest.Spread(t, clientOf(m, five), 5, "http://a.com/")
		if len(got) != 1 {
			t.Fatalf("one workload: got %v, want one endpoint", got)
		}
		for e := range got {
			seen[e] = true
		}
	}
	if len(seen) < 4 {
		t.Errorf("20 workloads: got %v, want most endpoints", seen)
	}
	if got := meshtest.Spread(t, clientOf(open(t, text, nil), five), 5, "http://a.com/"); len(got) != 1 {
		t.Errorf("without an address in the options: got %v, want one endpoint", got)
	}
}

func TestHashOnGateway(t *testing.T) {
	var servers []string
	for i := range 5 {
		servers = append(servers, listen(t, meshtest.Name(fmt.Sprint(i))))
	}
	for _, rule := range []string{"useSourceIp: true", "httpCookie: {name: who, ttl: 0s}"} {
		m := open(t, rules(entry("a.com", servers...), byHash(rule), edge(allHTTP),
			virtualNamed("a", "a.com", "gateways: [edge]", "[{route: [{destination: {host: a.com}}]}]")), nil)
		gw := m.Gateway("edge")
		seen := map[string]bool{}
		for i := range 20 {
			first := ""
			for range 3 { // one connection: without a cookie in the request, it is the same each time
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://a.com/", nil)
				r.RemoteAddr = fmt.Sprintf("192.0.2.%d:4711", i)
				w := httptest.NewRecorder()
				gw.ServeHTTP(w, r)
				got := w.Body.String() + w.Header().Get("Set-Cookie")
				if first == "" {
					first = got
					seen[w.Body.String()] = true
				}
				if got != first || w.Code != 200 {
					t.Fatalf("%s: got %d %s, and %s before", rule, w.Code, got, first)
				}
			}
		}
		if len(seen) < 4 {
			t.Errorf("%s, 20 callers: got %v, want most endpoints", rule, seen)
		}
	}
}

// Requests stay nearby while enough endpoints there are healthy, then spill over to the next locality, and come back.
func TestLocalityFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := rules(
			nearby("a.com", "10.0.0.1 r1/z1/s1", "10.0.0.2 r1/z1/s1", "10.0.0.3 r1/z2/s1", "10.0.0.4 r2/z1/s1"),
			destination("a.com", "trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: 30s, maxEjectionPercent: 100}}"),
			virtual("a.com", "[{retries: {attempts: 0}, route: [{destination: {host: a.com}}]}]"))
		down := map[string]bool{}
		fleet := meshtest.Fleet{}
		for _, a := range numbered[:4] {
			fleet[a+":80"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if down[a] {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				meshtest.Name(a).ServeHTTP(w, r)
			})
		}
		m := open(t, text, &mesh.Options{Rand: meshtest.Seed(1), Workload: mesh.Workload{Labels: map[string]string{
			"topology.kubernetes.io/region": "r1", "topology.kubernetes.io/zone": "z1", "topology.istio.io/subzone": "s1"}}})
		client := clientOf(m, fleet)
		spread := func() []string {
			return slices.Sorted(maps.Keys(meshtest.Spread(t, client, 100, "http://a.com/")))
		}
		is := func(when string, want ...string) {
			t.Helper()
			if d := cmp.Diff(want, spread()); d != "" {
				t.Errorf("%s, -want +got:\n%s", when, d)
			}
		}
		fell := func(i int) {
			down[numbered[i]] = true
			spread() // so that it is ejected
		}
		is("all healthy", "10.0.0.1", "10.0.0.2")
		fell(0) // half of the nearest: 70 % stay
		is("one of two nearby down", "10.0.0.2", "10.0.0.3")
		fell(1)
		is("both nearby down", "10.0.0.3")
		fell(2)
		is("the whole region down", "10.0.0.4")
		fell(3)
		resp, err := client.Do(newRequest(t, "GET", "http://a.com/", nil))
		if got := verdict(err); got != "503 UH" {
			t.Errorf("everything down: got %v, %v", resp, err)
		}
		clear(down)
		time.Sleep(32 * time.Second)
		is("all are back", "10.0.0.1", "10.0.0.2")
	})
}

// Without outlier detection localities are alike, unless traffic is distributed.
func TestLocalityDistribute(t *testing.T) {
	se := nearby("a.com", "10.0.0.1 r1/z1/s1", "10.0.0.2 r1/z2/s1", "10.0.0.3 r2/z1/s1")
	at := &mesh.Options{Rand: meshtest.Seed(1), Workload: mesh.Workload{Locality: "r1/z1/s1"}}
	if got := meshtest.Spread(t, clientOf(open(t, se, at), five), 100, "http://a.com/"); len(got) != 3 {
		t.Errorf("no rule: got %v, want all three", got)
	}
	m := open(t, rules(se, destination("a.com", `trafficPolicy: {loadBalancer: {localityLbSetting: {distribute: [{from: r1/*, to: {"r1/z1/*": 90, "r2/*": 10}}]}}}`)), at)
	got := meshtest.Spread(t, clientOf(m, five), 1000, "http://a.com/")
	if n := got["10.0.0.3"]; got["10.0.0.2"] != 0 || n < 50 || n > 160 || got["10.0.0.1"] != 1000-n {
		t.Errorf("got %v, want about 900 and 100", got)
	}
}

// With retryRemoteLocalities, a retry after two tries leaves the locality though it is healthy.
func TestRetryRemoteLocalities(t *testing.T) {
	for _, remote := range []bool{false, true} {
		m := open(t, rules(nearby("a.com", "10.0.0.1 r1/z1", "10.0.0.2 r2/z1"),
			destination("a.com", "trafficPolicy: {outlierDetection: {consecutive5xxErrors: 0}}"),
			virtual("a.com", fmt.Sprintf("[{retries: {attempts: 3, retryOn: 5xx, backoff: 1ms, retryRemoteLocalities: %v}, route: [{destination: {host: a.com}}]}]", remote))),
			&mesh.Options{Workload: mesh.Workload{Locality: "r1/z1"}})
		client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Status(503), "10.0.0.2:80": meshtest.Name("far")})
		resp, err := client.Do(newRequest(t, "GET", "http://a.com/", nil))
		if err != nil {
			t.Fatal(err)
		}
		drain(t, resp)
		call := mesh.Outcome(resp, nil)
		if want := map[bool]string{false: "503 4", true: "200 3"}[remote]; fmt.Sprint(resp.StatusCode, " ", call.Attempts) != want {
			t.Errorf("remote %v: got %d after %d attempts, want %s", remote, resp.StatusCode, call.Attempts, want)
		}
	}
}

// A new endpoint gets its full share bit by bit.
func TestWarmup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dr := destination("a.com", "trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 60s, minimumPercent: 10}}}")
		m := open(t, rules(entry("a.com", "10.0.0.1"), dr), nil)
		client := clientOf(m, five)
		time.Sleep(time.Hour)
		if err := m.Update(meshtest.Rules(t, rules(entry("a.com", "10.0.0.1", "10.0.0.2"), dr))); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			after time.Duration
			want  int // of 110, where the old one gets 100 for 100
		}{{0, 10}, {30 * time.Second, 37}, {31 * time.Second, 55}} {
			time.Sleep(tt.after)
			if got := meshtest.Spread(t, client, 110, "http://a.com/")["10.0.0.2"]; got < tt.want-2 || got > tt.want+2 {
				t.Errorf("got %d of 110, want about %d", got, tt.want)
			}
		}
	})
}

// Explain and the debug page tell hash, localities and priorities.
func TestExplainBalancing(t *testing.T) {
	m := open(t, rules(nearby("a.com", "10.0.0.1 r1/z1/s1", "10.0.0.2 r2/z1/s1", "10.0.0.3"), byHash("httpHeaderName: x-user"),
		nearby("b.com", "10.0.0.1 r1/z1/s1", "10.0.0.2 r2/z1/s1", "10.0.0.3 r2/z2"),
		destination("b.com", "trafficPolicy: {outlierDetection: {}}"), entry("c.com", "10.0.0.1")),
		&mesh.Options{Workload: mesh.Workload{Locality: "r1/z1/s1"}})
	for host, want := range map[string]*mesh.ExplainedBalancing{
		"a.com": {Algorithm: "RING_HASH", HashKey: "header X-User", ClientLocality: "r1/z1/s1", Priorities: []mesh.ExplainedPriority{{Load: 100,
			Localities: []mesh.ExplainedLocality{{"r1/z1/s1", 0, []string{"10.0.0.1:80"}}, {"r2/z1/s1", 0, []string{"10.0.0.2:80"}}, {"", 0, []string{"10.0.0.3:80"}}}}}},
		"b.com": {Algorithm: "LEAST_REQUEST", ClientLocality: "r1/z1/s1", Priorities: []mesh.ExplainedPriority{
			{Load: 100, Localities: []mesh.ExplainedLocality{{"r1/z1/s1", 100, []string{"10.0.0.1:80"}}}},
			{Localities: []mesh.ExplainedLocality{{"r2/z1/s1", 0, []string{"10.0.0.2:80"}}, {"r2/z2", 0, []string{"10.0.0.3:80"}}}}}},
		"c.com": nil,
	} {
		e, err := m.Explain(newRequest(t, "GET", "http://"+host+"/", nil))
		if err != nil {
			t.Fatal(err)
		}
		got := e.Destinations[0].Balancing
		if host == "a.com" && got != nil { // a ring's shares are what they are
			sum := 0.
			for i := range got.Priorities[0].Localities {
				sum += got.Priorities[0].Localities[i].Share
				got.Priorities[0].Localities[i].Share = 0
			}
			if sum < 99.9 || sum > 100.1 {
				t.Errorf("shares sum to %v", sum)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s, -want +got:\n%s", host, d)
		}
	}
	e, _ := m.Explain(newRequest(t, "GET", "http://b.com/", nil))
	for _, want := range []string{
		"balancing      LEAST_REQUEST, from r1/z1/s1\n",
		"priority       0 gets 100 %: r1/z1/s1 100 % (10.0.0.1:80)\n",
		"priority       1 gets 0 %: r2/z1/s1 0 % (10.0.0.2:80), r2/z2 0 % (10.0.0.3:80)\n",
	} {
		if !strings.Contains(e.String(), want) {
			t.Errorf("got\n%s\nwant in it\n%s", e, want)
		}
	}
	w := httptest.NewRecorder()
	m.DebugHandler().ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/clusters", nil))
	var clusters []struct {
		Name      string
		Balancing *mesh.ExplainedBalancing
		Endpoints []struct{ Priority int }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &clusters); err != nil {
		t.Fatal(err)
	}
	for _, c := range clusters {
		if strings.HasSuffix(c.Name, "|b.com") && (c.Balancing == nil || len(c.Balancing.Priorities) != 2 || c.Endpoints[2].Priority != 1) {
			t.Errorf("debug: got %+v", c)
		}
	}
}

// What cannot be done is refused when the rules are loaded.
func TestBalancingRefused(t *testing.T) {
	for _, tt := range []struct{ name, lb, want string }{
		{"table size", "consistentHash: {httpHeaderName: x, maglev: {tableSize: 1000}}", "maglev.tableSize: 1000 is not a prime number"},
		{"ring size", "consistentHash: {httpHeaderName: x, ringHash: {minimumRingSize: 99999999}}", "minimumRingSize: 99999999 is more than 8388608"},
		{"distribute", "localityLbSetting: {distribute: [{from: a, to: {b: 99}}]}", "the weights sum to 99, want 100"},
		{"minimum percent", "warmup: {duration: 1s, minimumPercent: .nan}", "minimumPercent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set, err := mesh.Parse("a.yaml", []byte(rules(entry("a.com", "10.0.0.1"), destination("a.com", "trafficPolicy: {loadBalancer: {"+tt.lb+"}}"))))
			if err == nil {
				var m *mesh.Mesh
				if m, err = mesh.New(set, &mesh.Options{Logger: quiet}); m != nil {
					defer m.Close()
				}
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}
