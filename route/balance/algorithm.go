package balance

import (
	"sync/atomic"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// Algorithm names how endpoints are picked, in Istio's words.
type Algorithm string

// The algorithms.
const (
	LeastRequest Algorithm = "LEAST_REQUEST"
	Random       Algorithm = "RANDOM"
	RoundRobin   Algorithm = "ROUND_ROBIN"
	// RingHash and Maglev tie requests to endpoints by a [Key].
	RingHash Algorithm = "RING_HASH"
	Maglev   Algorithm = "MAGLEV"
	// Passthrough means that requests go to the address that the caller dialled: nothing is picked.
	Passthrough Algorithm = "PASSTHROUGH"
)

// algorithmOf reads settings as istiod does: LEAST_REQUEST stands for UNSPECIFIED and the old LEAST_CONN, and
// consistentHash is a ring unless it says Maglev.
func algorithmOf(lb *networking.LoadBalancerSettings) Algorithm {
	if h := lb.GetConsistentHash(); h != nil {
		if h.GetMaglev() != nil {
			return Maglev
		}
		return RingHash
	}
	switch lb.GetSimple() {
	case networking.LoadBalancerSettings_RANDOM:
		return Random
	case networking.LoadBalancerSettings_ROUND_ROBIN:
		return RoundRobin
	case networking.LoadBalancerSettings_PASSTHROUGH:
		return Passthrough
	}
	return LeastRequest
}

// sizeOf is the least size of the ring, or the size of the table.
func sizeOf(lb *networking.LoadBalancerSettings) uint64 {
	h := lb.GetConsistentHash()
	switch {
	case h.GetMaglev() != nil:
		return orDefault(h.GetMaglev().GetTableSize(), defaultTable)
	case h.GetRingHash() != nil:
		return orDefault(h.GetRingHash().GetMinimumRingSize(), defaultRing)
	}
	return orDefault(h.GetMinimumRingSize(), defaultRing) // old rules have it
}

func orDefault(n, otherwise uint64) uint64 {
	if n == 0 {
		return otherwise
	}
	return n
}

// NotObeyed lists what the settings ask for and this version does not do, as warnings; paths start at the
// settings. A balancer made of such settings picks as if all zones were alike.
func NotObeyed(lb *networking.LoadBalancerSettings) finding.Faults {
	var fs finding.Faults
	if lb.GetZoneAwareLbSetting() != nil {
		fs.Warnf("zoneAwareLbSetting", finding.CodeNotObeyed, "zoneAwareLbSetting is not obeyed by this version; all zones are alike")
	}
	return fs
}

// hashes tells whether the algorithm goes by the request's number.
func (a Algorithm) hashes() bool { return a == RingHash || a == Maglev }

// lay prepares the algorithm's picker for endpoints that are alike but for their weights; nil where there are none.
func (b *Balancer) lay(use []*Endpoint, turn *atomic.Uint64) picker {
	switch len(use) {
	case 0:
		return nil
	case 1:
		return single{use[0]}
	}
	weights := b.weigh(use)
	same := even(weights)
	switch {
	case b.algorithm == Random && same:
		return &random{use, b.rnd}
	case b.algorithm == Random:
		return &weightedRandom{use, newWheel(weights), b.rnd}
	case b.algorithm == RoundRobin && same:
		return newRoundRobin(use, turn)
	case b.algorithm == RoundRobin:
		return newWeightedRoundRobin(use, weights, turn)
	case same:
		return newLeastRequest(use, b.rnd)
	}
	return newWeightedLeastRequest(use, weights, b.rnd)
}

// layPlaces prepares a picker for localities that are weighed: each with its weight, or less where too few of its
// endpoints are healthy. See
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/locality_weight.
func (b *Balancer) layPlaces(priority int, places []place) picker {
	weights, parts := make([]float64, len(places)), make([]picker, len(places))
	for i, p := range places {
		use := healthy(p.all)
		weights[i] = float64(p.weight) * min(1, overprovisioning*float64(len(use))/float64(100*len(p.all)))
		parts[i] = b.lay(use, b.turnOf(priority, p.locality))
	}
	return newSpread(weights, parts, b.rnd)
}

// layHash prepares a ring or a table. Localities count with their weights, however many of their endpoints are
// healthy; those that are not stand in no ring.
func (b *Balancer) layHash(t *tier, panic bool) picker {
	var ps []portion
	add := func(all []*Endpoint, part float64) {
		use := all
		if !panic {
			use = healthy(all)
		}
		var sum uint64
		for _, e := range use {
			sum += e.weight()
		}
		for _, e := range use {
			ps = append(ps, portion{e, part * float64(e.weight()) / float64(sum)})
		}
	}
	if t.places == nil {
		add(t.all, 1)
	} else {
		var sum uint64
		for _, p := range t.places {
			sum += p.weight
		}
		for _, p := range t.places {
			add(p.all, float64(p.weight)/float64(sum))
		}
	}
	switch {
	case len(ps) == 0:
		return nil
	case len(ps) == 1:
		return single{ps[0].e}
	case b.algorithm == Maglev:
		return newMaglev(ps, b.size)
	}
	return newRing(ps, b.size)
}

// single is the picker of one endpoint.
type single struct{ e *Endpoint }

func (s single) draw(uint64, int) *Endpoint { return s.e }

func (s single) shares(part float64, add func(*Endpoint, float64)) { add(s.e, part) }

// even tells whether all weights are the same.
func even(weights []uint64) bool {
	for _, w := range weights[1:] {
		if w != weights[0] {
			return false
		}
	}
	return true
}

func healthy(all []*Endpoint) []*Endpoint {
	use := make([]*Endpoint, 0, len(all))
	for _, e := range all {
		if e.Healthy() {
			use = append(use, e)
		}
	}
	return use
}
