package balance

import "math"

// looks is how many endpoints a weighted pick by least request looks at.
const looks = 8

// weightedLeastRequest picks an endpoint with a chance in proportion to weight/(active+1), as Envoy weighs
// endpoints of unequal weight. Up to eight endpoints are weighed so, all of them. Of more, eight are drawn by
// their weights and one of these is taken in proportion to 1/(active+1): the same where all are as busy, and
// near it where they are not, with no heap to keep and no lock.
type weightedLeastRequest struct {
	wheel *wheel
	rnd   func() float64
}

func newWeightedLeastRequest(eps []*Endpoint, rnd func() float64) *weightedLeastRequest {
	return &weightedLeastRequest{layOut(eps), rnd}
}

func (l *weightedLeastRequest) draw() *Endpoint {
	if len(l.wheel.eps) <= looks {
		return l.all()
	}
	return l.some()
}

func (l *weightedLeastRequest) all() *Endpoint {
	var chances [looks]float64
	var sum float64
	for i, e := range l.wheel.eps {
		chances[i&(looks-1)] = chance(e, e.weight())
		sum += chances[i&(looks-1)]
	}
	return l.wheel.eps[choose(&chances, len(l.wheel.eps), sum*l.rnd())]
}

func (l *weightedLeastRequest) some() *Endpoint {
	var chances [looks]float64
	var eps [looks]*Endpoint
	var sum float64
	u := l.rnd()
	seed := math.Float64bits(u)
	for i := range eps {
		seed += 0x9e3779b97f4a7c15
		eps[i] = l.wheel.at(l.wheel.place(unit(mix(seed))))
		chances[i] = chance(eps[i], 1)
		sum += chances[i]
	}
	return eps[choose(&chances, looks, sum*unit(mix(seed+0x9e3779b97f4a7c15)))]
}

func chance(e *Endpoint, weight uint64) float64 {
	return float64(weight) / float64(max(e.Active(), 0)+1)
}

// choose is the first whose chance reaches to the place among the n chances laid side by side.
func choose(chances *[looks]float64, n int, place float64) int {
	for i := range n - 1 {
		if place < chances[i] {
			return i
		}
		place -= chances[i]
	}
	return n - 1
}

// mix and unit make more random numbers of one (SplitMix64, Steele, Lea and Flood 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func unit(x uint64) float64 { return float64(x>>11) / (1 << 53) }
