// Package destination finds the DestinationRule of a service as a client sees it, merges those of one host, and
// works out the policy of one subset and port.
package destination

import (
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/rule"
)

// Input is what DestinationRules are looked up for: one client.
type Input struct {
	Set *rule.Set
	// RootNamespace's rules hold for the whole mesh; empty means istio-system.
	RootNamespace string
	// Domain completes short hosts; empty means cluster.local.
	Domain string
	// Namespace and Labels are the client workload's.
	Namespace string
	Labels    map[string]string
}

// Rules are the DestinationRules as one client sees them. They are immutable and safe for concurrent use.
type Rules struct{}

// Build sorts and merges the set's DestinationRules for one client.
func Build(in Input) *Rules { return &Rules{} }

// Lookup is the rule for the service of that hostname and namespace: of the client's namespace, else of the
// service's, else of the root namespace. Nil: none, all is default. The hostname may be a ServiceEntry's wildcard.
func (r *Rules) Lookup(hostname, serviceNamespace string) *Merged { return nil }

// Merged is one DestinationRule, or several of one host that act as one. Nil is a valid rule that says nothing.
type Merged struct {
	// Host is what the rule is for: a full name or a wildcard.
	Host string
	// Namespace is where the rule stands.
	Namespace string
}

// Policy is the effective policy of one port of the subset, without portLevelSettings: subset over top level,
// each resolved for the port. The empty subset is the traffic that names none. Nil: all is default. It must not
// be changed.
func (m *Merged) Policy(subset string, port int) *networking.TrafficPolicy { return nil }

// Subset is the labels that the endpoints of the subset carry; empty means all endpoints.
func (m *Merged) Subset(name string) (labels map[string]string, ok bool) { return nil, false }

// Subsets are the names of all subsets, in the order of the rules.
func (m *Merged) Subsets() []string { return nil }

// Objects are the documents that the rule is merged from, the first one first.
func (m *Merged) Objects() []*rule.Object { return nil }
