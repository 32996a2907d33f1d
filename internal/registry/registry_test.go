package registry

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
)

func load(t testing.TB, yaml string) *rule.Set {
	t.Helper()
	objects, found := rule.Parse("test.yaml", []byte(strings.ReplaceAll(yaml, "\n\t", "\n")))
	if finding.HasErrors(found) {
		t.Fatal(found)
	}
	set, _ := rule.NewSet(objects)
	return set
}

// Short heads of the documents in these tests.
var heads = strings.NewReplacer(
	"Service ", "---\napiVersion: v1\nkind: Service\nmetadata: ",
	"ServiceEntry ", "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: ",
	"WorkloadEntry ", "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: ",
	"WorkloadGroup ", "---\napiVersion: networking.istio.io/v1\nkind: WorkloadGroup\nmetadata: ",
	"Pod ", "---\napiVersion: v1\nkind: Pod\nmetadata: ",
	"Endpoints ", "---\napiVersion: v1\nkind: Endpoints\nmetadata: ",
	"EndpointSlice ", "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: ",
)

func build(t testing.TB, yaml string) (*Registry, []finding.Finding) {
	t.Helper()
	return Build(load(t, heads.Replace(strings.ReplaceAll(yaml, "\t", ""))), "")
}

var modes = map[Resolution]string{Passthrough: "NONE", Static: "STATIC", DNS: "DNS", DNSRoundRobin: "ROUND_ROBIN"}

