package balance

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/validate"
)

// redraws is how often a pick is repeated to avoid an endpoint that was tried before, as Istio sets Envoy's
// host_selection_retry_max_attempts.
const redraws = 5

// Balancer picks endpoints. It is safe for concurrent use; the zero value is not usable. The exported fields are set
// before the first Update.
type Balancer struct {
	// PanicPercent is minHealthPercent of the outlier detection: with less than this share of the endpoints of a
	// priority healthy, all of them are used, unless the priorities together have health enough. 0 means never.
	PanicPercent int
	// Failover tells that there is outlier detection, without which no priority ever fails over to the next: the
	// endpoints of all localities are alike then, unless the settings distribute traffic.
	Failover bool
	// Client is who picks. The zero value lies in no locality.
	Client Client

	algorithm Algorithm
	key       *Key
	size      uint64 // of a ring, at least, or of a table
	locality  *networking.LocalityLoadBalancerSetting
	warmup    *warmup
	rnd       func() float64
	start     time.Time

	now     atomic.Pointer[members]
	mu      sync.Mutex // orders updates and refreshes; no pick waits for it
	all     []*Endpoint
	tiers   []tier
	turns   map[turnKey]*atomic.Uint64 // round robin's places, kept over updates
	factors map[*state]float64         // of endpoints that warm up
	stale   atomic.Bool
}

// turnKey names what is taken in turn: a priority, or a locality of it.
type turnKey struct {
	priority int
	locality string
}

// members is what a pick reads. It is immutable.
type members struct {
	all     []*Endpoint
	use     int // how many may be picked
	levels  []level
	pick    picker        // nil where none may be picked
	fresh   time.Duration // when the weights of endpoints that warm up are worked out anew; 0: never
	warming int
}

// picker draws one endpoint: by a number, if the algorithm goes by that. It is called by many at once.
type picker interface {
	draw(key uint64, attempt int) *Endpoint
	// shares gives each endpoint its part of what the picker is asked for.
	shares(part float64, add func(*Endpoint, float64))
}

// Hints is what a request knows that matters to the pick. The zero value is a first try of a request that nothing
// ties to an endpoint.
type Hints struct {
	// Key is the number that ties the request to an endpoint, if Keyed; see [Key]. Without, [RingHash] and [Maglev]
	// take a random endpoint.
	Key   uint64
	Keyed bool
	// Tried are the endpoints that earlier tries of the request went to. They are avoided with up to five
	// redraws; the sixth draw is taken as it comes.
	Tried []*Endpoint
	// Away are all endpoints that earlier tries went to, one for each, if a retry is to leave their priorities:
	// retryRemoteLocalities. Algorithms that go by a number ignore it.
	Away []*Endpoint
}

// New makes a balancer of the settings; nil means LEAST_REQUEST, as in Istio. rnd gives numbers in [0, 1) and is
// called by many at once; nil means [rand.Float64]. Settings that Istio or Envoy rejects are an error.
func New(lb *networking.LoadBalancerSettings, rnd func() float64) (*Balancer, error) {
	var fs finding.Faults
	validate.LoadBalancer(&fs, "loadBalancer", lb)
	check(&fs, "loadBalancer", lb)
	if err := fs.Err("balance"); err != nil {
		return nil, err
	}
	if rnd == nil {
		rnd = rand.Float64
	}
	a := algorithmOf(lb)
	return &Balancer{
		algorithm: a, key: KeyOf(lb), size: sizeOf(lb), locality: localityOf(lb), warmup: warmupOf(lb, a), rnd: rnd,
		start: time.Now(), turns: map[turnKey]*atomic.Uint64{}, factors: map[*state]float64{},
	}, nil
}

// Algorithm is the algorithm in use.
func (b *Balancer) Algorithm() Algorithm { return b.algorithm }

// Key is what ties requests to endpoints; nil where nothing does.
func (b *Balancer) Key() *Key { return b.key }

// Update replaces the endpoints. Requests that are being sent keep theirs. The slice is not kept.
// Update(nil) lets go of all endpoints.
func (b *Balancer) Update(endpoints []*Endpoint) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append([]*Endpoint(nil), endpoints...)
	b.arrange()
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

