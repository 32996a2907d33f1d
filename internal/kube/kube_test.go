package kube_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/kube"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// parse reads an object of which the apiVersion and kind are given, and the rest from line 4 on.
func parse(version, kind, rest string) (any, []string) {
	objects, findings := rule.Parse("f", []byte("apiVersion: "+version+"\nkind: "+kind+"\nmetadata: {name: a, annotations: {kubernetes.io/ingress.class: istio}}\n"+rest))
	finding.Sort(findings)
	var list []string
	for _, f := range findings {
		list = append(list, f.Position.String()[2:]+" "+f.Path+": "+f.Message)
	}
	if len(objects) != 1 {
		return nil, list
	}
	return objects[0].Spec, list
}

func TestDecode(t *testing.T) {
	http := kube.IngressBackend{Service: "b", Port: 80}
	tests := []struct {
		name, version, kind, text string
		want                      any
	}{
		{"service", "v1", "Service", `spec:
  selector: {app: a}
  clusterIP: 10.0.0.1
  externalIPs: [1.2.3.4]
  sessionAffinity: None
  publishNotReadyAddresses: true
  ports:
  - {name: http, port: 80, targetPort: 8080, appProtocol: http2, nodePort: 30000}
  - {name: dns, port: 80, targetPort: dns, protocol: UDP}
status: {loadBalancer: {}}
`, &kube.Service{
			Type: "ClusterIP", Selector: map[string]string{"app": "a"}, ClusterIPs: []string{"10.0.0.1"},
			ExternalIPs: []string{"1.2.3.4"}, PublishNotReady: true,
			Ports: []kube.ServicePort{
				{Name: "http", Port: 80, TargetPort: 8080, Protocol: "TCP", AppProtocol: "http2"},
				{Name: "dns", Port: 80, TargetName: "dns", Protocol: "UDP"},
			},
		}},
		{"headless", "v1", "Service", "spec: {clusterIP: None, clusterIPs: [None], selector: {}}",
			&kube.Service{Type: "ClusterIP", ClusterIPs: []string{"None"}}},
		{"external name", "v1", "Service", "spec: {type: ExternalName, externalName: example.com}",
			&kube.Service{Type: "ExternalName", ExternalName: "example.com"}},
		{"slice", "discovery.k8s.io/v1", "EndpointSlice", `addressType: IPv4
ports: [{name: http, port: 8080}, {name: any}]
endpoints:
- {addresses: [10.0.0.1], nodeName: node, zone: z, hostname: h, targetRef: {kind: Pod, name: p, namespace: q}}
- {addresses: [10.0.0.2], conditions: {ready: false, serving: true, terminating: true}}
- {addresses: [10.0.0.3], conditions: {ready: null}}
`, &kube.EndpointSlice{
			AddressType: "IPv4",
			Ports:       []kube.EndpointPort{{Name: "http", Port: 8080, Protocol: "TCP"}, {Name: "any", Protocol: "TCP"}},
			Endpoints: []kube.Endpoint{
				{Addresses: []string{"10.0.0.1"}, Ready: true, NodeName: "node", Zone: "z", Hostname: "h", Target: kube.Reference{Kind: "Pod", Name: "p", Namespace: "q"}},
				{Addresses: []string{"10.0.0.2"}, Terminating: true},
				{Addresses: []string{"10.0.0.3"}, Ready: true},
			},
		}},
		{"slice of v1beta1", "discovery.k8s.io/v1beta1", "EndpointSlice", "endpoints: [{addresses: [10.0.0.1], topology: {topology.kubernetes.io/zone: z, kubernetes.io/hostname: node}}]",
			&kube.EndpointSlice{AddressType: "IPv4", Endpoints: []kube.Endpoint{{Addresses: []string{"10.0.0.1"}, Ready: true, Zone: "z", NodeName: "node"}}}},
		{"endpoints", "v1", "Endpoints", "subsets: [{addresses: [{ip: 10.0.0.1, targetRef: {kind: Pod, name: p}}], notReadyAddresses: [{ip: 10.0.0.2}], ports: [{port: 80}]}]",
			&kube.Endpoints{Subsets: []kube.EndpointSubset{{
				Addresses: []kube.EndpointAddress{{IP: "10.0.0.1", Target: kube.Reference{Kind: "Pod", Name: "p"}}},
				NotReady:  []kube.EndpointAddress{{IP: "10.0.0.2"}}, Ports: []kube.EndpointPort{{Port: 80, Protocol: "TCP"}},
			}}}},
		{"pod", "v1", "Pod", `spec:
  serviceAccountName: sa
  nodeName: node
  containers:
  - {name: c, image: d, ports: [{name: http, containerPort: 8080}], env: [{name: 1}]}
  - {name: e}
status: {phase: Running, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: "::1"}], conditions: [{type: Ready, status: "False"}]}
`, &kube.Pod{ServiceAccount: "sa", NodeName: "node", Ports: []kube.ContainerPort{{Name: "http", Port: 8080, Protocol: "TCP"}},
			IPs: []string{"10.0.0.1", "::1"}, Phase: "Running"}},
		{"finished pod", "v1", "Pod", "status: {phase: Succeeded, podIP: 10.0.0.1}", &kube.Pod{ServiceAccount: "default", IPs: []string{"10.0.0.1"}, Phase: "Succeeded"}},
		{"ingress", "networking.k8s.io/v1", "Ingress", `spec:
  ingressClassName: other
  defaultBackend: {service: {name: b, port: {name: http}}}
  tls: [{hosts: [a.com], secretName: s}]
  rules:
  - host: a.com
    http: {paths: [{path: /x, pathType: Prefix, backend: {service: {name: b, port: {number: 80}}}}]}
`, &kube.Ingress{
			Class: "other", Default: &kube.IngressBackend{Service: "b", PortName: "http"}, TLS: []kube.IngressTLS{{Hosts: []string{"a.com"}, Secret: "s"}},
			Rules: []kube.IngressRule{{Host: "a.com", Paths: []kube.IngressPath{{Path: "/x", Type: "Prefix", Backend: http}}}},
		}},
		{"ingress of v1beta1", "extensions/v1beta1", "Ingress", `spec:
  backend: {serviceName: b, servicePort: http}
  rules: [{http: {paths: [{path: /.*, backend: {serviceName: b, servicePort: 80}}]}}]
`, &kube.Ingress{
			Class: "istio", Default: &kube.IngressBackend{Service: "b", PortName: "http"},
			Rules: []kube.IngressRule{{Paths: []kube.IngressPath{{Path: "/.*", Type: "ImplementationSpecific", Backend: http}}}},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, findings := parse(test.version, test.kind, test.text)
			if d := cmp.Diff(test.want, got); d != "" || len(findings) != 0 {
				t.Errorf("%v -want +got\n%s", findings, d)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	tests := []struct {
		name, version, kind, text string
		want                      []string
	}{
		{"types", "v1", "Service", "spec: {selector: [a], type: 1, clusterIPs: x, externalIPs: [1.5], publishNotReadyAddresses: maybe, ports: [{port: x}, 5]}", []string{
			"4:18 spec.selector: a list, expected a mapping",
			`4:29 spec.type: 1 is a number in YAML, expected a string: write "1"`,
			`4:44 spec.clusterIPs: "x" is a string, expected a list`,
			`4:61 spec.externalIPs[0]: 1.5 is a number in YAML, expected a string: write "1.5"`,
			`4:93 spec.publishNotReadyAddresses: "maybe" is a string, expected true or false`,
			`4:115 spec.ports[0].port: "x" is a string, expected a port number`,
			"4:119 spec.ports[1]: 5 is a number, expected a mapping"}},
		{"ports", "v1", "Service", "spec: {ports: [{name: a}, {name: a, port: 70000}, {port: 80}, {name: b, port: 80, targetPort: 0}]}", []string{
			"4:16 spec.ports[0].port: absent, expected a port number",
			`4:34 spec.ports[1].name: "a" stands twice`,
			"4:43 spec.ports[1].port: 70000 is not in 1..65535",
			"4:51 spec.ports[2].name: empty, expected a name: the service has 4 ports",
			"4:79 spec.ports[3].port: 80 stands twice",
			"4:95 spec.ports[3].targetPort: 0 is not in 1..65535"}},
		{"no ports", "v1", "Service", "spec: {selector: {a: b}}", []string{"4:7 spec.ports: absent, expected a port"}},
		{"external name", "v1", "Service", "spec: {type: ExternalName}", []string{"4:7 spec.externalName: empty, expected a DNS name for type ExternalName"}},
		{"label", "v1", "Service", "spec: {selector: {version: 1}, ports: [{port: 80}]}", []string{`4:28 spec.selector[version]: 1 is a number in YAML, expected a string: write "1"`}},
		{"twice", "v1", "Service", "spec: {ports: [{port: 80, port: 81}]}", []string{`4:27 spec.ports[0].port: the key "port" stands twice in this mapping`}},
		{"slice", "discovery.k8s.io/v1", "EndpointSlice", "endpoints: [{addresses: []}, {addresses: 10.0.0.1}]", []string{
			"4:25 endpoints[0].addresses: empty, expected an address",
			`4:42 endpoints[1].addresses: "10.0.0.1" is a string, expected a list`,
			"4:42 endpoints[1].addresses: empty, expected an address"}},
		{"endpoints", "v1", "Endpoints", "subsets: [{addresses: [{hostname: a}]}]", []string{"4:24 subsets[0].addresses[0].ip: empty, expected an IP address"}},
		{"pod", "v1", "Pod", "spec: {containers: [{ports: [{name: a}]}]}\nstatus: []", []string{
			"4:30 spec.containers[0].ports[0].containerPort: absent, expected a port number",
			"5:9 status: a list, expected a mapping"}},
		{"ingress", "networking.k8s.io/v1", "Ingress", "spec: {rules: [{http: {paths: [{pathType: Exactly}, {backend: {serviceName: b, servicePort: 80}}, {backend: {resource: {}}}, {backend: {service: {}}}]}}]}", []string{
			"4:32 spec.rules[0].http.paths[0].backend: absent, expected a service",
			`4:43 spec.rules[0].http.paths[0].pathType: "Exactly", expected Exact, Prefix or ImplementationSpecific`,
			"4:63 spec.rules[0].http.paths[1].backend.service: absent, expected {name, port}: serviceName and servicePort are the form of v1beta1",
			"4:120 spec.rules[0].http.paths[2].backend.resource: a backend that is no service is not supported",
			"4:146 spec.rules[0].http.paths[3].backend.service.name: empty, expected a service",
			"4:146 spec.rules[0].http.paths[3].backend.service.port: absent, expected {number: 80} or {name: http}"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, got := parse(test.version, test.kind, test.text)
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

func TestHeadless(t *testing.T) {
	if (&kube.Service{ClusterIPs: []string{"10.0.0.1"}}).Headless() || (&kube.Service{}).Headless() {
		t.Error("headless with an address, or with none said")
	}
}
