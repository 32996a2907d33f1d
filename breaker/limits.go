package breaker

import (
	"math"

	networking "istio.io/api/networking/v1"
)

// unlimited is Istio's default for every limit.
const unlimited = math.MaxUint32

// Limits are the limits of a pool as they stand; 2^32-1 means none.
type Limits struct {
	MaxConnections     int64 `json:"maxConnections"`
	MaxPendingRequests int64 `json:"maxPendingRequests"`
	MaxRequests        int64 `json:"maxRequests"`
	MaxRetries         int64 `json:"maxRetries"`
}

// limitsOf reads the settings: 0 and absent mean no limit.
func limitsOf(c *networking.ConnectionPoolSettings) Limits {
	return Limits{
		MaxConnections:     limit(c.GetTcp().GetMaxConnections()),
		MaxPendingRequests: limit(c.GetHttp().GetHttp1MaxPendingRequests()),
		MaxRequests:        limit(c.GetHttp().GetHttp2MaxRequests()),
		MaxRetries:         limit(c.GetHttp().GetMaxRetries()),
	}
}

func limit(n int32) int64 {
	if n <= 0 {
		return unlimited
	}
	return int64(n)
}
