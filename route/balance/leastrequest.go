package balance

// leastRequest draws two endpoints and takes the one with fewer requests in flight, the first where they have
// the same number.
type leastRequest struct {
	eps []loaded
	rnd func() float64
}

// loaded is an endpoint with what moves, to save the way through the endpoint.
type loaded struct {
	st *state
	e  *Endpoint
}

func newLeastRequest(eps []*Endpoint, rnd func() float64) *leastRequest {
	return &leastRequest{load(eps), rnd}
}

func load(eps []*Endpoint) []loaded {
	out := make([]loaded, len(eps))
	for i, e := range eps {
		out[i] = loaded{e.state(), e}
	}
	return out
}

// draw makes both choices of one random number: the second of what the first left over.
func (l *leastRequest) draw(uint64, int) *Endpoint {
	n := len(l.eps)
	i, left := index(l.rnd(), n)
	j, _ := share(left, n-1)
	if j >= i {
		j++
	}
	a, b := &l.eps[i], &l.eps[j]
	if b.st.active.Load() < a.st.active.Load() {
		return b.e
	}
	return a.e
}

func (l *leastRequest) shares(part float64, add func(*Endpoint, float64)) {
	for i := range l.eps {
		add(l.eps[i].e, part/float64(len(l.eps)))
	}
}
