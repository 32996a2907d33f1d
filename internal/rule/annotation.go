package rule

import "slices"

// Annotations of a VirtualService that ask for what Istio's API has no field for. Istio leaves them alone.
const (
	// FaultScope says where the faults of the object's routes are injected: "request", the default, once and before
	// anything else, as in Istio; "attempt", into each attempt, so that timeouts and retries see them.
	FaultScope = "inmesh/fault-scope"
	// HedgeOnPerTryTimeout "true" has perTryTimeout of the object's routes give no attempt up, but begin another one
	// beside it: Envoy's hedge_on_per_try_timeout.
	HedgeOnPerTryTimeout = "inmesh/hedge-on-per-try-timeout"
)

// annotations are ours, with the values that they may have.
var annotations = map[string][]string{
	FaultScope:           {"request", "attempt"},
	HedgeOnPerTryTimeout: {"true", "false"},
}

// AnnotationValues are the values that an annotation of ours may have, on objects of the kind; none where it is not
// one that we know.
func AnnotationValues(kind, name string) []string {
	if kind != "VirtualService" {
		return nil
	}
	return slices.Clone(annotations[name])
}
