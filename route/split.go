package route

import networking "istio.io/api/networking/v1"

// split draws a destination by weight.
type split struct {
	total uint64
	upTo  []uint64 // running sums, parallel to the destinations; nil where there is nothing to draw
}

func newSplit(dests []*networking.HTTPRouteDestination) split {
	var s split
	if len(dests) < 2 {
		return s
	}
	s.upTo = make([]uint64, len(dests))
	for i, d := range dests {
		s.total += uint64(max(d.GetWeight(), 0))
		s.upTo[i] = s.total
	}
	return s
}

// pick is the index for a number in [0,1). Weight 0 is never picked.
func (s *split) pick(rnd float64) int {
	if s.total == 0 {
		return 0
	}
	x := min(uint64(rnd*float64(s.total)), s.total-1)
	for i, end := range s.upTo {
		if x < end {
			return i
		}
	}
	return 0
}
