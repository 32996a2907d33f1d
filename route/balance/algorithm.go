package balance

import (
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
	// Passthrough means that requests go to the address that the caller dialled: nothing is picked.
	Passthrough Algorithm = "PASSTHROUGH"
)

// algorithmOf reads settings as istiod does: LEAST_REQUEST stands for UNSPECIFIED and the old LEAST_CONN, and
// where consistentHash takes the place of simple.
func algorithmOf(lb *networking.LoadBalancerSettings) Algorithm {
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

// NotObeyed lists what the settings ask for and this version does not do, as warnings; paths start at the
// settings. A balancer made of such settings picks as if they did not have it.
func NotObeyed(lb *networking.LoadBalancerSettings) finding.Faults {
	var fs finding.Faults
	warn := func(path, instead string) {
		fs.Warnf(path, finding.CodeNotObeyed, "%s is not obeyed by this version; %s", path, instead)
	}
	if lb.GetConsistentHash() != nil {
		warn("consistentHash", "endpoints are picked by LEAST_REQUEST")
	}
	if lb.GetLocalityLbSetting() != nil {
		warn("localityLbSetting", "all localities are alike")
	}
	if lb.GetZoneAwareLbSetting() != nil {
		warn("zoneAwareLbSetting", "all zones are alike")
	}
	if lb.GetWarmup() != nil {
		warn("warmup", "new endpoints get their full share at once")
	}
	if lb.GetWarmupDurationSecs() != nil { //nolint:staticcheck // old rules have it
		warn("warmupDurationSecs", "new endpoints get their full share at once")
	}
	return fs
}

// lay prepares the algorithm's picker for the endpoints, of which there is at least one.
func (b *Balancer) lay(use []*Endpoint) picker {
	switch {
	case b.algorithm == Passthrough:
		return nil
	case len(use) == 1:
		return single{use[0]}
	case b.algorithm == Random && even(use):
		return &random{use, b.rnd}
	case b.algorithm == Random:
		return &weightedRandom{layOut(use), b.rnd}
	case b.algorithm == RoundRobin && even(use):
		return newRoundRobin(use, &b.turn)
	case b.algorithm == RoundRobin:
		return newWeightedRoundRobin(use, &b.turn)
	case even(use):
		return newLeastRequest(use, b.rnd)
	}
	return newWeightedLeastRequest(use, b.rnd)
}

// single is the picker of one endpoint.
type single struct{ e *Endpoint }

func (s single) draw() *Endpoint { return s.e }

// even tells whether all endpoints weigh the same.
func even(eps []*Endpoint) bool {
	for _, e := range eps[1:] {
		if e.weight() != eps[0].weight() {
			return false
		}
	}
	return true
}
