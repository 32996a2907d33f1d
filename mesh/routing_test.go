package mesh_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

// echo answers with its name and the request as it came over the wire: "v1 GET a.com /path x-a=1". Of the headers it
// tells those that begin with x-, without those that every request has.
func echo(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := []string{name, r.Method, r.Host, r.URL.RequestURI()}
		var heads []string
		for k, v := range r.Header {
			if strings.HasPrefix(k, "X-") && k != "X-Request-Id" && k != "X-Envoy-Attempt-Count" {
				heads = append(heads, strings.ToLower(k)+"="+strings.Join(v, "|"))
			}
		}
		slices.Sort(heads)
		w.Header().Set("X-Upstream", name)
		_, _ = io.WriteString(w, strings.Join(append(parts, heads...), " "))
	})
}

// reviews is a service with two versions, in a fleet of echoes.
var (
	reviews = rules(entry("reviews.com", "10.0.0.1 version=v1", "10.0.0.2 version=v2"),
		destination("reviews.com", "subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}, {name: none, labels: {version: v9}}]"))
	reviewsFleet = meshtest.Fleet{"10.0.0.1:80": echo("v1"), "10.0.0.2:80": echo("v2"), "10.0.0.3:80": echo("v3"), "10.0.0.4:9080": echo("v4")}
)

const (
	toV1 = "route: [{destination: {host: reviews.com, subset: v1}}]"
	toV2 = "route: [{destination: {host: reviews.com, subset: v2}}]"
)

