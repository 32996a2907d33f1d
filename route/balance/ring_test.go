package balance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func portions(parts ...float64) []portion {
	sum := 0.0
	for _, p := range parts {
		sum += p
	}
	out := make([]portion, len(parts))
	for i, p := range parts {
		out[i] = portion{&Endpoint{Address: fmt.Sprintf("127.0.0.1:%d", 90+i)}, p / sum}
	}
	return out
}

// The ring that Envoy's own tests describe: six hosts, at least twelve places.
func TestRingIsEnvoys(t *testing.T) {
	r := newRing(portions(1, 1, 1, 1, 1, 1), 12)
	var got []string
	for _, p := range r.places {
		got = append(got, fmt.Sprint(p.e.Address[10:], " ", p.at))
	}
	want := []string{
		"94 833437586790550860", "92 928266305478181108", "90 1033482794131418490", "95 3551244743356806947",
		"93 3851675632748031481", "91 5583722120771150861", "91 6311230543546372928", "93 7700377290971790572",
		"95 13144177310400110813", "92 13444792449719432967", "94 15516499411664133160", "90 16117243373044804889",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	for n, want := range map[uint64]string{0: "94", math.MaxUint64: "94", 3551244743356806947: "95", 3551244743356806948: "93"} {
		if got := r.draw(n, 0).Address[10:]; got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
	// A further attempt walks on along the ring.
	if got := r.draw(16117243373044804880, 2).Address[10:]; got != "92" {
		t.Errorf("two places after the last: got %s, want 92", got)
	}
}

// The ring has at least its size, each endpoint has places in proportion to its weight, and the smallest a whole number.
func TestRingSize(t *testing.T) {
	tests := []struct {
		name   string
		parts  []float64
		size   uint64
		places int
		each   []int
	}{
		{"one", []float64{1}, 1024, 1024, nil},
		{"three", []float64{1, 1, 1}, 1024, 1026, []int{342, 342, 342}},
		{"1:2:3", []float64{1, 2, 3}, 1024, 1026, []int{171, 342, 513}},
		{"more endpoints than places", make([]float64, 2000), 1024, 2000, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i := range tt.parts {
				tt.parts[i] = max(tt.parts[i], 1)
			}
			r := newRing(portions(tt.parts...), tt.size)
			if got := len(r.places); got < tt.places-1 || got > tt.places+1 {
				t.Errorf("got %d places, want %d", got, tt.places)
			}
			got := map[string]int{}
			for _, p := range r.places {
				got[p.e.Address]++
			}
			for i, want := range tt.each {
				if n := got[fmt.Sprintf("127.0.0.1:%d", 90+i)]; n < want-1 || n > want+1 {
					t.Errorf("endpoint %d: got %d places, want %d", i, n, want)
				}
			}
		})
	}
	if got := scaleOf(1e-12, 1024); got != maxRing {
		t.Errorf("a tiny weight beside a huge one: got %v places, want no more than %d", got, maxRing)
	}
}

func TestRingFindsAsALinearSearchDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Any places, however crowded, not only such as a hash gives.
		at := rapid.SliceOfNDistinct(rapid.Uint64(), 1, 60, rapid.ID[uint64]).Draw(t, "places")
		places := make([]spot, len(at))
		for i, at := range at {
			places[i].at = at
		}
		r := order(places)
		slices.Sort(at)
		for _, n := range append([]uint64{0, math.MaxUint64, rapid.Uint64().Draw(t, "number")}, at...) {
			for _, n := range []uint64{n, n + 1, n - 1} {
				want := 0
				for want < len(at) && at[want] < n {
					want++
				}
				if got := r.find(n); got != want%len(at) {
					t.Fatalf("%d in %v: got %d, want %d", n, at, got, want%len(at))
				}
			}
		}
	})
}

