package route

import (
	"testing"

	networking "istio.io/api/networking/v1"
	"pgregory.net/rapid"
)

func weighted(weights ...int32) *networking.HTTPRoute {
	spec := &networking.HTTPRoute{}
	for _, w := range weights {
		spec.Route = append(spec.Route, &networking.HTTPRouteDestination{Destination: &networking.Destination{Host: "a"}, Weight: w})
	}
	return spec
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		name    string
		weights []int32
		draws   map[float64]int
	}{
		{"one, whatever its weight", []int32{0}, map[float64]int{0: 0, 0.5: 0, 0.999: 0}},
		{"halves", []int32{50, 50}, map[float64]int{0: 0, 0.4999: 0, 0.5: 1, 0.9999: 1}},
		{"any sum", []int32{1, 3}, map[float64]int{0: 0, 0.2499: 0, 0.25: 1, 0.9999: 1}},
		{"weight 0 is never drawn", []int32{0, 5, 0, 5, 0}, map[float64]int{0: 1, 0.4999: 1, 0.5: 3, 0.99999999: 3}},
		{"all to one", []int32{100, 0}, map[float64]int{0: 0, 0.9999999999999999: 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := New(weighted(tt.weights...))
			if err != nil {
				t.Fatal(err)
			}
			for draw, want := range tt.draws {
				if got := r.Route(0).Split(draw); got != want {
					t.Errorf("%v: destination %d, want %d", draw, got, want)
				}
			}
		})
	}
}

func TestSplitProportions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Int32Range(0, 20), 2, 6).Draw(t, "weights")
		total := 0
		for _, w := range weights {
			total += int(w)
		}
		if total == 0 {
			t.Skip("no weight")
		}
		r, err := New(weighted(weights...))
		if err != nil {
			t.Fatal(err)
		}
		got := make([]int32, len(weights))
		for i := range total { // evenly spread draws, in the middle of each share
			got[r.Route(0).Split((float64(i)+0.5)/float64(total))]++
		}
		for i := range weights {
			if got[i] != weights[i] {
				t.Fatalf("weights %v are drawn as %v", weights, got)
			}
		}
	})
}
