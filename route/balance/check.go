package balance

import (
	"math"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// check refuses what Istio lets through and Envoy would refuse, or what no number can be made of.
func check(fs *finding.Faults, path string, lb *networking.LoadBalancerSettings) {
	h := lb.GetConsistentHash()
	for _, ring := range []struct {
		name string
		size uint64
	}{
		{"consistentHash.ringHash.minimumRingSize", h.GetRingHash().GetMinimumRingSize()},
		{"consistentHash.minimumRingSize", h.GetMinimumRingSize()}, // old rules have it
	} {
		if ring.size > maxRing {
			fs.Errorf(finding.Join(path, ring.name), "%d is more than %d, which Envoy has for a limit", ring.size, maxRing)
		}
	}
	if a := lb.GetWarmup().GetAggression(); a != nil && math.IsInf(a.GetValue(), 0) {
		fs.Errorf(finding.Join(path, "warmup.aggression"), "%v is not a number", a.GetValue())
	}
}