// The tables that Envoy's own tests describe.
func TestMaglevIsEnvoys(t *testing.T) {
	tests := []struct {
		name  string
		parts []float64
		size  uint64
		want  []uint32
	}{
		{"six", []float64{1, 1, 1, 1, 1, 1}, 7, []uint32{2, 4, 0, 1, 5, 0, 3}},
		{"weights", []float64{1, 2}, 17, []uint32{1, 0, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 1}},
		{"a table of one", []float64{1, 1}, 1, []uint32{0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, newMaglev(portions(tt.parts...), tt.size).table); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
	// The order of the endpoints does not matter.
	ps := portions(1, 1, 1)
	a := newMaglev(ps, 101)
	b := newMaglev([]portion{ps[2], ps[0], ps[1]}, 101)
	for n := range uint64(101) {
		if a.draw(n, 0) != b.draw(n, 0) {
			t.Fatalf("%d: got another endpoint when they come in another order", n)
		}
	}
}

// Shares are as the weights: of a ring of 100,000 places within 5 %, of a table within a few places of it.
func TestHashShares(t *testing.T) {
	parts := []float64{1, 2, 3, 4, 10}
	for name, p := range map[string]picker{"ring": newRing(portions(parts...), 100_000), "maglev": newMaglev(portions(parts...), 65_537)} {
		tolerance := map[string]float64{"ring": .05, "maglev": .001}[name]
		got := map[string]float64{}
		p.shares(1, func(e *Endpoint, part float64) { got[e.Address] += part })
		sum := 0.0
		for i, w := range parts {
			share := got[fmt.Sprintf("127.0.0.1:%d", 90+i)]
			if want := w / 20; math.Abs(share-want) > want*tolerance {
				t.Errorf("%s, endpoint %d: got %.4f, want %.4f", name, i, share, want)
			}
			sum += share
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("%s: shares sum to %v", name, sum)
		}
		// What is drawn is as the shares say: 100,000 numbers, within five standard deviations.
		const n = 100_000
		rnd := rand.New(rand.NewPCG(1, 1))
		count := map[string]int{}
		for range n {
			count[p.draw(rnd.Uint64(), 0).Address]++
		}
		for a, share := range got {
			if off := math.Abs(float64(count[a])-n*share) / math.Sqrt(n*share*(1-share)); off > 5 {
				t.Errorf("%s, %s: drawn %d times of %d, want %.0f", name, a, count[a], n, n*share)
			}
		}
	}
}

// When one of n endpoints leaves, about 1/n of the numbers change hands: those that were its own. Of a table hardly any
// others do. A ring keeps its size, as Envoy's does, so that the others get more places, which take from each other.
func TestHashMoves(t *testing.T) {
	for _, n := range []int{2, 5, 10, 100} {
		parts := make([]float64, n)
		for i := range parts {
			parts[i] = 1
		}
		all := portions(parts...)
		rest := slices.Delete(slices.Clone(all), n/2, n/2+1)
		for i := range rest {
			rest[i].part = 1 / float64(n-1)
		}
		for name, p := range map[string][2]picker{
			"ring":   {newRing(all, 1024), newRing(rest, 1024)},
			"maglev": {newMaglev(all, 65_537), newMaglev(rest, 65_537)},
		} {
			rnd := rand.New(rand.NewPCG(7, uint64(n)))
			const keys = 20_000
			own, others := 0, 0
			for range keys {
				k := rnd.Uint64()
				switch old := p[0].draw(k, 0); {
				case old == all[n/2].e:
					own++
				case p[1].draw(k, 0) != old:
					others++
				}
			}
			share := float64(own) / keys
			if share < .5/float64(n) || share > 1.6/float64(n) {
				t.Errorf("%s of %d: %.3f of all numbers were the leaver's, want about %.3f", name, n, share, 1/float64(n))
			}
			if most := map[string]float64{"ring": .8 / float64(n), "maglev": .03}[name]; float64(others)/keys > most {
				t.Errorf("%s of %d: %.3f of all numbers moved though their endpoint stayed, want at most %.3f", name, n, float64(others)/keys, most)
			}
		}
	}
}

func BenchmarkHash(b *testing.B) {
	for _, n := range []int{3, 100, 10_000} {
		parts := make([]float64, n)
		for i := range parts {
			parts[i] = 1
		}
		for name, p := range map[string]picker{"ring": newRing(portions(parts...), 1024), "maglev": newMaglev(portions(parts...), 65_537)} {
			b.Run(fmt.Sprintf("%s/n=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				k := uint64(0)
				for b.Loop() {
					k = mix(k)
					p.draw(k, 0)
				}
			})
		}
	}
}
