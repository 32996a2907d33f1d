package conformance

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-inmesh/inmesh/conformance/compare"
	"github.com/go-inmesh/inmesh/conformance/istio"
)

const docFile = "../docs/conformance.md"

// TestDoc holds the page against the lists of intended differences: whoever changes a list writes the page anew.
func TestDoc(t *testing.T) {
	if *update {
		t.Skip("the page is written when all tests are done")
	}
	page, err := os.ReadFile(filepath.FromSlash(docFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{istio.Version(), intendedTable(compare.Routing, nil), intendedTable(compare.Destinations, nil), intendedTable(compare.Documents, nil)} {
		for line := range strings.Lines(want) {
			if cells := strings.SplitN(line, "|", 6); len(cells) == 6 {
				line = strings.Join(cells[:5], "|")
			}
			if !strings.Contains(string(page), strings.TrimSpace(line)) {
				t.Errorf("%s lacks %q: run go test -timeout 1h . -args -update -n 400", docFile, strings.TrimSpace(line))
			}
		}
	}
}

// writeDoc writes the page from what the run has counted.
func writeDoc() error {
	counted.mu.Lock()
	defer counted.mu.Unlock()
	if counted.Routes.Cases == 0 || counted.Documents.Total == 0 || counted.Mutations.Total == 0 || counted.Clusters == 0 || counted.Samples.Cases == 0 {
		return fmt.Errorf("-update needs a run of all tests")
	}
	commit, _ := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	var b strings.Builder
	fmt.Fprintf(&b, `# Agreement with Istio

<!-- made by "go test -timeout 1h . -args -update -n N" in conformance/; do not edit -->

The rules mean what they mean in Istio. That is a promise that can be checked: Istio's admission and the configuration that
it makes for its proxies are Go code, and the module [conformance](../conformance) asks it. It is a module of its own, which
no user needs or links.

Counted on %s at commit %s, with Istio %s and seeds %v. **Nothing differs but what is listed below.**

| what | compared | differ | intended |
|---|---|---|---|
`, time.Now().UTC().Format("2006-01-02"), strings.TrimSpace(string(commit)), istio.Version(), counted.Seeds)
	row := func(what, compared string, intended map[string]int) {
		sum := 0
		for _, n := range intended {
			sum += n
		}
		fmt.Fprintf(&b, "| %s | %s | 0 | %d |\n", what, compared, sum)
	}
	d, m, r, s := counted.Documents, counted.Mutations, counted.Routes, counted.Samples
	row("documents of Istio's own kinds in its samples and test inputs: valid or not", fmt.Sprintf("%d, of which Istio refuses %d", d.Total, d.Invalid), d.Intended)
	row("such documents with one thing changed: valid or not", fmt.Sprintf("%d, of which Istio refuses %d", m.Total, m.Invalid), m.Intended)
	row("requests under the samples bookinfo, httpbin, helloworld, tcp-echo, websockets", fmt.Sprintf("%d under %d sets of rules", s.Requests, s.Cases), s.Intended)
	row("requests under random rules, as `Explain` tells", fmt.Sprintf("%d under %d sets of rules", r.Requests, r.Cases), r.Intended)
	fmt.Fprintf(&b, "| the same requests, really sent | %d over `Transport` and `Gateway`, samples included | 0 | – |\n", r.Sent+s.Sent)
	row("destinations: limits, outlier detection, balancer, TLS, endpoints with locality and priority", fmt.Sprint(counted.Clusters), counted.ClustersIntended)
	fmt.Fprintf(&b, `
Of a request these are compared: outcome, route, clusters with subset and weight, whether they exist, path, authority, header
operations of each destination, code, Location, body, timeout, retries, fault, mirrors, CORS. What is sent for real is held
against the same answer: endpoint, path, Host, headers of request and response, preflights, aborts. What became of the random
requests: %s.

What single fields do is in [fields.md](fields.md); how a process differs from a sidecar, in [differences.md](differences.md).

## Intended differences

### What becomes of a request

%s
### What DestinationRules come to

%s
### What is valid

%s
## Where Istio is not followed

- istiod panics on a DestinationRule with `+"`localityLbSetting.failover`"+` where the proxy has no locality. Here it is a client without one: every
  endpoint is as near as any other.
- Two HTTPS servers of a gateway with one host on one port give Istio filter chains that Envoy refuses; the first one answers here.
  Such requests are not compared (%d of them).

## Not compared yet

AuthorizationPolicy, PeerAuthentication and RequestAuthentication are validated and not obeyed: their documents are compared, their
decisions will be.

## Run it

    cd conformance
    go test ./...                                                  # a bounded part: one fixed seed, one fresh one
    go test -run TestRandomRoutes . -args -seed 7 -n 1000          # more of one kind
    go test -timeout 1h . -args -update -n 400                     # all, and this page

The first build compiles Istio: about ten CPU minutes. A failure prints the smallest rules and request that still differ, with
both answers, and the seed.
`, outcomes(r.Outcomes), intendedTable(compare.Routing, merged(r.Intended, s.Intended)), intendedTable(compare.Destinations, counted.ClustersIntended),
		intendedTable(compare.Documents, merged(d.Intended, m.Intended)), r.Outcomes["Istio: multiple filter chains matched"])
	return os.WriteFile(filepath.FromSlash(docFile), []byte(b.String()), 0o644)
}

func intendedTable(list []compare.Intended, count map[string]int) string {
	var b strings.Builder
	b.WriteString("| where | Istio | here | why | times |\n|---|---|---|---|---|\n")
	for _, i := range list {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d |\n", i.Name, i.Istio, i.Ours, i.Reason, count[i.Name])
	}
	return b.String()
}

func merged(maps ...map[string]int) map[string]int {
	out := map[string]int{}
	for _, m := range maps {
		for k, v := range m {
			out[k] += v
		}
	}
	return out
}

func outcomes(m map[string]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if !strings.HasPrefix(k, "Istio: ") {
			out = append(out, fmt.Sprintf("%s %d", k, m[k]))
		}
	}
	return strings.Join(out, ", ")
}
