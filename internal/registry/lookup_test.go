package registry

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-inmesh/inmesh/internal/rule"
)

func ExampleRegistry_Endpoints() {
	objects, _ := rule.Parse("mesh.yaml", []byte(`
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: local}
spec: {address: 127.0.0.1, labels: {app: reviews, version: v1}, ports: {http: 8081}}
`))
	set, _ := rule.NewSet(objects)
	r, _ := Build(set, "")
	s := r.Lookup("reviews.default.svc.cluster.local", "default")
	for _, e := range Subset(r.Endpoints(s, 9080), map[string]string{"version": "v1"}) {
		fmt.Println(e.Address, e.Port)
	}
	fmt.Println(strings.Join(r.Names(s, "default"), " "))
	// Output:
	// 127.0.0.1 8081
	// reviews reviews.default reviews.default.svc reviews.default.svc.cluster.local reviews.default.svc.cluster.local.
}

const lookups = `
	Service {name: a}
	spec: {clusterIP: 10.0.0.1, ports: [{name: http, port: 80}]}
	Service {name: al}
	spec: {type: ExternalName, externalName: a.default.svc.cluster.local}
	Service {name: private, annotations: {networking.istio.io/exportTo: "., friend"}}
	spec: {clusterIPs: ["10.0.0.2", "fd00::2"], ports: [{name: http, port: 80}]}
	Service {name: hidden, annotations: {networking.istio.io/exportTo: "~"}}
	spec: {clusterIP: 10.0.0.3, ports: [{name: http, port: 80}]}
	ServiceEntry {name: wide, namespace: x}
	spec: {hosts: ["*.com"], ports: [{number: 80, name: http, protocol: HTTP}]}
	ServiceEntry {name: narrow, namespace: x}
	spec: {hosts: ["*.foo.com"], exportTo: [x], ports: [{number: 80, name: http, protocol: HTTP}]}
	ServiceEntry {name: range, namespace: x}
	spec: {hosts: [range.ext], addresses: [10.1.0.0/16], ports: [{number: 80, name: http, protocol: HTTP}]}
	ServiceEntry {name: part, namespace: x}
	spec: {hosts: [part.ext], addresses: [10.1.1.0/24, 10.9.9.9/32], ports: [{number: 80, name: http, protocol: HTTP}]}
	ServiceEntry {name: old, namespace: x}
	spec: {hosts: [twice.ext], ports: [{number: 80, name: http, protocol: HTTP}]}
	ServiceEntry {name: new, namespace: yy}
	spec: {hosts: [twice.ext], ports: [{number: 80, name: http, protocol: HTTP}]}
	`

func TestLookup(t *testing.T) {
	r, _ := build(t, lookups)
	for _, tt := range []struct{ hostname, namespace, want string }{
		{"a.default.svc.cluster.local", "other", "default/a"},
		{"al.default.svc.cluster.local", "other", "default/a"},
		{"private.default.svc.cluster.local", "default", "default/private"},
		{"private.default.svc.cluster.local", "friend", "default/private"},
		{"private.default.svc.cluster.local", "other", ""},
		{"hidden.default.svc.cluster.local", "default", ""},
		{"a", "default", ""},
		{"x.foo.com", "x", "x/narrow"},
		{"x.foo.com", "other", "x/wide"},
		{"*.foo.com", "x", "x/narrow"},
		{"*.foo.com", "other", "x/wide"},
		{"foo.com", "x", "x/wide"},
		{"com", "x", ""},
		{"twice.ext", "default", "x/old"},
		{"twice.ext", "yy", "yy/new"},
	} {
		if got := ref(r.Lookup(tt.hostname, tt.namespace)); got != tt.want {
			t.Errorf("Lookup(%q, %q) = %q, want %q", tt.hostname, tt.namespace, got, tt.want)
		}
	}
	if got := ref(r.Get("x.foo.com", "x")); got != "" {
		t.Errorf("Get looks for the very hostname, got %q", got)
	}
	if got := r.Canonical("al.default.svc.cluster.local") + " " + r.Canonical("x.foo.com"); got != "a.default.svc.cluster.local x.foo.com" {
		t.Errorf("Canonical: %q", got)
	}
	if got := ref(r.Get("*.foo.com", "x")); got != "x/narrow" {
		t.Errorf("Get of a wildcard: %q", got)
	}
}

