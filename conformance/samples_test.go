package conformance

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-inmesh/inmesh/conformance/compare"
	"github.com/go-inmesh/inmesh/conformance/istio"
	"github.com/go-inmesh/inmesh/conformance/world"
)

// sampleSets are the samples whose rules are routed: each list of rules goes with the objects of the base.
var sampleSets = []struct {
	name  string
	base  []string
	rules []string // each alone; a folder is each of its files
}{
	{"bookinfo", []string{"samples/bookinfo/platform/kube/bookinfo.yaml", "samples/bookinfo/networking/destination-rule-all.yaml"}, []string{"samples/bookinfo/networking"}},
	{"httpbin", []string{"samples/httpbin/httpbin.yaml"}, []string{"samples/httpbin"}},
	{"helloworld", []string{"samples/helloworld/helloworld.yaml"}, []string{"samples/helloworld"}},
	{"tcp-echo", []string{"samples/tcp-echo/tcp-echo.yaml", "samples/tcp-echo/tcp-echo-services.yaml"}, []string{"samples/tcp-echo"}},
	{"websockets", []string{"samples/websockets/app.yaml"}, []string{"samples/websockets"}},
}

func TestSamples(t *testing.T) {
	tally := compare.NewTally()
	for _, set := range sampleSets {
		for _, file := range rulesOf(t, set.rules) {
			c := sampleCase(t, set.base, file)
			if c == nil {
				continue
			}
			t.Run(set.name+"/"+filepath.Base(file), func(t *testing.T) {
				found, err := compare.Case(c, true, tally)
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range found[:min(1, len(found))] {
					t.Errorf("%d of the requests differ, such as\n%s", len(found), compare.Shrink(d, *shrink))
				}
			})
		}
	}
	t.Logf("samples: %d cases, %d requests, %d sent; outcomes %v, intended %v", tally.Cases, tally.Requests, tally.Sent, tally.Outcomes, tally.Intended)
	record(func(f *figures) { f.Samples = *tally })
}

func rulesOf(t *testing.T, names []string) []string {
	t.Helper()
	var out []string
	for _, n := range names {
		n = filepath.Join(istio.Root(), n)
		info, err := os.Stat(n)
		if err != nil {
			t.Fatal(err)
		}
		if !info.IsDir() {
			out = append(out, n)
			continue
		}
		entries, err := os.ReadDir(n)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".yaml") {
				out = append(out, filepath.Join(n, e.Name()))
			}
		}
	}
	return out
}

// sampleCase is the base with one file of rules, and requests that ask for everything that the rules name.
func sampleCase(t *testing.T, base []string, file string) *world.Case {
	t.Helper()
	var b strings.Builder
	for _, f := range append(slices.Clone(base), file) {
		if !filepath.IsAbs(f) {
			f = filepath.Join(istio.Root(), f)
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString("---\n" + string(text) + "\n")
	}
	all, err := world.Split(b.String())
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	c := &world.Case{Name: strings.TrimPrefix(file, istio.Root()+"/")}
	for _, o := range all {
		if world.IsIstio(o) || world.Kind(o) == "Service" {
			c.Objects = append(c.Objects, o)
		}
	}
	ask := wordsOf(c.Objects)
	for _, cl := range []world.Client{{Namespace: "default", Labels: map[string]string{"app": "productpage", "version": "v1"}}, {Namespace: "other"}} {
		c.Calls = append(c.Calls, world.Call{Client: cl, Requests: ask.requests(ask.hosts, ask.ports)})
	}
	for _, g := range ask.gateways {
		cl := world.Client{Namespace: "istio-system", Labels: g.selector, Gateway: g.name}
		c.Calls = append(c.Calls, world.Call{Client: cl, Requests: ask.requests(append(ask.hosts, "example.com"), g.ports)})
	}
	return c
}

// words are the names in rules that requests can be made of.
type words struct {
	hosts, paths []string
	ports        []int
	headers      []map[string]string
	gateways     []gatewayWords
}

type gatewayWords struct {
	name     string
	selector map[string]string
	ports    []int
}

func wordsOf(objects []world.Object) *words {
	w := &words{paths: []string{"/", "/x?y=z"}, headers: []map[string]string{nil}}
	for _, o := range objects {
		meta, spec := o["metadata"].(map[string]any), tree(o["spec"])
		name, namespace := fmt.Sprint(meta["name"]), fmt.Sprint(meta["namespace"])
		switch world.Kind(o) {
		case "Service":
			w.hosts = append(w.hosts, name, name+"."+namespace, name+"."+namespace+".svc.cluster.local")
			for _, p := range list(spec["ports"]) {
				w.ports = append(w.ports, number(tree(p)["port"]))
			}
		case "ServiceEntry":
			for _, p := range list(spec["ports"]) {
				w.ports = append(w.ports, number(tree(p)["number"]))
			}
			w.names(spec)
		case "VirtualService":
			w.names(spec)
		case "Gateway":
			g := gatewayWords{name: namespace + "/" + name, selector: map[string]string{}}
			for k, v := range tree(spec["selector"]) {
				g.selector[k] = fmt.Sprint(v)
			}
			for _, s := range list(spec["servers"]) {
				if port := tree(tree(s)["port"]); strings.HasPrefix(fmt.Sprint(port["protocol"]), "HTTP") && port["protocol"] != "HTTPS" {
					g.ports = append(g.ports, number(port["number"]))
				}
			}
			w.gateways = append(w.gateways, g)
		}
		w.walk(spec)
	}
	slices.Sort(w.ports)
	w.ports = slices.Compact(w.ports)
	slices.Sort(w.hosts)
	w.hosts = slices.Compact(w.hosts)
	slices.Sort(w.paths)
	w.paths = slices.Compact(w.paths)
	return w
}

func (w *words) names(spec map[string]any) {
	for _, h := range list(spec["hosts"]) {
		if h := fmt.Sprint(h); !strings.HasPrefix(h, "*") {
			w.hosts = append(w.hosts, h)
		} else if len(h) > 1 {
			w.hosts = append(w.hosts, "x"+h[1:])
		}
	}
}

// walk looks for matches on paths and headers.
func (w *words) walk(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range []string{"exact", "prefix"} {
			if p, ok := tree(v["uri"])[k].(string); ok && strings.HasPrefix(p, "/") {
				w.paths = append(w.paths, p, p+"x", p+"/x")
			}
		}
		for name, m := range tree(v["headers"]) {
			if x, ok := tree(m)["exact"].(string); ok {
				w.headers = append(w.headers, map[string]string{name: x}, map[string]string{name: x + "x"})
			}
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			w.walk(v[k])
		}
	case []any:
		for _, x := range v {
			w.walk(x)
		}
	}
}

// requests asks for every host, port, path and header; at most 200 of them.
func (w *words) requests(hosts []string, ports []int) []world.Request {
	var out []world.Request
	for _, path := range w.paths {
		for _, h := range w.headers {
			for _, host := range hosts {
				for _, port := range ports {
					out = append(out, world.Request{Method: "GET", Host: host, Port: port, Path: path, Headers: h})
				}
			}
		}
	}
	if step := len(out)/200 + 1; step > 1 {
		kept := out[:0]
		for i := 0; i < len(out); i += step {
			kept = append(kept, out[i])
		}
		out = kept
	}
	return out
}

func tree(v any) map[string]any { m, _ := v.(map[string]any); return m }
func list(v any) []any          { l, _ := v.([]any); return l }
func number(v any) int          { n, _ := v.(int64); return int(n) }
