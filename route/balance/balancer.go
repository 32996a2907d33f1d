package balance

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/validate"
)

// redraws is how often a pick is repeated to avoid an endpoint that was tried before, as Istio sets Envoy's
// host_selection_retry_max_attempts.
const redraws = 5

// Balancer picks endpoints. It is safe for concurrent use; the zero value is not usable.
type Balancer struct {
	// PanicPercent is minHealthPercent of the outlier detection: with less than this share of endpoints
	// healthy, all are used. 0 means never. Set it before the first Update.
	PanicPercent int

	algorithm Algorithm
	rnd       func() float64
	turn      atomic.Uint64 // round robin's place, kept over updates

	now   atomic.Pointer[members]
	mu    sync.Mutex // orders updates and refreshes; no pick takes it
	all   []*Endpoint
	stale atomic.Bool
}

// members is what a pick reads. It is immutable.
type members struct {
	all   []*Endpoint
	use   int // how many may be picked
	panic bool
	pick  picker // nil where none may be picked
}

// picker draws one endpoint. It is called by many at once.
type picker interface {
	draw() *Endpoint
}

// Hints is what a request knows that matters to the pick. The zero value is a first try.
type Hints struct {
	// Tried are the endpoints that earlier tries of the request went to. They are avoided with up to five
	// redraws; the sixth draw is taken as it comes.
	Tried []*Endpoint
}

// New makes a balancer of the settings; nil means LEAST_REQUEST, as in Istio. Where the settings hold what
// [NotObeyed] lists, the algorithm is the one that Istio would use without it. rnd gives numbers in [0, 1)
// and is called by many at once; nil means [rand.Float64]. Settings that Istio rejects are an error.
func New(lb *networking.LoadBalancerSettings, rnd func() float64) (*Balancer, error) {
	var fs finding.Faults
	validate.LoadBalancer(&fs, "loadBalancer", lb)
	if err := fs.Err("balance"); err != nil {
		return nil, err
	}
	if rnd == nil {
		rnd = rand.Float64
	}
	b := &Balancer{algorithm: algorithmOf(lb), rnd: rnd}
	b.turn.Store(uint64(rnd() * (1 << 32))) // clients that start together do not all start with the same endpoint
	return b, nil
}

// Algorithm is the algorithm in use.
func (b *Balancer) Algorithm() Algorithm { return b.algorithm }

// Update replaces the endpoints. Requests that are being sent keep theirs. The slice is not kept.
// Update(nil) lets go of all endpoints.
func (b *Balancer) Update(endpoints []*Endpoint) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append([]*Endpoint(nil), endpoints...)
	for _, e := range b.all {
		e.state().owner.Store(b) // before the flags are read, so that no change of them is missed
	}
	b.build()
}

// Endpoints are all endpoints, healthy or not, as Update was given them. The slice is the caller's to read only.
func (b *Balancer) Endpoints() []*Endpoint {
	if m := b.now.Load(); m != nil {
		return m.all
	}
	return nil
}

// Panic tells whether so few endpoints are healthy that all are used.
func (b *Balancer) Panic() bool {
	m := b.now.Load()
	return m != nil && m.panic
}

// Pick chooses an endpoint for a request. It is nil where there is none to choose from: no endpoint, none
// healthy, or [Passthrough]. Pick does not count the request: see [Endpoint.Begin].
func (b *Balancer) Pick(h Hints) *Endpoint {
	m := b.now.Load()
	if m == nil || m.pick == nil {
		return nil
	}
	e := m.pick.draw()
	if len(h.Tried) == 0 || m.use == 1 {
		return e
	}
	for range redraws {
		if !h.tried(e) {
			break
		}
		e = m.pick.draw()
	}
	return e
}

// tried compares what moves, for an endpoint may have been replaced by one that carries on for it.
func (h Hints) tried(e *Endpoint) bool {
	for _, t := range h.Tried {
		if t == e || t.state() == e.state() {
			return true
		}
	}
	return false
}

// refresh sorts out the healthy endpoints anew. Refreshes that come while one waits are done with it.
func (b *Balancer) refresh() {
	b.stale.Store(true)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stale.Swap(false) {
		b.build()
	}
}

// build lays out the members. The caller holds mu.
func (b *Balancer) build() {
	m := &members{all: b.all}
	use := make([]*Endpoint, 0, len(b.all))
	for _, e := range b.all {
		if e.Healthy() {
			use = append(use, e)
		}
	}
	if 100*len(use) < b.PanicPercent*len(b.all) {
		use, m.panic = b.all, true
	}
	m.use = len(use)
	if len(use) > 0 {
		m.pick = b.lay(use)
	}
	b.now.Store(m)
}
