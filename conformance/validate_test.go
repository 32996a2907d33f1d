package conformance

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-inmesh/inmesh/conformance/compare"
	"github.com/go-inmesh/inmesh/conformance/istio"
	"github.com/go-inmesh/inmesh/conformance/random"
	"github.com/go-inmesh/inmesh/conformance/world"
)

// corpus is every document of Istio's own kinds inside the istio module: samples, test inputs, test data. Those that
// are templates are left out.
var corpus = sync.OnceValue(func() (out []document) {
	seen := map[string]bool{}
	_ = filepath.WalkDir(istio.Root(), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".yaml") || strings.Contains(p, "/charts/") {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		for i, doc := range world.Documents(string(text)) {
			o, err := world.Decode(doc)
			if err != nil || !world.IsIstio(o) {
				continue
			}
			delete(o, "_err") // what Istio's own test expects
			if y := world.YAML(o); !seen[y] {
				seen[y] = true
				out = append(out, document{fmt.Sprintf("%s[%d]", strings.TrimPrefix(p, istio.Root()+"/"), i), o})
			}
		}
		return nil
	})
	return out
})

type document struct {
	name   string
	object world.Object
}

func (d *documents) count(v istio.Verdict, intended string) {
	d.Total++
	if v.Valid() {
		d.Valid++
	} else {
		d.Invalid++
	}
	if intended != "" {
		if d.Intended == nil {
			d.Intended = map[string]int{}
		}
		d.Intended[intended]++
	}
}

func TestDocuments(t *testing.T) {
	var figure documents
	bad := 0
	for _, d := range corpus() {
		v, differ, intended := compare.Judge(d.object)
		if !v.Known {
			continue
		}
		figure.count(v, intended)
		if differ != nil && intended == "" {
			if bad++; bad > *limit {
				t.Fatal("too many differences")
			}
			t.Errorf("%s\n%s", d.name, compare.ShrinkDocument(differ, *shrink))
		}
	}
	t.Logf("%d documents, %d valid to Istio, %d differ; intended %v", figure.Total, figure.Valid, bad, figure.Intended)
	record(func(f *figures) { f.Documents = figure })
}

func TestMutations(t *testing.T) {
	var figure documents
	for _, s := range seeds(t) {
		bad := 0
		seen := map[string]bool{}
		all := corpus()
		for i := range *n * 20 {
			g := random.NewMutator(s, i)
			d := all[g.IntN(len(all))]
			o, what := g.Mutate(d.object)
			if o == nil {
				continue
			}
			v, differ, intended := compare.Judge(o)
			if !v.Known {
				continue
			}
			figure.count(v, intended)
			if differ == nil || intended != "" {
				continue
			}
			small := compare.ShrinkDocument(differ, *shrink)
			if key := world.Kind(o) + shape(small.Object["spec"]); seen[key] {
				continue
			} else {
				seen[key] = true
			}
			if bad++; bad > *limit {
				t.Fatal("too many differences")
			}
			t.Errorf("seed %d, mutation %d of %s, %s\n%s", s, i, d.name, what, small)
		}
		t.Logf("seed %d: %d mutated documents, %d valid to Istio, %d kinds of difference; intended %v", s, figure.Total, figure.Valid, bad, figure.Intended)
	}
	record(func(f *figures) { f.Mutations = figure })
}

// shape is the names of a tree's fields.
func shape(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var b strings.Builder
		for _, k := range slices.Sorted(maps.Keys(v)) {
			b.WriteString("{" + k + shape(v[k]) + "}")
		}
		return b.String()
	case []any:
		var b strings.Builder
		for _, x := range v {
			b.WriteString("-" + shape(x))
		}
		return b.String()
	}
	return ""
}