func ref(s *Service) string {
	if s == nil {
		return ""
	}
	return s.Namespace + "/" + s.Name
}

func TestByAddress(t *testing.T) {
	r, _ := build(t, lookups)
	for _, tt := range []struct{ ip, namespace, want string }{
		{"10.0.0.1", "other", "default/a"},
		{"::ffff:10.0.0.1", "other", "default/a"},
		{"10.0.0.2", "default", "default/private"},
		{"fd00::2", "default", "default/private"},
		{"[fd00:0::2]", "default", "default/private"},
		{"10.0.0.2", "other", ""},
		{"10.0.0.3", "default", ""},
		{"10.1.2.3", "other", "x/range"},
		{"10.1.1.3", "other", "x/part"},
		{"10.9.9.9", "other", "x/part"},
		{"10.9.9.8", "other", ""},
		{"a.default", "other", ""},
		{"", "other", ""},
	} {
		if got := ref(r.ByAddress(tt.ip, tt.namespace)); got != tt.want {
			t.Errorf("ByAddress(%q, %q) = %q, want %q", tt.ip, tt.namespace, got, tt.want)
		}
	}
}

func TestNames(t *testing.T) {
	r, _ := build(t, lookups)
	for _, tt := range []struct{ hostname, namespace, want string }{
		{"a.default.svc.cluster.local", "other", "a.default a.default.svc a.default.svc.cluster.local a.default.svc.cluster.local. " +
			"al.default al.default.svc al.default.svc.cluster.local al.default.svc.cluster.local."},
		{"private.default.svc.cluster.local", "default",
			"private private.default private.default.svc private.default.svc.cluster.local private.default.svc.cluster.local."},
		{"range.ext", "x", "range.ext range.ext."},
		{"*.com", "x", "*.com *.com."},
	} {
		got := strings.Join(r.Names(r.Lookup(tt.hostname, tt.namespace), tt.namespace), " ")
		if diff := cmp.Diff(got, tt.want); diff != "" {
			t.Errorf("%s: %s", tt.hostname, diff)
		}
	}
}

func TestWithEndpoints(t *testing.T) {
	var config strings.Builder
	for i := range 200 {
		fmt.Fprintf(&config, "ServiceEntry {name: s%d}\nspec: {hosts: [s%d.ext], resolution: STATIC, "+
			"ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: http-b, protocol: HTTP}], endpoints: [{address: 1.1.1.1}]}\n", i, i)
	}
	r, _ := build(t, config.String())
	s := r.Lookup("s130.ext", "default")
	next := r.WithEndpoints("s130.ext", "default", 80, []Endpoint{{Address: "2.2.2.2", Port: 8080}})
	address := func(r *Registry, s *Service, port int) string {
		var out []string
		for _, e := range r.Endpoints(s, port) {
			out = append(out, e.Address)
		}
		return strings.Join(out, " ")
	}
	if got := address(next, s, 80); got != "2.2.2.2" {
		t.Errorf("port 80 is %q now, want 2.2.2.2", got)
	}
	if got := address(next, s, 81); got != "1.1.1.1" {
		t.Errorf("port 81 is %q now, want 1.1.1.1", got)
	}
	if got := address(next, next.Lookup("s131.ext", "default"), 80); got != "1.1.1.1" {
		t.Errorf("another service has %q now, want 1.1.1.1", got)
	}
	if got := address(r, s, 80); got != "1.1.1.1" {
		t.Errorf("the registry that was copied has %q, want 1.1.1.1", got)
	}
	if got := address(next.WithEndpoints("s130.ext", "default", 0, nil), s, 81); got != "" {
		t.Errorf("every port is empty, got %q", got)
	}
	for _, same := range []*Registry{
		r.WithEndpoints("unknown", "default", 80, nil), r.WithEndpoints("s1.ext", "x", 80, nil), r.WithEndpoints("s1.ext", "default", 99, nil),
	} {
		if same != r {
			t.Error("no such service or port: want the registry itself")
		}
	}
	other, _ := build(t, config.String())
	if other.Endpoints(s, 80) != nil || r.Endpoints(nil, 80) != nil {
		t.Error("a service of another registry has no endpoints here")
	}

	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 100 {
				r := r.WithEndpoints(fmt.Sprintf("s%d.ext", i), "default", 0, nil)
				r.Endpoints(r.Lookup(fmt.Sprintf("s%d.ext", i), "default"), 80)
			}
		})
	}
	wg.Wait()
}

