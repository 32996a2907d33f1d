package conformance

import (
	"flag"
	"os"
	"sync"
	"testing"

	"github.com/go-inmesh/inmesh/conformance/compare"
)

var update = flag.Bool("update", false, "write docs/conformance.md from what the run has counted")

// figures are what a run has counted.
type figures struct {
	mu               sync.Mutex
	Routes           compare.Tally
	Seeds            []uint64
	Samples          compare.Tally
	Documents        documents
	Mutations        documents
	Clusters         int
	ClustersIntended map[string]int
}

// documents are verdicts that were compared.
type documents struct {
	Total, Valid, Invalid int
	Intended              map[string]int
}

var counted figures

func record(f func(*figures)) {
	counted.mu.Lock()
	defer counted.mu.Unlock()
	f(&counted)
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if code == 0 && *update {
		if err := writeDoc(); err != nil {
			_, _ = os.Stderr.WriteString(err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}
