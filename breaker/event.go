package breaker

import "time"

// Cause says what an endpoint was ejected for, in the words of Envoy's ejection events.
type Cause string

// The causes.
const (
	Consecutive5xx         Cause = "CONSECUTIVE_5XX"
	ConsecutiveGateway     Cause = "CONSECUTIVE_GATEWAY_FAILURE"
	ConsecutiveLocalOrigin Cause = "CONSECUTIVE_LOCAL_ORIGIN_FAILURE"
)

// Event is one ejection of an endpoint, or its return.
type Event struct {
	Endpoint string    `json:"endpoint"`
	Cause    Cause     `json:"cause"`
	Time     time.Time `json:"time"`
	// Returned is false for an ejection and true for the return from it.
	Returned bool `json:"returned"`
	// Duration of an ejection is how long it will last at least; of a return, how long it lasted.
	Duration time.Duration `json:"duration"`
	// Ejections counts this endpoint's ejections so far.
	Ejections int `json:"ejections"`
}