// Panic tells whether so few endpoints of some priority are healthy that all of them are used.
func (b *Balancer) Panic() bool {
	m := b.now.Load()
	if m == nil {
		return false
	}
	for i := range m.levels {
		if m.levels[i].panic && m.levels[i].load > 0 {
			return true
		}
	}
	return false
}

// Pick chooses an endpoint for a request. It is nil where there is none to choose from: no endpoint, none
// healthy, or [Passthrough]. Pick does not count the request: see [Endpoint.Begin].
func (b *Balancer) Pick(h Hints) *Endpoint {
	m := b.now.Load()
	if m == nil {
		return nil
	}
	if m.fresh != 0 && time.Since(b.start) >= m.fresh {
		m = b.warm(m)
	}
	if m.pick == nil {
		return nil
	}
	if !h.Keyed && b.algorithm.hashes() {
		h.Key = mix(whole(b.rnd()))
	}
	if len(h.Tried) == 0 && len(h.Away) == 0 {
		return m.pick.draw(h.Key, 0)
	}
	return b.pickAgain(m, &h)
}

// pickAgain chooses an endpoint for a request that was tried before.
func (b *Balancer) pickAgain(m *members, h *Hints) *Endpoint {
	e := b.draw(m, h, 0)
	if len(h.Tried) == 0 || m.use == 1 {
		return e
	}
	for attempt := 1; attempt <= redraws && e != nil && h.tried(e); attempt++ {
		e = b.draw(m, h, attempt)
	}
	return e
}

func (b *Balancer) draw(m *members, h *Hints, attempt int) *Endpoint {
	if len(h.Away) >= pair && !b.algorithm.hashes() {
		if l := m.beyond(h.Away, b.rnd); l != nil && l.pick != nil {
			return l.pick.draw(h.Key, attempt)
		}
	}
	return m.pick.draw(h.Key, attempt)
}

// tried compares what moves, for an endpoint may have been replaced by one that carries on for it.
func (h *Hints) tried(e *Endpoint) bool {
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
	m := &members{all: b.all, levels: make([]level, len(b.tiers)), fresh: b.heat()}
	m.warming = len(b.factors)
	use := make([][]*Endpoint, len(b.tiers))
	for i, t := range b.tiers {
		use[i] = healthy(t.all)
		m.levels[i].healthy, m.levels[i].total = len(use[i]), len(t.all)
	}
	spill(m.levels, b.PanicPercent)
	loads, picks := make([]float64, len(b.tiers)), make([]picker, len(b.tiers))
	for i := range b.tiers {
		t, l := &b.tiers[i], &m.levels[i]
		if l.panic {
			use[i] = t.all
		}
		if b.algorithm != Passthrough {
			l.pick = b.layTier(i, t, use[i], l.panic)
		}
		loads[i], picks[i] = float64(l.load), l.pick
		if l.load > 0 {
			m.use += len(use[i])
		}
	}
	switch {
	case len(m.levels) == 0:
	case b.algorithm.hashes():
		m.pick = newTied(m.levels)
	default:
		m.pick = newSpread(loads, picks, b.rnd)
	}
	b.now.Store(m)
}

func (b *Balancer) layTier(priority int, t *tier, use []*Endpoint, panic bool) picker {
	switch {
	case b.algorithm.hashes():
		return b.layHash(t, panic)
	case t.places != nil && !panic:
		return b.layPlaces(priority, t.places)
	}
	return b.lay(use, b.turnOf(priority, ""))
}

// turnOf is round robin's place. It begins at random, so that clients that start together do not all start with the
// same endpoint.
func (b *Balancer) turnOf(priority int, locality string) *atomic.Uint64 {
	if b.algorithm != RoundRobin {
		return nil
	}
	key := turnKey{priority, locality}
	turn := b.turns[key]
	if turn == nil {
		turn = new(atomic.Uint64)
		turn.Store(uint64(max(0, min(b.rnd(), 1)) * (1 << 32)))
		b.turns[key] = turn
	}
	return turn
}
