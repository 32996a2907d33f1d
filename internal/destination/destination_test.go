package destination

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
)

var limit = regexp.MustCompile(`@(\d+)`)

// load reads one DestinationRule a line: namespace, name and spec, where @5 is a policy of maxConnections 5.
func load(t testing.TB, lines string) *rule.Set {
	t.Helper()
	var docs []string
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		f := strings.SplitN(strings.TrimSpace(line), " ", 3)
		docs = append(docs, fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"+
			"metadata: {namespace: %s, name: %s}\nspec: %s\n", f[0], f[1],
			limit.ReplaceAllString(f[2], "{connectionPool: {tcp: {maxConnections: $1}}}")))
	}
	objects, found := rule.Parse("test.yaml", []byte(strings.Join(docs, "---\n")))
	if finding.HasErrors(found) {
		t.Fatal(found)
	}
	set, _ := rule.NewSet(objects)
	return set
}

// describe is what the tests look at in a policy.
func describe(p *networking.TrafficPolicy) string {
	if p == nil {
		return "default"
	}
	var out []string
	if n := p.GetConnectionPool().GetTcp().GetMaxConnections(); n != 0 {
		out = append(out, "max="+strconv.Itoa(int(n)))
	}
	if o := p.OutlierDetection; o != nil {
		out = append(out, "5xx="+strconv.Itoa(int(o.GetConsecutive_5XxErrors().GetValue())))
	}
	if lb := p.LoadBalancer; lb != nil {
		out = append(out, lb.GetSimple().String())
	}
	if p.Tls != nil {
		out = append(out, "tls")
	}
	if p.Tunnel != nil {
		out = append(out, "tunnel")
	}
	if p.RetryBudget != nil {
		out = append(out, "budget")
	}
	if len(p.PortLevelSettings) > 0 {
		out = append(out, "ports")
	}
	if len(out) == 0 {
		return "default"
	}
	return strings.Join(out, " ")
}