func TestEndpoint(t *testing.T) {
	r, _ := build(t, `
		Service {name: a, labels: {team: red}, annotations: {alpha.istio.io/canonical-serviceaccounts: "spiffe://x/y, z"}}
		spec: {selector: {app: a}, clusterIP: None, ports: [{name: http, port: 80}]}
		Pod {name: a-7d8f-x2x4z, labels: {app: a, pod-template-hash: 7d8f, security.istio.io/tlsMode: istio}}
		spec: {serviceAccountName: sa, nodeName: n1, containers: []}
		status: {podIP: 3.3.3.1, phase: Running, conditions: [{type: Ready, status: "True"}]}
		Pod {name: a-0, labels: {app: a, statefulset.kubernetes.io/pod-name: a-0}}
		spec: {containers: []}
		status: {podIP: 3.3.3.2, phase: Running, conditions: [{type: Ready, status: "True"}]}
		WorkloadEntry {name: vm, labels: {app: a, v: meta}, annotations: {istio.io/autoRegistrationGroup: vms}}
		spec: {address: 2.2.2.2, labels: {v: spec, x: spec}, serviceAccount: sa, network: net, locality: r/z/s}
		WorkloadEntry {name: vm2, labels: {service.istio.io/workload-name: named}}
		spec: {address: 2.2.2.3, labels: {app: a, security.istio.io/tlsMode: disabled, topology.istio.io/network: m}, serviceAccount: sa}
		`)
	s := r.Lookup("a.default.svc.cluster.local", "default")
	if !s.Headless || !s.Kubernetes || s.External || len(s.Addresses) != 0 {
		t.Errorf("headless %v, kubernetes %v, external %v, addresses %v", s.Headless, s.Kubernetes, s.External, s.Addresses)
	}
	if diff := cmp.Diff(s.SubjectAltNames, []string{"spiffe://x/y", "z"}); diff != "" {
		t.Error(diff)
	}
	want := []Endpoint{
		{
			Address: "3.3.3.1", Port: 80, Workload: "a", Namespace: "default", ServiceAccount: "sa", MTLS: true,
			Labels: map[string]string{"app": "a", "pod-template-hash": "7d8f", "security.istio.io/tlsMode": "istio", "kubernetes.io/hostname": "n1"},
		}, {
			Address: "3.3.3.2", Port: 80, Workload: "a", Namespace: "default", ServiceAccount: "default",
			Labels: map[string]string{"app": "a", "statefulset.kubernetes.io/pod-name": "a-0"},
		}, {
			Address: "2.2.2.2", Port: 80, Workload: "vms", Namespace: "default", ServiceAccount: "sa", Network: "net", Locality: "r/z/s", MTLS: true,
			Labels: map[string]string{
				"app": "a", "v": "meta", "x": "spec", "topology.istio.io/network": "net", "topology.kubernetes.io/region": "r",
				"topology.kubernetes.io/zone": "z", "topology.istio.io/subzone": "s",
			},
		}, {
			Address: "2.2.2.3", Port: 80, Workload: "named", Namespace: "default", ServiceAccount: "sa", Network: "m",
			Labels: map[string]string{
				"app": "a", "security.istio.io/tlsMode": "disabled", "topology.istio.io/network": "m", "service.istio.io/workload-name": "named",
			},
		},
	}
	if diff := cmp.Diff(r.Endpoints(s, 80), want); diff != "" {
		t.Error(diff)
	}
	if got := Subset(want, map[string]string{"v": "meta"}); len(got) != 1 || got[0].Address != "2.2.2.2" {
		t.Errorf("subset v=meta: %v", got)
	}
	if got := Subset(want, nil); len(got) != len(want) {
		t.Errorf("no labels: %v", got)
	}
}

