package balance

// Shares are the parts of all requests that the endpoints get, where all are as busy, parallel to
// [Balancer.Endpoints]. They sum to 1, or to less where some requests find no endpoint.
func (b *Balancer) Shares() []float64 {
	m := b.now.Load()
	if m == nil {
		return nil
	}
	at := make(map[*Endpoint]int, len(m.all))
	for i, e := range m.all {
		at[e] = i
	}
	out := make([]float64, len(m.all))
	if m.pick != nil {
		m.pick.shares(1, func(e *Endpoint, part float64) { out[at[e]] += part })
	}
	return out
}

func evenShares(eps []*Endpoint, part float64, add func(*Endpoint, float64)) {
	for _, e := range eps {
		add(e, part/float64(len(eps)))
	}
}

func wheelShares(eps []*Endpoint, w *wheel, part float64, add func(*Endpoint, float64)) {
	var before uint64
	for i, end := range w.ends {
		add(eps[i], part*float64(end-before)/float64(w.len()))
		before = end
	}
}

// Status tells how a balancer stands.
type Status struct {
	// Key names what ties requests to endpoints; empty where nothing does.
	Key string
	// Priorities are the levels of endpoints, the first choice first.
	Priorities []Priority
	// Warming is how many endpoints warm up.
	Warming int
}

// Priority is one level of endpoints.
type Priority struct {
	// Load is the share of requests that it gets, in percent.
	Load int
	// Healthy and Endpoints count endpoints.
	Healthy, Endpoints int
	// Panic tells that so few are healthy that all are used.
	Panic bool
}

// Status tells how the balancer stands now.
func (b *Balancer) Status() Status {
	s := Status{Key: b.key.String()}
	m := b.now.Load()
	if m == nil {
		return s
	}
	s.Warming = m.warming
	for i := range m.levels {
		l := &m.levels[i]
		s.Priorities = append(s.Priorities, Priority{l.load, l.healthy, l.total, l.panic})
	}
	return s
}
