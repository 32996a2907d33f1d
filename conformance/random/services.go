package random

import (
	"fmt"

	"github.com/go-inmesh/inmesh/conformance/world"
)

// service is what there may be to talk to.
type service struct {
	name, namespace string
	hosts           []string // of a ServiceEntry that is no Kubernetes name
	ports           []int
	resolution      string // STATIC if empty
	external        bool
	kubernetes      bool // may be a Kubernetes Service
	exportTo        []any
}

var services = []service{
	{name: "reviews", namespace: "default", ports: []int{9080}, kubernetes: true},
	{name: "ratings", namespace: "default", ports: []int{9080}, kubernetes: true},
	{name: "reviews", namespace: "other", ports: []int{9080}, kubernetes: true},
	{name: "details", namespace: "other", ports: []int{9080}},
	{name: "multi", namespace: "default", ports: []int{80, 8080}, kubernetes: true},
	{name: "edge80", namespace: "other", ports: []int{80}, kubernetes: true},
	{name: "private", namespace: "other", ports: []int{9080}, exportTo: []any{"."}},
	{name: "shared", namespace: "other", ports: []int{9080}, exportTo: []any{"default"}},
	{name: "outside", namespace: "default", hosts: []string{"api.example.com", "www.example.com"}, ports: []int{80}, resolution: "DNS", external: true},
	{name: "outside2", namespace: "other", hosts: []string{"api.example.com"}, ports: []int{80, 8080}, resolution: "DNS", external: true},
	{name: "wild", namespace: "default", hosts: []string{"*.wild.example.org"}, ports: []int{80}, resolution: "NONE", external: true},
	{name: "tame", namespace: "default", hosts: []string{"a.wild.example.org"}, ports: []int{80}},
}

// hosts are the names that requests and rules use.
var hosts = []string{
	"reviews", "reviews", "reviews.default.svc.cluster.local", "reviews.other.svc.cluster.local", "ratings", "ratings.default.svc.cluster.local",
	"details.other.svc.cluster.local", "multi", "multi.default.svc.cluster.local", "edge80.other.svc.cluster.local",
	"private.other.svc.cluster.local", "shared.other.svc.cluster.local", "api.example.com", "www.example.com", "a.wild.example.org",
	"b.wild.example.org", "nobody.example.com", "nobody",
}

func fqdn(name, namespace string) string { return name + "." + namespace + ".svc.cluster.local" }

// services makes most of the services.
func (g *gen) services() []world.Object {
	var out []world.Object
	for i, s := range services {
		if g.chance(0.15) {
			continue
		}
		if s.kubernetes && g.chance(0.3) {
			out = append(out, g.kubernetes(i, s)...)
			continue
		}
		out = append(out, g.entry(i, s))
	}
	if g.chance(0.15) {
		o := g.object("v1", "Service", "default", "alias", m{"type": "ExternalName", "externalName": one(g, fqdn("reviews", "default"), fqdn("details", "other"), "ext.example.net"),
			"ports": []any{m{"port": 9080, "name": "http"}}})
		out = append(out, o)
	}
	return out
}

func (g *gen) portName(n int) string { return fmt.Sprint("http-", n) }

func (g *gen) entry(i int, s service) world.Object {
	spec := m{"resolution": "STATIC"}
	if s.resolution != "" {
		spec["resolution"] = s.resolution
	}
	if len(s.hosts) > 0 {
		spec["hosts"] = anys(s.hosts)
	} else {
		spec["hosts"] = []any{fqdn(s.name, s.namespace)}
		spec["addresses"] = []any{fmt.Sprintf("10.1.0.%d", i+1)}
	}
	spec["location"] = "MESH_INTERNAL"
	if s.external {
		spec["location"] = "MESH_EXTERNAL"
	}
	var ports []any
	for _, p := range s.ports {
		ports = append(ports, m{"number": p, "name": g.portName(p), "protocol": one(g, "HTTP", "HTTP", "HTTP2", "GRPC")})
	}
	spec["ports"] = ports
	if spec["resolution"] == "STATIC" {
		spec["endpoints"] = g.endpoints(i, s)
	}
	if s.exportTo != nil {
		spec["exportTo"] = s.exportTo
	}
	return g.object(networking, "ServiceEntry", s.namespace, s.name, spec)
}

var localities = []string{"r1/z1/a", "r1/z1/b", "r1/z2/a", "r2/z1/a", "r2/z3/c"}

func (g *gen) endpoints(i int, s service) []any {
	var out []any
	for v := 1; v <= 3; v++ {
		for k := range 1 + g.IntN(2) {
			e := m{"address": fmt.Sprintf("10.2.%d.%d", i+1, v*10+k), "labels": m{"app": s.name, "version": fmt.Sprint("v", v)}}
			if g.chance(0.3) {
				e["weight"] = 1 + g.IntN(5)
			}
			if g.chance(0.5) {
				e["locality"] = one(g, localities...)
			}
			out = append(out, e)
		}
	}
	return out
}

func (g *gen) kubernetes(i int, s service) []world.Object {
	var ports, slicePorts []any
	for _, p := range s.ports {
		ports = append(ports, m{"port": p, "name": g.portName(p), "targetPort": p + 1, "protocol": "TCP"})
		slicePorts = append(slicePorts, m{"port": p + 1, "name": g.portName(p), "protocol": "TCP"})
	}
	svc := g.object("v1", "Service", s.namespace, s.name, m{"clusterIP": fmt.Sprintf("10.1.0.%d", i+1), "selector": m{"app": s.name}, "ports": ports})
	out := []world.Object{svc}
	var endpoints []any
	for v := 1; v <= 3; v++ {
		name, ip := fmt.Sprintf("%s-%d", s.name, v), fmt.Sprintf("10.2.%d.%d", i+1, v*10)
		pod := g.object("v1", "Pod", s.namespace, name, m{"serviceAccountName": s.name, "containers": []any{}})
		pod["metadata"].(m)["labels"] = m{"app": s.name, "version": fmt.Sprint("v", v)}
		pod["status"] = m{"podIP": ip, "phase": "Running", "conditions": []any{m{"type": "Ready", "status": "True"}}}
		out = append(out, pod)
		endpoints = append(endpoints, m{"addresses": []any{ip}, "conditions": m{"ready": true}, "targetRef": m{"kind": "Pod", "name": name, "namespace": s.namespace}})
	}
	slice := g.object("discovery.k8s.io/v1", "EndpointSlice", s.namespace, s.name+"-1", nil)
	delete(slice, "spec")
	slice["metadata"].(m)["labels"] = m{"kubernetes.io/service-name": s.name}
	slice["addressType"], slice["ports"], slice["endpoints"] = "IPv4", slicePorts, endpoints
	return append(out, slice)
}

func anys[T any](xs []T) []any {
	out := make([]any, len(xs))
	for i, x := range xs {
		out[i] = x
	}
	return out
}
