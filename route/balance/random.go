package balance

// random picks each endpoint with the same chance.
type random struct {
	eps []*Endpoint
	rnd func() float64
}

func (r *random) draw(uint64, int) *Endpoint {
	i, _ := index(r.rnd(), len(r.eps))
	return r.eps[i]
}

func (r *random) shares(part float64, add func(*Endpoint, float64)) { evenShares(r.eps, part, add) }

// weightedRandom picks each endpoint with a chance in proportion to its weight.
type weightedRandom struct {
	eps   []*Endpoint
	wheel *wheel
	rnd   func() float64
}

func (r *weightedRandom) draw(uint64, int) *Endpoint { return r.eps[r.wheel.at(whole(r.rnd()))] }

func (r *weightedRandom) shares(part float64, add func(*Endpoint, float64)) {
	wheelShares(r.eps, r.wheel, part, add)
}