func TestRouting(t *testing.T) {
	tests := []struct {
		name  string
		http  string
		ask   string   // METHOD URL; "GET http://reviews.com" is put before a path
		heads []string // of the request
		want  string   // the echo, "CODE Location body", or the verdict of an error
	}{
		{"subset", "[{" + toV2 + "}]", "/", nil, "v2 GET reviews.com /"},
		{"first match wins", "[{match: [{uri: {prefix: /}}], " + toV2 + "}, {" + toV1 + "}]", "/x", nil, "v2 GET reviews.com /x"},
		{"exact", "[{match: [{uri: {exact: /x}}], " + toV2 + "}, {" + toV1 + "}]", "/x?y", nil, "v2 GET reviews.com /x?y"},
		{"exact, not longer", "[{match: [{uri: {exact: /x}}], " + toV2 + "}, {" + toV1 + "}]", "/x/", nil, "v1 GET reviews.com /x/"},
		{"prefix matches inside a word", "[{match: [{uri: {prefix: /foo}}], " + toV2 + "}, {" + toV1 + "}]", "/foobar", nil, "v2 GET reviews.com /foobar"},
		{"regex matches the whole", `[{match: [{uri: {regex: "/[a-z]+"}}], ` + toV2 + "}, {" + toV1 + "}]", "/abc1", nil, "v1 GET reviews.com /abc1"},
		{"ignoreUriCase", "[{match: [{uri: {prefix: /foo}, ignoreUriCase: true}], " + toV2 + "}, {" + toV1 + "}]", "/FOO", nil, "v2 GET reviews.com /FOO"},
		{"dot segments are resolved, for the match and upstream", "[{match: [{uri: {prefix: /admin}}], directResponse: {status: 403}}, {" + toV1 + "}]", "/x/../admin", nil, "403"},
		{"what is matched is what is sent", "[{match: [{uri: {prefix: /public}}], " + toV1 + "}]", "/admin/../public/./y", nil, "v1 GET reviews.com /public/y"},
		{"escapes stay", "[{match: [{uri: {prefix: /a}}], " + toV1 + "}]", "/a%2Fb//c", nil, "v1 GET reviews.com /a%2Fb//c"},
		{"method", "[{match: [{method: {exact: POST}}], " + toV2 + "}, {" + toV1 + "}]", "POST /", nil, "v2 POST reviews.com /"},
		{"header", "[{match: [{headers: {end-user: {exact: jason}}}], " + toV2 + "}, {" + toV1 + "}]", "/", []string{"End-User: jason"}, "v2 GET reviews.com /"},
		{"header, several values are joined", `[{match: [{headers: {x-a: {exact: "1,2"}}}], ` + toV2 + "}]", "/", []string{"x-a: 1", "x-a: 2"}, "v2 GET reviews.com / x-a=1|2"},
		{"header is there", "[{match: [{headers: {x-a: {}}}], " + toV2 + "}, {" + toV1 + "}]", "/", []string{"x-a: "}, "v2 GET reviews.com / x-a="},
		{"withoutHeaders", "[{match: [{withoutHeaders: {x-a: {}}}], " + toV2 + "}, {" + toV1 + "}]", "/", []string{"x-a: 1"}, "v1 GET reviews.com / x-a=1"},
		{"queryParams", "[{match: [{queryParams: {a: {exact: b}}}], " + toV2 + "}, {" + toV1 + "}]", "/?x&a=b", nil, "v2 GET reviews.com /?x&a=b"},
		{"authority", "[{match: [{authority: {exact: reviews.com}}], " + toV2 + "}, {" + toV1 + "}]", "/", nil, "v2 GET reviews.com /"},
		{"scheme", "[{match: [{scheme: {exact: https}}], " + toV2 + "}, {" + toV1 + "}]", "/", nil, "v1 GET reviews.com /"},
		{"port of the request", "[{match: [{port: 80}], " + toV2 + "}, {" + toV1 + "}]", "/", nil, "v2 GET reviews.com /"},
		{"sourceLabels of ours", "[{match: [{sourceLabels: {app: web}}], " + toV2 + "}, {" + toV1 + "}]", "/", nil, "v2 GET reviews.com /"},
		{"sourceLabels of others", "[{match: [{sourceLabels: {app: api}}], " + toV2 + "}, {" + toV1 + "}]", "/", nil, "v1 GET reviews.com /"},
		{"sourceNamespace of others", "[{match: [{sourceNamespace: other}], " + toV2 + "}, {" + toV1 + "}]", "/", nil, "v1 GET reviews.com /"},
		{"fields are AND, entries are OR", "[{match: [{method: {exact: PUT}, uri: {exact: /a}}, {uri: {exact: /b}}], " + toV2 + "}, {" + toV1 + "}]", "/b", nil, "v2 GET reviews.com /b"},
		{"fields are AND", "[{match: [{method: {exact: PUT}, uri: {exact: /a}}, {uri: {exact: /b}}], " + toV2 + "}, {" + toV1 + "}]", "/a", nil, "v1 GET reviews.com /a"},

		{"rewrite of a prefix", "[{match: [{uri: {prefix: /old}}], rewrite: {uri: /new}, " + toV1 + "}]", "/old/x?q=1", nil, "v1 GET reviews.com /new/x?q=1 x-envoy-original-path=/old/x?q=1"},
		{"rewrite of an exact path", "[{match: [{uri: {exact: /old}}], rewrite: {uri: /new}, " + toV1 + "}]", "/old", nil, "v1 GET reviews.com /new x-envoy-original-path=/old"},
		{"rewrite without a match", "[{rewrite: {uri: /v2}, " + toV1 + "}]", "/a", nil, "v1 GET reviews.com /v2a x-envoy-original-path=/a"},
		{"rewrite to the root doubles the slash", "[{match: [{uri: {prefix: /api}}], rewrite: {uri: /}, " + toV1 + "}]", "/api/x", nil, "v1 GET reviews.com //x x-envoy-original-path=/api/x"},
		{"rewrite by regex", `[{rewrite: {uriRegexRewrite: {match: "/([a-z]+)/([0-9]+)", rewrite: "/\\2/\\1"}}, ` + toV1 + "}]", "/abc/12?q", nil, "v1 GET reviews.com /12/abc?q x-envoy-original-path=/abc/12?q"},
		{"rewrite of the authority", "[{rewrite: {authority: other.com}, " + toV1 + "}]", "/", nil, "v1 GET other.com /"},
		{"authority by header", "[{headers: {request: {set: {Host: other.com}}}, " + toV1 + "}]", "/", nil, "v1 GET other.com /"},

		{"redirect", "[{redirect: {uri: /to}}]", "/from?q=1", nil, "301 http://reviews.com/to?q=1"},
		{"redirect, authority and code", "[{redirect: {authority: other.com, redirectCode: 307}}]", "/from", nil, "307 http://other.com/from"},
		{"redirect, scheme and port", "[{redirect: {scheme: https, port: 8443}}]", "/from", nil, "301 https://reviews.com:8443/from"},
		{"direct response", `[{directResponse: {status: 418, body: {string: teapot}}, headers: {response: {add: {x-a: b}}}}]`, "/", nil, "418 teapot"},
		{"no route", "[{match: [{uri: {exact: /x}}], " + toV1 + "}]", "/", nil, "404 NR"},
		{"no subset", "[{route: [{destination: {host: reviews.com, subset: v7}}]}]", "/", nil, "503 NC"},
		{"subset without endpoints", "[{route: [{destination: {host: reviews.com, subset: none}}]}]", "/", nil, "503 UH"},
		{"port that the service has not", "[{route: [{destination: {host: reviews.com, port: {number: 81}}}]}]", "/", nil, "503 NC"},

		{"request headers: remove, set, add", "[{headers: {request: {remove: [x-a], set: {x-b: s}, add: {x-c: a}}}, " + toV1 + "}]", "/",
			[]string{"x-a: 1", "x-b: 1", "x-c: 1"}, "v1 GET reviews.com / x-b=s x-c=1|a"},
		{"one destination: the destination wins", "[{headers: {request: {set: {x-a: route}}}, route: [{destination: {host: reviews.com, subset: v1}, headers: {request: {set: {x-a: dest}}}}]}]", "/",
			nil, "v1 GET reviews.com / x-a=dest"},
		{"several destinations: the route wins", "[{headers: {request: {set: {x-a: route}}}, route: [{destination: {host: reviews.com, subset: v1}, weight: 100, headers: {request: {set: {x-a: dest}}}}, {destination: {host: reviews.com, subset: v2}, weight: 0}, {destination: {host: reviews.com, subset: none}, weight: 0}]}]", "/",
			nil, "v1 GET reviews.com / x-a=route"},
		{"formatters", `[{headers: {request: {set: {x-a: "%REQ(x-b)% 100%%"}}}, ` + toV1 + "}]", "/", []string{"x-b: 1"}, "v1 GET reviews.com / x-a=1 100% x-b=1"},
		{"the caller's x-envoy headers are used up", "[{timeout: 1m, " + toV1 + "}]", "/", []string{"x-envoy-max-retries: 1", "x-envoy-upstream-rq-timeout-ms: 5000"},
			"v1 GET reviews.com / x-envoy-expected-rq-timeout-ms=5000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := open(t, rules(reviews, virtual("reviews.com", tt.http)), &mesh.Options{Workload: mesh.Workload{Labels: map[string]string{"app": "web"}}})
			method, path, ok := strings.Cut(tt.ask, " ")
			if !ok {
				method, path = "GET", tt.ask
			}
			got := meshtest.Do(t, clientOf(m, reviewsFleet), method, "http://reviews.com"+path, tt.heads...)
			if line := lineOf(got); line != tt.want {
				t.Errorf("got %q, want %q", line, tt.want)
			}
		})
	}
}

