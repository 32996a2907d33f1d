package balance

// few is how many endpoints are all looked at in a weighted pick by least request.
const few = 8

// weightedLeastRequest picks an endpoint with a chance in proportion to weight/(active+1), as Envoy weighs
// endpoints of unequal weight. Of up to eight endpoints that is exact. Of more, two are drawn by their weights
// and one of these is taken in proportion to 1/(active+1): the same where all are as busy, and leaning the
// same way where they are not, with no heap to keep and no lock.
type weightedLeastRequest struct {
	eps   []loaded
	wheel *wheel
	rnd   func() float64
}

func newWeightedLeastRequest(eps []*Endpoint, weights []uint64, rnd func() float64) *weightedLeastRequest {
	return &weightedLeastRequest{load(eps), newWheel(weights), rnd}
}

func (l *weightedLeastRequest) shares(part float64, add func(*Endpoint, float64)) {
	var before uint64
	for i, end := range l.wheel.ends {
		add(l.eps[i].e, part*float64(end-before)/float64(l.wheel.len()))
		before = end
	}
}

func (l *weightedLeastRequest) draw(uint64, int) *Endpoint {
	if len(l.eps) <= few {
		return l.ofAll()
	}
	return l.ofTwo()
}

func (l *weightedLeastRequest) ofAll() *Endpoint {
	var ends [few]float64 // the chances side by side
	var sum float64
	var before uint64
	for i := range l.eps {
		end := l.wheel.ends[i]
		sum += float64(end-before) / busy(&l.eps[i])
		ends[i&(few-1)], before = sum, end
	}
	place := sum * l.rnd()
	for i := range l.eps {
		if place < ends[i&(few-1)] {
			return l.eps[i].e
		}
	}
	return l.eps[0].e
}

func (l *weightedLeastRequest) ofTwo() *Endpoint {
	w := whole(l.rnd())
	second := mix(w)
	a, b := &l.eps[l.wheel.at(w)], &l.eps[l.wheel.at(second)]
	p, q := busy(a), busy(b)
	if float64(mix(second)>>11)/(1<<53)*(p+q) < q {
		return a.e
	}
	return b.e
}

// busy is active+1.
func busy(l *loaded) float64 { return float64(max(l.st.active.Load(), 0) + 1) }
