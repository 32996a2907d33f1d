package random

import (
	"fmt"
	"net"
	"strconv"

	"github.com/go-inmesh/inmesh/conformance/world"
)

// Requests is how many requests each client of a case makes.
const Requests = 8

// Case is the nth case of a seed: services, rules, several clients, gateways.
func Case(seed uint64, n int) *world.Case {
	g := newGen(seed, n)
	c := &world.Case{Name: fmt.Sprintf("random-%d-%d", seed, n), RegistryOnly: g.chance(0.15)}
	c.Objects = g.services()
	for i := range 1 + g.IntN(3) {
		c.Objects = append(c.Objects, g.destinationRule(i))
	}
	c.Objects = append(c.Objects, g.gateways()...)
	for i := range 1 + g.IntN(4) {
		c.Objects = append(c.Objects, g.virtualService(i)...)
	}
	if g.chance(0.15) {
		c.Objects = append(c.Objects, g.sidecar())
	}
	used := usedHosts(c.Objects)
	g.Shuffle(len(c.Objects), func(i, j int) { c.Objects[i], c.Objects[j] = c.Objects[j], c.Objects[i] })
	for _, cl := range []world.Client{
		{Namespace: "default", Labels: map[string]string{"app": "web", "version": "v1"}, Locality: "r1/z1/a"},
		{Namespace: "other", Labels: map[string]string{"app": "job"}},
		{Namespace: "istio-system", Labels: map[string]string{"istio": "one"}, Gateway: "default/one"},
		{Namespace: "istio-system", Labels: map[string]string{"istio": "two"}, Gateway: "other/two"},
	} {
		call := world.Call{Client: cl}
		for range Requests {
			call.Requests = append(call.Requests, g.request(cl, used[cl.Gateway != ""]))
		}
		c.Calls = append(c.Calls, call)
	}
	return c
}

// places are hosts with the port that most of their requests go to.
var places = []struct {
	host string
	port int
}{
	{"reviews", 9080}, {fqdn("reviews", "default"), 9080}, {"reviews.default", 9080}, {"ratings", 9080}, {fqdn("ratings", "default"), 9080},
	{fqdn("reviews", "other"), 9080}, {"reviews.other", 9080}, {fqdn("details", "other"), 9080}, {"details.other.svc", 9080}, {"multi", 80}, {"multi", 8080},
	{fqdn("multi", "default"), 8080}, {"edge80.other", 80}, {fqdn("private", "other"), 9080}, {"shared.other", 9080}, {"api.example.com", 80},
	{"api.example.com", 8080}, {"www.example.com", 80}, {"a.wild.example.org", 80}, {"b.wild.example.org", 80}, {"nobody.example.com", 80}, {"nobody", 80},
	{"Reviews", 9080}, {"alias", 9080}, {"alias.default.svc.cluster.local", 9080}, {"10.1.0.1", 9080}, {"10.1.0.5", 80}, {"reviews.default.svc.cluster.local.", 9080},
}

func (g *gen) request(cl world.Client, used []string) world.Request {
	q := world.Request{Path: g.path(), Method: one(g, "GET", "GET", "POST", "PUT")}
	at := one(g, places...)
	if g.chance(0.4) {
		at = places[g.IntN(3)]
	}
	q.Host, q.Port = at.host, at.port
	if g.chance(0.08) {
		q.Port = one(g, 9080, 80, 8080)
	}
	if cl.Gateway != "" {
		q.Port = one(g, 80, 80, 80, 8080, 443)
		q.TLS = q.Port == 443
		if g.chance(0.9) {
			q.Host = one(g, gatewayHosts...)
		}
	}
	if len(used) > 0 && g.chance(0.4) {
		q.Host = one(g, used...)
	}
	if g.chance(0.7) && q.Port != 80 && !(q.TLS) {
		q.Host = net.JoinHostPort(q.Host, strconv.Itoa(q.Port))
	}
	if g.chance(0.4) {
		q.Path += "?" + one(g, "q1", "q2") + "=" + g.value()
		if g.chance(0.3) {
			q.Path += "&" + one(g, "q1", "q2") + "=" + g.value()
		}
	}
	q.Headers = map[string]string{}
	for _, h := range []string{"h1", "h2", "h3"} {
		if g.chance(0.4) {
			q.Headers[h] = g.value()
		}
	}
	if g.chance(0.5) {
		q.Headers["hx"] = g.value()
	}
	if g.chance(0.15) {
		q.Headers["origin"] = one(g, "http://a.com", "http://b.com", "https://c.org")
		if g.chance(0.4) {
			q.Method = "OPTIONS"
			q.Headers["access-control-request-method"] = one(g, "GET", "PUT")
		}
	}
	return q
}

var gatewayHosts = []string{"reviews.example.com", "api.example.com", "www.example.com", "x.example.org", "shop.test", "a.b.example.com"}

// usedHosts are the hosts of VirtualServices that have no wildcard: those on gateways, and the others.
func usedHosts(objects []world.Object) map[bool][]string {
	out := map[bool][]string{}
	for _, o := range objects {
		spec, _ := o["spec"].(m)
		if world.Kind(o) != "VirtualService" {
			continue
		}
		_, edge := spec["gateways"]
		list, _ := spec["hosts"].([]any)
		for _, h := range list {
			if h := h.(string); h[0] != '*' {
				out[edge] = append(out[edge], h)
			}
		}
	}
	return out
}