// lineOf is an answer in short: the echo of a 200, "CODE Location body" of others, the verdict of an error.
func lineOf(a meshtest.Answer) string {
	switch {
	case a.Err != nil && verdict(a.Err) == "-":
		return a.Err.Error()
	case a.Err != nil:
		return verdict(a.Err)
	case a.Code == 200:
		return a.Body
	}
	return strings.TrimSpace(fmt.Sprint(a.Code, " ", a.Header.Get("Location"), a.Body))
}

// named is a ServiceEntry or Service of a Kubernetes kind of name in a namespace.
const kubernetes = `apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: prod}
spec: {selector: {app: reviews}, ports: [{name: http, port: 80, targetPort: 9080}, {name: http-admin, port: 81, targetPort: 9081}]}
---
apiVersion: v1
kind: Pod
metadata: {name: reviews-1, namespace: prod, labels: {app: reviews, version: v1}}
spec: {containers: [{name: a, ports: [{containerPort: 9080}]}]}
status: {podIP: 10.0.0.4, phase: Running, conditions: [{type: Ready, status: "True"}]}
`

func TestRoutingNames(t *testing.T) {
	fleet := meshtest.Fleet{"10.0.0.4:9080": echo("http"), "10.0.0.4:9081": echo("admin")}
	tests := []struct{ namespace, host, want string }{
		{"prod", "reviews", "http GET reviews /"},
		{"prod", "REVIEWS", "http GET REVIEWS /"},
		{"prod", "reviews:81", "admin GET reviews:81 /"},
		{"prod", "reviews.prod", "http GET reviews.prod /"},
		{"prod", "reviews.prod.svc", "http GET reviews.prod.svc /"},
		{"prod", "reviews.prod.svc.cluster.local", "http GET reviews.prod.svc.cluster.local /"},
		{"prod", "reviews.prod.svc.cluster.local.", "http GET reviews.prod.svc.cluster.local. /"},
		{"other", "reviews.prod", "http GET reviews.prod /"},
		{"other", "reviews", "502"},
		{"other", "reviews.other", "502"},
		{"prod", "reviews:82", "502"},
	}
	for _, tt := range tests {
		m := open(t, kubernetes, &mesh.Options{Workload: mesh.Workload{Namespace: tt.namespace}, RegistryOnly: true})
		if got := lineOf(meshtest.Do(t, clientOf(m, fleet), "GET", "http://"+tt.host+"/")); got != tt.want {
			t.Errorf("%s from %s: got %q, want %q", tt.host, tt.namespace, got, tt.want)
		}
	}
}

