package destination

import (
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/rule"
)

// Merged is one DestinationRule, or several of one host that act as one. It is immutable and safe for concurrent
// use. Nil is valid and says nothing: no policy and no subsets.
type Merged struct {
	// Host is what the rule is for: a full name or a wildcard.
	Host string
	// Namespace is where the rule stands.
	Namespace string

	policy  *networking.TrafficPolicy
	subsets []*networking.Subset
	objects []*rule.Object
}

// Policy is the effective policy of one port of the subset, without portLevelSettings: the subset's over the top
// level's, each resolved for the port first. The empty subset is the traffic that names none; an unknown one has no
// policy of its own. Nil: all is default. The policy is shared and must not be changed.
//
// A port's settings replace those beside them whole, so that what they leave out is default. See
// https://istio.io/latest/docs/reference/config/networking/destination-rule/#TrafficPolicy-PortTrafficPolicy.
func (m *Merged) Policy(subset string, port int) *networking.TrafficPolicy {
	if m == nil {
		return nil
	}
	base, _ := forPort(m.policy, port)
	s := m.subset(subset)
	if s == nil || s.TrafficPolicy == nil {
		return base
	}
	over, replaces := forPort(s.TrafficPolicy, port)
	if base == nil {
		return over
	}
	out := withoutPorts(base)
	if over.ConnectionPool != nil || replaces {
		out.ConnectionPool = over.ConnectionPool
	}
	if over.OutlierDetection != nil || replaces {
		out.OutlierDetection = over.OutlierDetection
	}
	if over.LoadBalancer != nil || replaces {
		out.LoadBalancer = over.LoadBalancer
	}
	if over.Tls != nil || replaces {
		out.Tls = over.Tls
	}
	if over.Tunnel != nil {
		out.Tunnel = over.Tunnel
	}
	if over.ProxyProtocol != nil {
		out.ProxyProtocol = over.ProxyProtocol
	}
	if over.RetryBudget != nil {
		out.RetryBudget = over.RetryBudget
	}
	return out
}

// forPort is the policy with the port's own settings in its place, if it has any: replaced tells so.
func forPort(p *networking.TrafficPolicy, port int) (out *networking.TrafficPolicy, replaced bool) {
	if p == nil || len(p.PortLevelSettings) == 0 {
		return p, false
	}
	for _, s := range p.PortLevelSettings {
		if s.GetPort() != nil && int(s.Port.Number) == port {
			return &networking.TrafficPolicy{
				ConnectionPool: s.ConnectionPool, LoadBalancer: s.LoadBalancer,
				OutlierDetection: s.OutlierDetection, Tls: s.Tls,
			}, true
		}
	}
	return withoutPorts(p), false
}

func withoutPorts(p *networking.TrafficPolicy) *networking.TrafficPolicy {
	return &networking.TrafficPolicy{
		ConnectionPool: p.ConnectionPool, LoadBalancer: p.LoadBalancer, OutlierDetection: p.OutlierDetection, Tls: p.Tls,
		Tunnel: p.Tunnel, ProxyProtocol: p.ProxyProtocol, RetryBudget: p.RetryBudget,
	}
}

func (m *Merged) subset(name string) *networking.Subset {
	if name == "" {
		return nil
	}
	for _, s := range m.subsets {
		if s.GetName() == name {
			return s
		}
	}
	return nil
}

// Subset is the labels that the endpoints of the subset carry; empty means all endpoints.
func (m *Merged) Subset(name string) (labels map[string]string, ok bool) {
	if m == nil {
		return nil, false
	}
	s := m.subset(name)
	return s.GetLabels(), s != nil
}

// Subsets are the names of all subsets, in the order of the rules.
func (m *Merged) Subsets() []string {
	if m == nil {
		return nil
	}
	out := make([]string, 0, len(m.subsets))
	for _, s := range m.subsets {
		out = append(out, s.GetName())
	}
	return out
}

// Objects are the documents that the rule is merged from, the oldest one first.
func (m *Merged) Objects() []*rule.Object {
	if m == nil {
		return nil
	}
	return m.objects
}
