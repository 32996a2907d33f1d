package observe_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"go.uber.org/goleak"

	"github.com/go-inmesh/inmesh/observe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	productpage = observe.Workload{Name: "productpage-v1", Namespace: "default",
		Principal: "spiffe://cluster.local/ns/default/sa/bookinfo-productpage",
		Labels:    map[string]string{"app": "productpage", "version": "v1"}}
	reviews = observe.Workload{Name: "reviews-v2", Namespace: "default",
		Principal: "spiffe://cluster.local/ns/default/sa/bookinfo-reviews",
		Labels:    map[string]string{"app": "reviews", "version": "v2"}}
)

// roundTrip is an upstream without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func newObserver(tb testing.TB, opts *observe.Options) *observe.Observer {
	tb.Helper()
	o, err := observe.New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = o.Close() })
	return o
}

// exposition is what a scrape of the registry sees of the metrics whose names begin so.
func exposition(tb testing.TB, reg prometheus.Gatherer, prefix string) string {
	tb.Helper()
	families, err := reg.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	var b bytes.Buffer
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), prefix) {
			continue
		}
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			tb.Fatal(err)
		}
	}
	return b.String()
}

// samples are the lines of one metric, without comments.
func samples(tb testing.TB, reg prometheus.Gatherer, name string) []string {
	tb.Helper()
	var lines []string
	for line := range strings.Lines(exposition(tb, reg, name)) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// labels picks labels out of a sample's line: "name=value …", and the value at its end.
func labels(tb testing.TB, line string, names ...string) string {
	tb.Helper()
	var out []string
	for _, name := range names {
		_, rest, ok := strings.Cut(line, name+`="`)
		if !ok {
			tb.Fatalf("no label %s in %s", name, line)
		}
		value, _, _ := strings.Cut(rest, `"`)
		out = append(out, name+"="+value)
	}
	return strings.Join(append(out, line[strings.LastIndexByte(line, ' ')+1:]), " ")
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
