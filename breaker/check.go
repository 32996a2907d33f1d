package breaker

import (
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

func checkPool(s *networking.ConnectionPoolSettings) error { return nil }

func checkOutlier(s *networking.OutlierDetection) error { return nil }

func (s settings) check(path string) error { return nil }

// NotObeyed lists what the policy asks for and a [Breaker] does not do, as warnings; paths start at the policy.
func NotObeyed(policy *networking.TrafficPolicy) finding.Faults {
	return nil
}