// What Istio makes of these, cluster by cluster, was asked of Istio's own code, except where a comment says so.
func TestRules(t *testing.T) {
	const a = "a.prod.svc.cluster.local"
	for _, tt := range []struct {
		name, namespace string
		labels          map[string]string
		rules           string
		host            string   // a.prod.svc.cluster.local unless set
		want            []string // "subset:port policy"
		subsets         []string
	}{
		{name: "service's namespace", namespace: "client", rules: `
			prod d {host: a, trafficPolicy: @1}`, want: []string{":80 max=1"}},
		{name: "client hides service", namespace: "client", rules: `
			prod d {host: a, trafficPolicy: @1}
			client e {host: a.prod.svc.cluster.local, trafficPolicy: @2}`, want: []string{":80 max=2"}},
		{name: "a short host is the rule's namespace's", namespace: "client", rules: `
			prod d {host: a, trafficPolicy: @1}
			client e {host: a, trafficPolicy: @2}`, want: []string{":80 max=1"}},
		{name: "client's wildcard hides service's exact host", namespace: "client", rules: `
			prod d {host: a, trafficPolicy: @1}
			client e {host: "*.cluster.local", trafficPolicy: @2}`, want: []string{":80 max=2"}},
		{name: "service's namespace before root", namespace: "client", rules: `
			prod d {host: a, trafficPolicy: @1}
			istio-system e {host: a.prod.svc.cluster.local, trafficPolicy: @2}`, want: []string{":80 max=1"}},
		{name: "root last", namespace: "client", rules: `
			istio-system e {host: "*.local", trafficPolicy: @2}`, want: []string{":80 max=2"}},
		{name: "another namespace does not count", namespace: "client", rules: `
			other e {host: a.prod.svc.cluster.local, trafficPolicy: @2}`, want: []string{":80 default"}},
		{name: "service's private rule is not seen", namespace: "client", rules: `
			prod d {host: a, trafficPolicy: @1, exportTo: [.]}
			istio-system e {host: "*.local", trafficPolicy: @2}`, want: []string{":80 max=2"}},
		{name: "private exact rule leaves the public wildcard", namespace: "client", rules: `
			prod d {host: a, trafficPolicy: @1, exportTo: [prod]}
			prod e {host: "*.prod.svc.cluster.local", trafficPolicy: @2}`, want: []string{":80 max=2"}},
		{name: "exact rule for others hides the public wildcard", namespace: "client", rules: `
			prod d {host: a, trafficPolicy: @1, exportTo: [other]}
			prod e {host: "*.prod.svc.cluster.local", trafficPolicy: @2}
			istio-system f {host: "*", trafficPolicy: @3}`, want: []string{":80 max=3"}},
		{name: "exported to the client", namespace: "client", rules: `
			prod d {host: a, trafficPolicy: @1, exportTo: [client]}`, want: []string{":80 max=1"}},
		{name: "most specific", namespace: "client", rules: `
			client d {host: "*", trafficPolicy: @1}
			client e {host: "*.prod.svc.cluster.local", trafficPolicy: @2}
			client f {host: "*.local", trafficPolicy: @3}`, want: []string{":80 max=2"}},
		{name: "a star that stands for nothing", namespace: "client", rules: `
			client d {host: "*.prod.svc.cluster.local", trafficPolicy: @1}
			client e {host: "*a.prod.svc.cluster.local", trafficPolicy: @2}`, want: []string{":80 max=2"}},
		{name: "root client: service first", namespace: "istio-system", rules: `
			istio-system d {host: a.prod.svc.cluster.local, trafficPolicy: @1}
			prod e {host: a, trafficPolicy: @2}`, want: []string{":80 max=2"}},
		{name: "root client: its private rule first", namespace: "istio-system", rules: `
			istio-system d {host: a.prod.svc.cluster.local, trafficPolicy: @1, exportTo: [.]}
			prod e {host: a, trafficPolicy: @2}`, want: []string{":80 max=1"}},
		{name: "client's rule for others only", namespace: "client", rules: `
			client d {host: a.prod.svc.cluster.local, trafficPolicy: @1, exportTo: [other]}
			prod e {host: a, trafficPolicy: @2}`, want: []string{":80 max=2"}},

		{name: "merge", namespace: "prod", rules: `
			prod d {host: a, subsets: [{name: v1, trafficPolicy: @11}, {name: v2}]}
			prod e {host: a, trafficPolicy: @2, subsets: [{name: v1, trafficPolicy: @22}, {name: v3, trafficPolicy: @33}]}
			prod f {host: a, trafficPolicy: @3, subsets: [{name: v4, trafficPolicy: @44}]}`,
			want:    []string{":80 max=2", "v1:80 max=11", "v2:80 max=2", "v3:80 max=33", "v4:80 max=44"},
			subsets: []string{"v1", "v2", "v3", "v4"}},
		{name: "different exportTo: the younger", namespace: "prod", rules: `
			prod d {host: a, trafficPolicy: @1, exportTo: ["*"], subsets: [{name: v1}]}
			prod e {host: a, trafficPolicy: @2, exportTo: [.], subsets: [{name: v2}]}`,
			want: []string{":80 max=2"}, subsets: []string{"v2"}},
		{name: "different exportTo, seen from outside", namespace: "client", rules: `
			prod d {host: a, trafficPolicy: @1, exportTo: ["*"], subsets: [{name: v1}]}
			prod e {host: a, trafficPolicy: @2, exportTo: [client], subsets: [{name: v2}]}`,
			want: []string{":80 max=2"}, subsets: []string{"v2"}},
		{name: "wider exportTo adds to the narrower", namespace: "client", rules: `
			prod d {host: a, trafficPolicy: @1, exportTo: [client], subsets: [{name: v1}]}
			prod e {host: a, trafficPolicy: @2, exportTo: [client, other], subsets: [{name: v2}]}`,
			want: []string{":80 max=1"}, subsets: []string{"v1", "v2"}},
		{name: "wider exportTo goes no further than the narrower", namespace: "other", rules: `
			prod d {host: a, trafficPolicy: @1, exportTo: [client], subsets: [{name: v1}]}
			prod e {host: a, trafficPolicy: @2, exportTo: [client, other], subsets: [{name: v2}]}`,
			want: []string{":80 default"}},

		{name: "selector matches", namespace: "prod", labels: map[string]string{"app": "x"}, rules: `
			prod d {host: a, trafficPolicy: @1}
			prod e {host: a, trafficPolicy: @2, workloadSelector: {matchLabels: {app: x}}}`, want: []string{":80 max=2"}},
		{name: "selector does not match", namespace: "prod", labels: map[string]string{"app": "y"}, rules: `
			prod d {host: a, trafficPolicy: @1}
			prod e {host: a, trafficPolicy: @2, workloadSelector: {matchLabels: {app: x}}}`, want: []string{":80 max=1"}},
		{name: "a selector that does not match still hides the root", namespace: "prod", labels: map[string]string{"app": "y"}, rules: `
			prod e {host: a, trafficPolicy: @2, workloadSelector: {matchLabels: {app: x}}}
			istio-system f {host: "*", trafficPolicy: @3}`, want: []string{":80 default"}},
		{name: "a selector that does not match still hides the service", namespace: "client", labels: map[string]string{"app": "y"}, rules: `
			client e {host: a.prod.svc.cluster.local, trafficPolicy: @2, workloadSelector: {matchLabels: {app: x}}}
			prod f {host: a, trafficPolicy: @3}`, want: []string{":80 default"}},
		{name: "a selector is for its own namespace", namespace: "client", labels: map[string]string{"app": "x"}, rules: `
			prod e {host: a, trafficPolicy: @2, workloadSelector: {matchLabels: {app: x}}}
			prod f {host: a, trafficPolicy: @3}`, want: []string{":80 max=3"}},
		{name: "two selectors: the older", namespace: "prod", labels: map[string]string{"app": "x", "v": "one"}, rules: `
			prod d {host: a, trafficPolicy: @1, workloadSelector: {matchLabels: {app: x}}}
			prod e {host: a, trafficPolicy: @2, workloadSelector: {matchLabels: {v: one}}, subsets: [{name: v1}]}`,
			want: []string{":80 max=1"}},
		{name: "same selectors merge", namespace: "prod", labels: map[string]string{"app": "x"}, rules: `
			prod d {host: a, trafficPolicy: @1, workloadSelector: {matchLabels: {app: x}}}
			prod e {host: a, trafficPolicy: @2, workloadSelector: {matchLabels: {app: x}}, subsets: [{name: v1}]}`,
			want: []string{":80 max=1"}, subsets: []string{"v1"}},
		{name: "private rule for all adds to the selected one", namespace: "prod", labels: map[string]string{"app": "x"}, rules: `
			prod d {host: a, trafficPolicy: @1, exportTo: [.], subsets: [{name: v1}]}
			prod e {host: a, trafficPolicy: @2, workloadSelector: {matchLabels: {app: x}}}`,
			want: []string{":80 max=2"}, subsets: []string{"v1"}},
		{name: "and stays for the rest", // Istio forgets it for them
			namespace: "prod", labels: map[string]string{"app": "y"}, rules: `
			prod d {host: a, trafficPolicy: @1, exportTo: [.], subsets: [{name: v1}]}
			prod e {host: a, trafficPolicy: @2, workloadSelector: {matchLabels: {app: x}}}`,
			want: []string{":80 max=1"}, subsets: []string{"v1"}},

		{name: "port level replaces", namespace: "prod", rules: `
			prod d {host: a, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}, outlierDetection: {consecutive5xxErrors: 1}, loadBalancer: {simple: RANDOM}, tls: {mode: SIMPLE}, tunnel: {targetHost: x, targetPort: 1}, retryBudget: {}, portLevelSettings: [{port: {number: 81}, connectionPool: {tcp: {maxConnections: 9}}}]}}`,
			want: []string{":80 max=1 5xx=1 RANDOM tls tunnel budget", ":81 max=9"}},
		{name: "subset overrides block by block", namespace: "prod", rules: `
			prod d {host: a, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}, outlierDetection: {consecutive5xxErrors: 1}, loadBalancer: {simple: RANDOM}, tls: {mode: SIMPLE}, retryBudget: {}}, subsets: [{name: v1, trafficPolicy: @5}, {name: v2, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 7}, tls: {mode: DISABLE}, tunnel: {targetHost: x, targetPort: 1}}}]}`,
			want: []string{"v1:80 max=5 5xx=1 RANDOM tls budget", "v2:80 max=1 5xx=7 RANDOM tls tunnel budget", ":80 max=1 5xx=1 RANDOM tls budget"}, subsets: []string{"v1", "v2"}},
		{name: "port level of a subset replaces all four", namespace: "prod", rules: `
			prod d {host: a, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}, outlierDetection: {consecutive5xxErrors: 1}, loadBalancer: {simple: RANDOM}, tls: {mode: SIMPLE}, retryBudget: {}}, subsets: [{name: v1, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}, portLevelSettings: [{port: {number: 81}, connectionPool: {tcp: {maxConnections: 9}}}]}}]}`,
			want: []string{"v1:80 max=1 5xx=1 ROUND_ROBIN tls budget", "v1:81 max=9 budget", ":81 max=1 5xx=1 RANDOM tls budget"}, subsets: []string{"v1"}},
		{name: "port levels of both", namespace: "prod", rules: `
			prod d {host: a, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}, outlierDetection: {consecutive5xxErrors: 1}, portLevelSettings: [{port: {number: 81}, connectionPool: {tcp: {maxConnections: 8}}}]}, subsets: [{name: v1, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}, portLevelSettings: [{port: {number: 80}, connectionPool: {tcp: {maxConnections: 9}}}]}}]}`,
			want: []string{"v1:80 max=9", ":80 max=1 5xx=1", "v1:81 max=8 ROUND_ROBIN", ":81 max=8"}, subsets: []string{"v1"}},
		{name: "subset without a top level", namespace: "prod", rules: `
			prod d {host: a, subsets: [{name: v1, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}, portLevelSettings: [{port: {number: 80}, connectionPool: {tcp: {maxConnections: 9}}}]}}]}`,
			want: []string{"v1:80 max=9", "v1:81 ROUND_ROBIN", ":80 default", "unknown:80 default"}, subsets: []string{"v1"}},

		{name: "wildcard service", namespace: "prod", host: "*.ext.com", rules: `
			prod d {host: "*.ext.com", trafficPolicy: @1}
			prod e {host: "*.com", trafficPolicy: @2}
			prod f {host: x.ext.com, trafficPolicy: @3}`, want: []string{":80 max=1"}},
		{name: "wildcard service under a wider rule", namespace: "prod", host: "*.ext.com", rules: `
			prod e {host: "*.com", trafficPolicy: @2}
			prod f {host: x.ext.com, trafficPolicy: @3}`, want: []string{":80 max=2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.host == "" {
				tt.host = a
			}
			rules := Build(Input{Set: load(t, tt.rules), Namespace: tt.namespace, Labels: tt.labels})
			m := rules.Lookup(tt.host, "prod")
			var got []string
			for _, w := range tt.want {
				key, _, _ := strings.Cut(w, " ")
				subset, port, _ := strings.Cut(key, ":")
				n, _ := strconv.Atoi(port)
				got = append(got, key+" "+describe(m.Policy(subset, n)))
			}
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Error(diff)
			}
			if got := m.Subsets(); len(got)+len(tt.subsets) > 0 && !cmp.Equal(got, tt.subsets) {
				t.Errorf("subsets %v, want %v", got, tt.subsets)
			}
		})
	}
}