// The request's Host, not the address that it goes to, chooses the rules.
func TestRoutingByHost(t *testing.T) {
	m := open(t, rules(reviews, virtual("reviews.com", "[{"+toV2+"}]")), nil)
	if got := lineOf(meshtest.Do(t, clientOf(m, reviewsFleet), "GET", "http://somewhere.com/", "Host: reviews.com")); got != "v2 GET reviews.com /" {
		t.Errorf("got %q", got)
	}
}

func TestRoutingWildcards(t *testing.T) {
	direct := func(name, host string) string {
		return virtualNamed(name, host, "", "[{directResponse: {status: 200, body: {string: "+name+"}}}]")
	}
	m := open(t, rules(direct("any", "*.com"), direct("foo", "*.foo.com"), direct("exact", "a.foo.com")), nil)
	client := clientOf(m, meshtest.Fleet{"foo.org": meshtest.Name("outside")})
	for host, want := range map[string]string{"a.foo.com": "exact", "b.foo.com": "foo", "c.b.foo.com": "foo", "foo.com": "any", "foo.org": "outside", "a.foo.com:99": "exact"} {
		if got := lineOf(meshtest.Do(t, client, "GET", "http://"+host+"/")); got != want {
			t.Errorf("%s: got %q, want %q", host, got, want)
		}
	}
}

func TestRoutingSplit(t *testing.T) {
	split := func(a, b int) string {
		return fmt.Sprintf("[{route: [{destination: {host: reviews.com, subset: v1}, weight: %d}, {destination: {host: reviews.com, subset: v2}, weight: %d}]}]", a, b)
	}
	for _, tt := range []struct{ a, b, low, high int }{{100, 0, 1000, 1000}, {0, 100, 0, 0}, {75, 25, 700, 800}, {1, 1, 450, 550}, {3, 9, 200, 300}} {
		m := open(t, rules(reviews, virtual("reviews.com", split(tt.a, tt.b))), nil)
		got := meshtest.Spread(t, clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("v1"), "10.0.0.2:80": meshtest.Name("v2")}), 1000, "http://reviews.com/")
		if got["v1"] < tt.low || got["v1"] > tt.high || got["v1"]+got["v2"] != 1000 {
			t.Errorf("%d/%d: got %v", tt.a, tt.b, got)
		}
	}
}

