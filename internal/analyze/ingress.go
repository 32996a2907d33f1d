package analyze

import (
	"fmt"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/compile"
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/kube"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// ingresses looks at the backends of Ingresses, and says what their compilation says: it is the same for every
// workload.
func (a *analysis) ingresses() {
	all := rule.All[*kube.Ingress](a.set)
	if len(all) == 0 {
		return
	}
	var objects []*rule.Object
	for _, t := range all {
		objects = append(objects, t.Object)
		if t.Spec.Default != nil {
			a.backend(t.Object, "defaultBackend", *t.Spec.Default)
		}
		for i, r := range t.Spec.Rules {
			for j, p := range r.Paths {
				a.backend(t.Object, fmt.Sprintf("rules[%d].http.paths[%d].backend", i, j), p.Backend)
			}
		}
	}
	for _, t := range rule.All[*networking.Gateway](a.set) { // of the same name
		objects = append(objects, t.Object)
	}
	set, _ := rule.NewSet(objects)
	_, findings := compile.Compile(compile.Input{Set: set, Registry: a.registry})
	for _, f := range findings {
		if f.Kind == "Ingress" {
			a.findings = append(a.findings, f)
		}
	}
}

func (a *analysis) backend(o *rule.Object, path string, b kube.IngressBackend) {
	h := resolve(b.Service, o.Namespace)
	services := a.services[h]
	if len(services) == 0 {
		a.warn(o, path, finding.CodeUndeclared, "no Service declares %s: it is looked up by DNS", h)
		return
	}
	if _, ok := services[0].Port(b.Port); !ok && b.Port != 0 {
		a.errorf(o, path, codeUnresolved, "%s has no port %d (it has %s): requests are answered 503", h, b.Port, portsOf(services[0]))
	}
}
