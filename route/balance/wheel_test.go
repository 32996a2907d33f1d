package balance

import (
	"math"
	"math/bits"
	"testing"

	"pgregory.net/rapid"
)

func TestStepIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, math.MaxUint32).Draw(t, "n")
		stride := rapid.Uint64Range(0, n-1).Draw(t, "stride")
		turn := uint64(rapid.Uint32().Draw(t, "turn"))
		got, _ := bits.Mul64(turn*stepOf(stride, n), n)
		hi, lo := bits.Mul64(turn, stride)
		if want := bits.Rem64(hi, lo, n); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	})
}

func TestWheelFindsAsALinearSearchDoes(t *testing.T) {
	weight := rapid.OneOf(rapid.IntRange(1, 3), rapid.IntRange(1, 1000), rapid.IntRange(1, math.MaxUint32))
	rapid.Check(t, func(t *rapid.T) {
		ws := rapid.SliceOfN(weight, 1, 50).Draw(t, "weights")
		weights := make([]uint64, len(ws))
		for i, w := range ws {
			weights[i] = uint64(w)
		}
		w := newWheel(weights)
		places := []uint64{0, w.len() - 1, rapid.Uint64Range(0, w.len()-1).Draw(t, "place")}
		for _, end := range w.ends[:len(w.ends)-1] {
			places = append(places, end-1, end)
		}
		for _, p := range places {
			want := 0
			for w.ends[want] <= p {
				want++
			}
			if got := w.find(p); got != want {
				t.Fatalf("place %d: got endpoint %d, want %d", p, got, want)
			}
		}
		if len(w.guide) > 4*len(ws)+4 {
			t.Errorf("got %d steps for %d endpoints", len(w.guide), len(ws))
		}
	})
}