// A split is drawn once: retries stay with the destination.
func TestRoutingSplitIsDrawnOnce(t *testing.T) {
	m := open(t, rules(reviews, virtual("reviews.com", `[{retries: {attempts: 5, retryOn: 5xx, backoff: 1ms}, route: [{destination: {host: reviews.com, subset: v1}, weight: 50}, {destination: {host: reviews.com, subset: v2}, weight: 50}]}]`)), nil)
	for range 10 {
		var hosts []string
		rt := m.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			hosts = append(hosts, r.URL.Host)
			return respond(r, 503, ""), nil
		}))
		resp, err := rt.RoundTrip(newRequest(t, "GET", "http://reviews.com/", nil))
		if err != nil {
			t.Fatal(err)
		}
		drain(t, resp)
		if len(hosts) != 6 || len(slices.Compact(hosts)) != 1 {
			t.Errorf("tried %v", hosts)
		}
	}
}

func TestRoutingCORS(t *testing.T) {
	m := open(t, rules(reviews, virtual("reviews.com", `[{corsPolicy: {allowOrigins: [{exact: "http://good.com"}], allowMethods: [GET, PUT], allowHeaders: [x-a], exposeHeaders: [x-b], maxAge: 24h, allowCredentials: true}, `+toV1+"}]")), nil)
	client := clientOf(m, reviewsFleet)
	preflight := meshtest.Do(t, client, "OPTIONS", "http://reviews.com/", "origin: http://good.com", "access-control-request-method: PUT")
	want := http.Header{"Access-Control-Allow-Origin": {"http://good.com"}, "Access-Control-Allow-Credentials": {"true"}, "Access-Control-Allow-Methods": {"GET,PUT"},
		"Access-Control-Allow-Headers": {"x-a"}, "Access-Control-Max-Age": {"86400"}, "Content-Length": {"0"}}
	if diff := cmp.Diff(preflight.Header, want); diff != "" || preflight.Code != 200 {
		t.Errorf("preflight: %d (-got +want):\n%s", preflight.Code, diff)
	}
	normal := meshtest.Do(t, client, "GET", "http://reviews.com/", "origin: http://good.com")
	if h := normal.Header; normal.Body != "v1 GET reviews.com /" || h.Get("Access-Control-Allow-Origin") != "http://good.com" || h.Get("Access-Control-Expose-Headers") != "x-b" {
		t.Errorf("normal: %+v", normal)
	}
	bad := meshtest.Do(t, client, "OPTIONS", "http://reviews.com/", "origin: http://bad.com", "access-control-request-method: PUT")
	if bad.Body != "v1 OPTIONS reviews.com /" || bad.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("other origin: %+v", bad)
	}
}

func TestRoutingResponseHeaders(t *testing.T) {
	m := open(t, rules(reviews, virtual("reviews.com", `[{match: [{uri: {exact: /direct}}], directResponse: {status: 200}, headers: {response: {set: {x-a: direct}}}},
	  {match: [{uri: {exact: /to}}], redirect: {uri: /x}, headers: {response: {set: {x-a: redirect}}}},
	  {headers: {response: {remove: [x-upstream], set: {x-a: "%RESPONSE_CODE% %UPSTREAM_HOST%"}, add: {x-b: "1"}}}, `+toV1+"}]")), nil)
	for path, want := range map[string]string{"/direct": "direct", "/to": "redirect", "/": "200 10.0.0.1:80"} {
		got := meshtest.Do(t, clientOf(m, reviewsFleet), "GET", "http://reviews.com"+path)
		if got.Header.Get("X-A") != want || got.Header.Get("X-Upstream") != "" {
			t.Errorf("%s: got %+v, want %q", path, got, want)
		}
	}
	if got := meshtest.Do(t, clientOf(m, reviewsFleet), "GET", "http://reviews.com/"); got.Header.Get("X-Envoy-Upstream-Service-Time") == "" {
		t.Errorf("no x-envoy-upstream-service-time in %v", got.Header)
	}
}

