package compile

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-inmesh/inmesh/internal/destination"
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/internal/rule"
	"github.com/go-inmesh/inmesh/route"
)

// services are in most tests: two of them have several ports, one is not exported.
var services = service("ns1/a", "{port: 80, name: http}") +
	service("ns1/b", "{port: 80, name: http}, {port: 8080, name: http-alt}") +
	service("ns2/c", "{port: 80, name: http}") +
	service("ns2/d", "{port: 9000, name: http}") +
	service("ns1/t", "{port: 80, name: http}, {port: 3306, name: tcp-db}") +
	strings.Replace(service("ns2/h", "{port: 80, name: http}"), "namespace: ns2", "namespace: ns2, annotations: {networking.istio.io/exportTo: .}", 1)

func service(ref, ports string) string {
	ns, name, _ := strings.Cut(ref, "/")
	return fmt.Sprintf("---\napiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: %s}\nspec: {ports: [%s], selector: {app: %s}}\n", name, ns, ports, name)
}

func object(kind, ref, spec string) string {
	ns, name, _ := strings.Cut(ref, "/")
	return fmt.Sprintf("---\napiVersion: networking.istio.io/v1\nkind: %s\nmetadata: {name: %s, namespace: %s}\nspec: %s\n", kind, name, ns, spec)
}

func vs(ref, spec string) string { return object("VirtualService", ref, spec) }

// to is an HTTP route with a name, to a destination host, with more fields.
func to(name, host string, more ...string) string {
	return fmt.Sprintf("{name: '%s', route: [{destination: {host: %s}}]%s}", name, host, strings.Join(append([]string{""}, more...), ", "))
}

// request is what a test asks; want is "virtual service[index] name -> cluster", or "none" or "404".
type request struct {
	host    string
	port    int
	path    string
	headers map[string]string
	want    string
}

func input(t testing.TB, w Workload, docs ...string) Input {
	t.Helper()
	objects, findings := rule.Parse("rules.yaml", []byte(strings.Join(docs, "")))
	if finding.HasErrors(findings) {
		t.Fatalf("parse: %v", findings)
	}
	set, _ := rule.NewSet(objects)
	reg, findings := registry.Build(set, "")
	if finding.HasErrors(findings) {
		t.Fatalf("registry: %v", findings)
	}
	rules := destination.Build(destination.Input{Set: set, Namespace: w.Namespace, Labels: w.Labels})
	return Input{Set: set, Registry: reg, Destinations: rules, Workload: w, AllowAny: true}
}

func compileDocs(t testing.TB, w Workload, docs ...string) (*Output, []finding.Finding) {
	t.Helper()
	return Compile(input(t, w, docs...))
}

func (q request) view(port int) *route.Request {
	h := http.Header{}
	for k, v := range q.headers {
		h.Set(k, v)
	}
	path := q.path
	if path == "" {
		path = "/"
	}
	return &route.Request{Method: "GET", Scheme: "http", Authority: q.host, Path: path, Header: h, Port: port}
}

// describe says what a virtual host does with a request.
func describe(vh *VirtualHost, q request, port int) string {
	if vh == nil {
		return "none"
	}
	hit := vh.Router.Match(q.view(port))
	if hit == nil {
		return "404"
	}
	r := vh.Routes[hit.Index()]
	s := "default"
	if r.Object != nil {
		s = fmt.Sprintf("%s[%d] %s", r.Object.Ref(), r.Index, hit.Name())
	}
	for _, c := range r.Clusters {
		cl := c.At(port)
		s += " -> " + cl.Name
		if cl.Missing != "" {
			s += " missing"
		}
	}
	if vh.Opaque {
		s += " opaque"
	}
	return s
}

func (o *Output) ask(q request) string {
	if q.port == 0 {
		q.port = 80
	}
	return describe(o.Mesh.Lookup(q.host, q.port), q, q.port)
}

// messages are the findings, one a line, without their places.
func messages(fs []finding.Finding) string {
	var b strings.Builder
	for _, f := range fs {
		fmt.Fprintf(&b, "%s %s %s %s: %s\n", f.Severity, f.Code, f.Namespace+"/"+f.Name, f.Path, f.Message)
	}
	return b.String()
}

type meshCase struct {
	name     string
	workload Workload
	docs     []string
	requests []request
}

var ns1 = Workload{Name: "w", Namespace: "ns1", Labels: map[string]string{"app": "w", "tier": "web"}}

func runMesh(t *testing.T, cases []meshCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.workload.Namespace == "" {
				c.workload = ns1
			}
			out, findings := compileDocs(t, c.workload, append([]string{services}, c.docs...)...)
			if finding.HasErrors(findings) {
				t.Fatalf("findings:\n%s", messages(findings))
			}
			for _, q := range c.requests {
				if got := out.ask(q); got != q.want {
					t.Errorf("%s:%d%s %v\n got %s\nwant %s", q.host, q.port, q.path, q.headers, got, q.want)
				}
			}
		})
	}
}