// show has a line for each service, and one for each of its ports: "80 http HTTP: 1.1.1.1:8080*2 @r/z".
func show(r *Registry, services []*Service) string {
	var b strings.Builder
	for _, s := range services {
		fmt.Fprintf(&b, "%s %s %s\n", s.Hostname, s.Namespace, modes[s.Resolution])
		for _, p := range s.Ports {
			fmt.Fprintf(&b, "  %d %s %s:", p.Number, p.Name, p.Protocol)
			for _, e := range r.Endpoints(s, p.Number) {
				fmt.Fprintf(&b, " %s:%d", e.Address, e.Port)
				if e.Weight != 0 {
					fmt.Fprintf(&b, "*%d", e.Weight)
				}
				if e.Locality != "" {
					fmt.Fprintf(&b, "@%s", e.Locality)
				}
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// What Istio makes of these was asked of Istio's own code, except where a comment says so.
func TestBuild(t *testing.T) {
	for _, tt := range []struct {
		name, namespace, config, want string
		findings                      []string // "severity path"
	}{
		{name: "ServiceEntries of one host and namespace join by port name", config: `
			ServiceEntry {name: one}
			spec:
			  hosts: [a.ext]
			  resolution: STATIC
			  ports: [{number: 80, name: http, protocol: HTTP}]
			  endpoints: [{address: 1.1.1.1, weight: 3}]
			ServiceEntry {name: two}
			spec:
			  hosts: [A.ext.]
			  resolution: STATIC
			  ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: http-b, protocol: HTTP}]
			  endpoints: [{address: 1.1.1.2}]
			ServiceEntry {name: three}
			spec:
			  hosts: [a.ext]
			  resolution: DNS
			  ports: [{number: 80, name: http, protocol: HTTP}, {number: 82, name: http-c, protocol: HTTP}]
			  endpoints: [{address: foo.bar}, {address: 1.1.1.3}]
			ServiceEntry {name: four}
			spec:
			  hosts: [a.ext]
			  resolution: STATIC
			  ports: [{number: 80, name: http-other, protocol: HTTP}]
			  endpoints: [{address: 1.1.1.4}]
			`, want: `
			a.ext default STATIC
			  80 http HTTP: 1.1.1.1:80*3 1.1.1.2:80 1.1.1.3:80
			  81 http-b HTTP: 1.1.1.2:81
			`, findings: []string{"warning spec.hosts[0]"}},
		{name: "of two namespaces, the one that names the client", config: `
			ServiceEntry {name: one, namespace: x}
			spec: {hosts: [a.ext], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 1.1.1.1}]}
			ServiceEntry {name: two, namespace: yy}
			spec: {hosts: [a.ext], resolution: STATIC, exportTo: [default], ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: http-b, protocol: HTTP}], endpoints: [{address: 1.1.1.2}]}
			`, want: `
			a.ext yy STATIC
			  80 http HTTP: 1.1.1.2:80
			  81 http-b HTTP: 1.1.1.2:81
			`},
		{name: "the client's own ServiceEntry before another namespace's Kubernetes service", namespace: "x", config: `
			Service {name: a}
			spec: {ports: [{name: http, port: 80, targetPort: 8080}]}
			ServiceEntry {name: one, namespace: x}
			spec: {hosts: [a.default.svc.cluster.local], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 1.1.1.1}]}
			`, want: `
			a.default.svc.cluster.local x STATIC
			  80 http HTTP: 1.1.1.1:80
			`},
		{name: "a Kubernetes service before a third namespace's ServiceEntry", namespace: "yy", config: `
			ServiceEntry {name: one, namespace: x}
			spec: {hosts: [a.default.svc.cluster.local], resolution: STATIC, exportTo: [yy], ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 1.1.1.1}]}
			Service {name: a}
			spec: {ports: [{name: http, port: 80, targetPort: 8080}]}
			`, want: `
			a.default.svc.cluster.local default STATIC
			  80 http HTTP:
			`},
		{name: "a selector picks WorkloadEntries of its namespace", config: `
			Service {name: a}
			spec:
			  selector: {app: a}
			  ports: [{name: http, port: 80, targetPort: 8080}, {name: http-x, port: 81, targetPort: nm}, {port: 82, name: tcp}]
			WorkloadEntry {name: w}
			spec: {address: 2.2.2.2, labels: {app: a}, ports: {nm: 99}, weight: 4, locality: r/z/s}
			WorkloadEntry {name: w2}
			spec: {address: 2.2.2.3, labels: {app: a}, ports: {http: 91}}
			WorkloadEntry {name: w3}
			spec: {address: some.dns, labels: {app: a}}
			WorkloadEntry {name: w4, namespace: other}
			spec: {address: 2.2.2.5, labels: {app: a}}
			WorkloadEntry {name: w5}
			spec: {address: 2.2.2.6, labels: {app: b}}
			`, want: `
			a.default.svc.cluster.local default STATIC
			  80 http HTTP: 2.2.2.2:8080*4@r/z/s 2.2.2.3:91
			  81 http-x HTTP: 2.2.2.2:99*4@r/z/s
			  82 tcp TCP: 2.2.2.2:82*4@r/z/s 2.2.2.3:82
			`},
		// Istio's reference has it so; its code adds the endpoints of such a ServiceEntry where the port's name fits.
		{name: "a ServiceEntry adds only names to the Kubernetes service of its namespace", config: `
			ServiceEntry {name: one}
			spec: {hosts: [a.default.svc.cluster.local], resolution: STATIC, subjectAltNames: [x], ports: [{number: 80, name: http, protocol: HTTP}, {number: 85, name: http-z, protocol: HTTP}], endpoints: [{address: 1.1.1.1}]}
			Service {name: a}
			spec: {ports: [{name: http, port: 80}]}
			`, want: `
			a.default.svc.cluster.local default STATIC
			  80 http HTTP:
			`, findings: []string{"warning spec.hosts[0]"}},
		{name: "ServiceEntries by DNS", config: `
			ServiceEntry {name: one}
			spec: {hosts: [a.ext, b.ext], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]}
			ServiceEntry {name: two}
			spec:
			  hosts: [c.ext]
			  resolution: DNS
			  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}, {number: 443, name: https, protocol: HTTPS}]
			  endpoints: [{address: X.y, ports: {http: 7}, locality: a/b/c, weight: 5}, {address: 1.2.3.4}]
			ServiceEntry {name: three}
			spec: {hosts: [d.ext], resolution: DNS_ROUND_ROBIN, ports: [{number: 80, name: http, protocol: HTTP}]}
			ServiceEntry {name: three-b}
			spec: {hosts: [d.ext], resolution: DNS_ROUND_ROBIN, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: e.ext}]}
			`, want: `
			a.ext default DNS
			  80 http HTTP: a.ext:8080
			b.ext default DNS
			  80 http HTTP: b.ext:8080
			c.ext default DNS
			  80 http HTTP: x.y:7*5@a/b/c 1.2.3.4:8080
			  443 https HTTPS: x.y:443*5@a/b/c 1.2.3.4:443
			d.ext default ROUND_ROBIN
			  80 http HTTP: d.ext:80
			`},
		{name: "ServiceEntries without addresses", config: `
			ServiceEntry {name: four}
			spec: {hosts: ["*.e.ext", f.ext], ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}, {number: 81, name: any}]}
			ServiceEntry {name: five}
			spec: {hosts: ["*.g.ext"], resolution: DYNAMIC_DNS, location: MESH_EXTERNAL, ports: [{number: 80, name: http, protocol: HTTP}]}
			`, want: `
			*.e.ext default NONE
			  80 http HTTP:
			  81 any :
			f.ext default NONE
			  80 http HTTP:
			  81 any :
			*.g.ext default NONE
			  80 http HTTP:
			`, findings: []string{"info spec.resolution"}},
		{name: "unix sockets", config: `
			ServiceEntry {name: six}
			spec: {hosts: [h.ext], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: "unix:///a/b"}]}
			`, want: `
			h.ext default STATIC
			  80 http HTTP: unix:///a/b:0
			`},
		{name: "a ServiceEntry's selector picks WorkloadEntries and pods", config: `
			ServiceEntry {name: seven}
			spec: {hosts: [i.ext], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}], workloadSelector: {labels: {app: i}}}
			ServiceEntry {name: eight}
			spec: {hosts: [j.ext], resolution: STATIC, ports: [{number: 80, name: web, protocol: HTTP}], workloadSelector: {labels: {app: i}}}
			WorkloadEntry {name: w, labels: {app: i}}
			spec: {address: some.dns, labels: {app: other}}
			WorkloadEntry {name: w1, labels: {app: other}}
			spec: {address: 9.9.9.9, labels: {app: i}}
			WorkloadEntry {name: w2, namespace: elsewhere}
			spec: {address: 9.9.9.8, labels: {app: i}}
			WorkloadEntry {name: w3}
			spec: {address: 9.9.9.7, labels: {app: i}}
			Pod {name: p, labels: {app: i}}
			spec: {containers: [{name: x, ports: [{name: web, containerPort: 8080}]}]}
			status: {podIP: 3.3.3.3, phase: Running, conditions: [{type: Ready, status: "True"}]}
			WorkloadGroup {name: g}
			spec: {metadata: {labels: {app: i}}, template: {serviceAccount: sa}}
			`, want: `
			i.ext default DNS
			  80 http HTTP: some.dns:80 9.9.9.7:80 3.3.3.3:80
			j.ext default STATIC
			  80 web HTTP: 9.9.9.7:80 3.3.3.3:8080
			`},
		{name: "pods", config: `
			Service {name: a}
			spec: {selector: {app: a}, ports: [{name: http, port: 80, targetPort: web}, {name: admin, port: 81}, {name: grpc, port: 82, targetPort: 9090}, {name: none, port: 83, targetPort: missing}]}
			Pod {name: p1, labels: {app: a, topology.istio.io/locality: r1.z1}}
			spec: {containers: [{name: x, ports: [{name: web, containerPort: 8080}]}]}
			status: {podIP: 3.3.3.1, phase: Running, conditions: [{type: Ready, status: "True"}]}
			Pod {name: p2, labels: {app: a, topology.kubernetes.io/region: r1, topology.kubernetes.io/zone: z2}}
			spec: {containers: [{name: x, ports: [{name: web, containerPort: 8081}]}]}
			status: {podIP: 3.3.3.2, phase: Running, conditions: [{type: Ready, status: "True"}]}
			Pod {name: p3, labels: {app: a}}
			spec: {containers: []}
			status: {podIP: 3.3.3.3, phase: Running, conditions: [{type: Ready, status: "False"}]}
			Pod {name: p4, labels: {app: a}}
			spec: {containers: []}
			status: {phase: Pending}
			Pod {name: p5, labels: {app: a}, namespace: other}
			spec: {containers: []}
			status: {podIP: 3.3.3.5, phase: Running, conditions: [{type: Ready, status: "True"}]}
			`, want: `
			a.default.svc.cluster.local default STATIC
			  80 http HTTP: 3.3.3.1:8080@r1/z1 3.3.3.2:8081@r1/z2
			  81 admin : 3.3.3.1:81@r1/z1 3.3.3.2:81@r1/z2
			  82 grpc GRPC: 3.3.3.1:9090@r1/z1 3.3.3.2:9090@r1/z2
			  83 none :
			`},
		// Istio knows no Endpoints (Kubernetes mirrors them), and waits for pods that it has not seen yet.
		{name: "EndpointSlices and Endpoints", config: `
			Service {name: a}
			spec: {selector: {app: c}, ports: [{name: http, port: 80, targetPort: 8080}, {name: http-b, port: 81, targetPort: 8081}]}
			Service {name: b}
			spec: {clusterIP: None, ports: [{port: 80, targetPort: 8080}]}
			Service {name: c}
			spec: {selector: {app: c}, ports: [{name: http, port: 80, targetPort: 8080}]}
			Pod {name: p, labels: {app: c, topology.istio.io/locality: r1/z1}}
			spec: {containers: []}
			status: {podIP: 3.3.3.3, phase: Running, conditions: [{type: Ready, status: "True"}]}
			Endpoints {name: a}
			subsets: [{addresses: [{ip: 4.4.4.1}], ports: [{name: http, port: 8080}]}]
			Endpoints {name: b}
			subsets: [{addresses: [{ip: 4.4.4.4}], notReadyAddresses: [{ip: 4.4.4.5}], ports: [{port: 8080}]}]
			EndpointSlice {name: a-1, labels: {kubernetes.io/service-name: a}}
			addressType: IPv4
			endpoints:
			- {addresses: [5.5.5.5], zone: z1, conditions: {ready: true}}
			- {addresses: [5.5.5.6], conditions: {ready: false}}
			- {addresses: [5.5.5.7]}
			- {addresses: [3.3.3.3], zone: z9, targetRef: {kind: Pod, name: p, namespace: default}}
			- {addresses: [3.3.3.9], targetRef: {kind: Pod, name: nopod, namespace: default}}
			ports: [{name: http, port: 8080, protocol: TCP}]
			EndpointSlice {name: a-2, labels: {kubernetes.io/service-name: a}}
			addressType: IPv4
			endpoints:
			- {addresses: [5.5.5.5], zone: z1, conditions: {ready: true}}
			- {addresses: [5.5.5.8], conditions: {ready: true}}
			ports: [{name: http-b, port: 8081, protocol: TCP}, {name: http, port: 8080, protocol: TCP}]
			EndpointSlice {name: a-3, labels: {kubernetes.io/service-name: a}}
			addressType: FQDN
			endpoints: [{addresses: [a.ext]}]
			ports: [{name: http, port: 8080}]
			`, want: `
			a.default.svc.cluster.local default STATIC
			  80 http HTTP: 5.5.5.5:8080@/z1 5.5.5.7:8080 3.3.3.3:8080@r1/z1 3.3.3.9:8080 5.5.5.8:8080
			  81 http-b HTTP: 5.5.5.5:8081@/z1 5.5.5.8:8081
			b.default.svc.cluster.local default STATIC
			  80  : 4.4.4.4:8080
			c.default.svc.cluster.local default STATIC
			  80 http HTTP: 3.3.3.3:8080@r1/z1
			`, findings: []string{"warning addressType"}},
		// Where it leads out of the mesh, Istio passes the request through.
		{name: "ExternalName", config: `
			Service {name: a}
			spec: {ports: [{name: http, port: 80}]}
			Service {name: al}
			spec: {type: ExternalName, externalName: al2.default.svc.cluster.local, ports: [{name: http, port: 80}]}
			Service {name: al2}
			spec: {type: ExternalName, externalName: a.default.svc.cluster.local., ports: [{name: http, port: 80}]}
			Service {name: out}
			spec: {type: ExternalName, externalName: www.example.com, ports: [{name: http, port: 80}]}
			Service {name: l1}
			spec: {type: ExternalName, externalName: l2.default.svc.cluster.local, ports: [{name: http, port: 80}]}
			Service {name: l2}
			spec: {type: ExternalName, externalName: l1.default.svc.cluster.local, ports: [{name: http, port: 80}]}
			`, want: `
			a.default.svc.cluster.local default STATIC
			  80 http HTTP:
			out.default.svc.cluster.local default DNS
			  80 http HTTP: www.example.com:80
			l1.default.svc.cluster.local default DNS
			  80 http HTTP:
			l2.default.svc.cluster.local default DNS
			  80 http HTTP:
			`, findings: []string{"warning spec.externalName", "warning spec.externalName"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, found := build(t, tt.config)
			if tt.namespace == "" {
				tt.namespace = "default"
			}
			want := strings.TrimLeft(strings.ReplaceAll(tt.want, "\t", ""), "\n")
			if diff := cmp.Diff(show(r, r.Visible(tt.namespace)), want); diff != "" {
				t.Error(diff)
			}
			var got []string
			for _, f := range found {
				got = append(got, string(f.Severity)+" "+f.Path)
			}
			if diff := cmp.Diff(got, tt.findings); diff != "" {
				t.Error(diff, found)
			}
		})
	}
}
