package conformance

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/go-inmesh/inmesh/conformance/compare"
	"github.com/go-inmesh/inmesh/conformance/istio"
	"github.com/go-inmesh/inmesh/conformance/random"
	"github.com/go-inmesh/inmesh/conformance/world"
)

var (
	seed   = flag.Uint64("seed", 0, "the seed of random cases; 0 means a fixed one and a fresh one")
	n      = flag.Int("n", 40, "how many random cases for each seed")
	limit  = flag.Int("limit", 5, "after how many differences a test stops")
	shrink = flag.Int("shrink", 400, "how many smaller cases are tried to reduce a difference")
)

// fixedSeed is the one that every run has.
const fixedSeed = 1

// seeds are the seeds of a run: the fresh one is printed, so that a failure can be repeated.
func seeds(t *testing.T) []uint64 {
	t.Helper()
	if *seed != 0 {
		chosen = []uint64{*seed}
	}
	if chosen == nil {
		chosen = []uint64{fixedSeed, rand.Uint64N(1 << 32)}
	}
	// Not logged, for a log is seen with -v alone.
	fmt.Printf("seeds %v: repeat with go test -run %s . -args -seed N -n %d\n", chosen, t.Name(), *n)
	record(func(f *figures) { f.Seeds = chosen })
	return chosen
}

// chosen are the seeds of this run, once they are known.
var chosen []uint64

// valid leaves out what Istio's admission refuses.
func valid(c *world.Case) {
	kept := c.Objects[:0]
	for _, o := range c.Objects {
		if v := istio.Validate(o); !v.Known || v.Valid() {
			kept = append(kept, o)
		}
	}
	c.Objects = kept
}

func TestRandomRoutes(t *testing.T) {
	all := compare.NewTally()
	for _, s := range seeds(t) {
		tally := compare.NewTally()
		began := time.Now()
		bad := 0
		for i := range *n {
			c := random.Case(s, i)
			valid(c)
			found, err := compare.Case(c, true, tally)
			if err != nil {
				t.Errorf("%s: %v\n%s", c.Name, err, c.YAML())
				bad++
			}
			seen := map[string]bool{}
			for _, d := range found {
				if !seen[d.Field] {
					seen[d.Field] = true
					bad++
					t.Errorf("%s", compare.Shrink(d, *shrink))
				}
			}
			if bad > *limit {
				t.Fatal("too many differences")
			}
		}
		t.Logf("seed %d: %d cases, %d requests, %d sent, %d differ; outcomes %v, intended %v; %v", s, tally.Cases, tally.Requests, tally.Sent, bad, tally.Outcomes, tally.Intended, time.Since(began).Round(time.Millisecond))
		all.Add(tally)
	}
	record(func(f *figures) { f.Routes = *all })
}