func TestProtocol(t *testing.T) {
	for _, tt := range []struct {
		port                 int
		name, transport, app string
		want                 Protocol
	}{
		{80, "http", "", "", HTTP},
		{80, "http-api", "TCP", "", HTTP},
		{80, "HTTP2-x", "", "", HTTP2},
		{80, "grpc-web", "", "", GRPC},
		{80, "grpc-web-x", "", "", GRPC},
		{80, "grpc", "", "", GRPC},
		{80, "https", "", "", HTTPS},
		{80, "tls-x", "", "", TLS},
		{80, "mongo", "", "", TCP},
		{80, "", "", "", Auto},
		{80, "httpx", "", "", Auto},
		{3306, "", "", "", TCP},
		{3306, "http", "", "", HTTP},
		{80, "http", "UDP", "", TCP},
		{80, "tcp", "", "http", HTTP},
		{80, "tcp", "", "kubernetes.io/h2c", HTTP2},
		{80, "tcp", "", "kubernetes.io/ws", HTTP},
		{80, "tcp", "", "kubernetes.io/wss", HTTPS},
		{80, "http", "", "other", Auto},
	} {
		if got := serviceProtocol(tt.port, tt.name, tt.transport, tt.app); got != tt.want {
			t.Errorf("serviceProtocol(%d, %q, %q, %q) = %q, want %q", tt.port, tt.name, tt.transport, tt.app, got, tt.want)
		}
	}
	for name, want := range map[string]Protocol{"HTTP": HTTP, "grpc-Web": GRPC, "Redis": TCP, "tls": TLS, "": Auto} {
		if got := entryProtocol(name); got != want {
			t.Errorf("entryProtocol(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestAllocs(t *testing.T) {
	r, _ := build(t, lookups)
	s := r.Lookup("a.default.svc.cluster.local", "default")
	if n := testing.AllocsPerRun(100, func() {
		r.Lookup("a.default.svc.cluster.local", "default")
		r.Lookup("x.foo.com", "other")
		r.ByAddress("10.1.1.3", "other")
		r.Endpoints(s, 80)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkBuild(b *testing.B) {
	var config strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&config, "Service {name: s-%d, namespace: n-%d}\nspec: {selector: {app: s-%d}, ports: [{name: http, port: 80}]}\n", i, i%100, i)
		fmt.Fprintf(&config, "WorkloadEntry {name: w-%d, namespace: n-%d}\nspec: {address: 10.0.0.1, labels: {app: s-%d, version: v1}}\n", i, i%100, i)
	}
	set := load(b, heads.Replace(config.String()))
	b.Run("10k services", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Build(set, "")
		}
	})
	r, _ := Build(set, "")
	b.Run("visible of 10k", func(b *testing.B) {
		for b.Loop() {
			r.Visible("n-1")
		}
	})
	b.Run("new endpoints among 10k", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.WithEndpoints("s-7.n-7.svc.cluster.local", "n-7", 80, []Endpoint{{Address: "1.1.1.1", Port: 80}})
		}
	})
}
