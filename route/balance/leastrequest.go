package balance

// leastRequest draws two endpoints and takes the one with fewer requests in flight, the first where they have
// the same number.
type leastRequest struct {
	eps []*Endpoint
	st  []*state // beside eps, so that the second look need not go through the endpoint
	rnd func() float64
}

func newLeastRequest(eps []*Endpoint, rnd func() float64) *leastRequest {
	return &leastRequest{eps, states(eps), rnd}
}

func states(eps []*Endpoint) []*state {
	st := make([]*state, len(eps))
	for i, e := range eps {
		st[i] = e.state()
	}
	return st
}

// draw makes both choices of one random number: the second of what the first left over.
func (l *leastRequest) draw() *Endpoint {
	n := len(l.eps)
	u := l.rnd()
	i := index(u, n)
	j := index(u*float64(n)-float64(i), n-1)
	if j >= i {
		j++
	}
	if l.st[j].active.Load() < l.st[i].active.Load() {
		return l.eps[j]
	}
	return l.eps[i]
}