func TestMerged(t *testing.T) {
	rules := Build(Input{Namespace: "prod", Domain: "corp", Set: load(t, `
		prod d {host: A, subsets: [{name: v1, labels: {version: v1}}, {name: all}]}
		prod e {host: a.prod.svc.corp, trafficPolicy: @1}`)})
	m := rules.Lookup("a.prod.svc.corp", "prod")
	if m.Host != "a.prod.svc.corp" || m.Namespace != "prod" {
		t.Errorf("host %q, namespace %q", m.Host, m.Namespace)
	}
	var objects []string
	for _, o := range m.Objects() {
		objects = append(objects, o.Ref())
	}
	if diff := cmp.Diff(objects, []string{"prod/d", "prod/e"}); diff != "" {
		t.Error(diff)
	}
	if labels, ok := m.Subset("v1"); !ok || labels["version"] != "v1" {
		t.Errorf("v1: %v, %v", labels, ok)
	}
	if labels, ok := m.Subset("all"); !ok || len(labels) != 0 {
		t.Errorf("all: %v, %v", labels, ok)
	}
	if _, ok := m.Subset("v2"); ok {
		t.Error("v2 is not there")
	}
	if _, ok := m.Subset(""); ok {
		t.Error("the empty name is no subset")
	}
}

func TestNil(t *testing.T) {
	var rules *Rules
	m := rules.Lookup("a", "b")
	if m != nil || m.Policy("", 80) != nil || m.Subsets() != nil || m.Objects() != nil {
		t.Error("nil rules and a nil rule say nothing")
	}
	if _, ok := m.Subset("v1"); ok {
		t.Error("a nil rule has no subsets")
	}
}

func BenchmarkBuild(b *testing.B) {
	var lines strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&lines, "ns-%d d-%d {host: svc-%d, trafficPolicy: @1, subsets: [{name: v1, labels: {version: v1}}]}\n", i%100, i, i)
	}
	in := Input{Set: load(b, lines.String()), Namespace: "ns-1"}
	var rules *Rules
	b.Run("build", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			rules = Build(in)
		}
	})
	b.Run("lookup and policy of 10k", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for i := range 10_000 {
				ns := fmt.Sprintf("ns-%d", i%100)
				rules.Lookup(fmt.Sprintf("svc-%d.%s.svc.cluster.local", i, ns), ns).Policy("v1", 80)
			}
		}
	})
}