// A Sidecar limits what its workload sees; without one, and with ALLOW_ANY, the rest passes through.
func TestRoutingSidecar(t *testing.T) {
	const sidecar = "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s}\nspec: {egress: [{hosts: [\"./a.com\"]}], outboundTrafficPolicy: {mode: REGISTRY_ONLY}}\n"
	m := open(t, rules(entry("a.com", "10.0.0.1"), entry("b.com", "10.0.0.2"), sidecar), nil)
	client := clientOf(m, reviewsFleet)
	for host, want := range map[string]string{"a.com": "v1 GET a.com /", "b.com": "502", "c.com": "502"} {
		if got := lineOf(meshtest.Do(t, client, "GET", "http://"+host+"/")); got != want {
			t.Errorf("%s: got %q, want %q", host, got, want)
		}
	}
}

func TestRoutingDelegate(t *testing.T) {
	const delegate = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: inner}\nspec: {http: [{match: [{uri: {prefix: /api/v2}}], " + toV2 + "}, {" + toV1 + "}]}\n"
	m := open(t, rules(reviews, delegate, virtual("reviews.com", "[{match: [{uri: {prefix: /api}}], delegate: {name: inner}}]")), nil)
	for path, want := range map[string]string{"/api/v2/x": "v2 GET reviews.com /api/v2/x", "/api/v1": "v1 GET reviews.com /api/v1", "/x": "404 NR"} {
		if got := lineOf(meshtest.Do(t, clientOf(m, reviewsFleet), "GET", "http://reviews.com"+path)); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

// Round robin takes turns, with weights; one cluster's turns are not another's.
func TestRoutingRoundRobin(t *testing.T) {
	m := open(t, rules(entry("a.com", "10.0.0.1", "10.0.0.2", "10.0.0.3"), destination("a.com", "trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}")), nil)
	fleet := meshtest.Fleet{"10.0.0.1:80": meshtest.Name("1"), "10.0.0.2:80": meshtest.Name("2"), "10.0.0.3:80": meshtest.Name("3")}
	got := meshtest.Spread(t, clientOf(m, fleet), 30, "http://a.com/")
	if diff := cmp.Diff(got, map[string]int{"1": 10, "2": 10, "3": 10}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

// A retry looks for an endpoint that was not tried yet.
func TestRoutingRetriesElsewhere(t *testing.T) {
	m := open(t, rules(entry("a.com", "10.0.0.1", "10.0.0.2"), virtual("a.com", "[{retries: {attempts: 3, retryOn: connect-failure, backoff: 1ms}, route: [{destination: {host: a.com}}]}]")), nil)
	for range 20 {
		got := meshtest.Do(t, clientOf(m, meshtest.Fleet{"10.0.0.2:80": meshtest.Name("alive")}), "GET", "http://a.com/")
		if got.Body != "alive" {
			t.Errorf("got %+v", got)
		}
	}
}

// With resolution NONE the request goes where its caller sent it.
func TestRoutingOriginalDestination(t *testing.T) {
	const none = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\nspec: {hosts: [\"*.wild.com\"], location: MESH_EXTERNAL, resolution: NONE, ports: [{number: 80, name: http, protocol: HTTP}]}\n"
	m := open(t, none, nil)
	got := meshtest.Do(t, clientOf(m, meshtest.Fleet{"x.wild.com": echo("wild")}), "GET", "http://x.wild.com/p")
	if got.Body != "wild GET x.wild.com /p" {
		t.Errorf("got %+v", got)
	}
	addr := listen(t, proto)
	_, port, _ := net.SplitHostPort(addr)
	own := open(t, strings.ReplaceAll(none, "number: 80", "number: "+port), &mesh.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != "x.wild.com:"+port {
			t.Errorf("dialled %s", address)
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}})
	if got := meshtest.Do(t, clientOf(own, nil), "GET", "http://x.wild.com:"+port+"/p"); got.Body != "HTTP/1.1 x.wild.com:"+port+" /p" {
		t.Errorf("got %+v", got)
	}
}
