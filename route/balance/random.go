package balance

// random picks each endpoint with the same chance.
type random struct {
	eps []*Endpoint
	rnd func() float64
}

func (r *random) draw() *Endpoint {
	i, _ := index(r.rnd(), len(r.eps))
	return r.eps[i]
}

// weightedRandom picks each endpoint with a chance in proportion to its weight.
type weightedRandom struct {
	wheel *wheel
	rnd   func() float64
}

func (r *weightedRandom) draw() *Endpoint { return r.wheel.eps[r.wheel.at(whole(r.rnd()))] }
