package balance

import "maps"

// Carry prepares an update: it gives the new endpoints, in their order, with what moves of the old ones. An
// endpoint that did not change is the old one; one that changed but for its address takes over the old one's
// requests in flight, its health and, where it has none of its own, its Extra. The new endpoints must not be
// in use yet.
func Carry(old, new []*Endpoint) []*Endpoint {
	byAddress := make(map[string][]*Endpoint, len(old))
	for _, e := range old {
		byAddress[e.Address] = append(byAddress[e.Address], e)
	}
	out := make([]*Endpoint, len(new))
	for i, e := range new {
		out[i] = e
		before := byAddress[e.Address]
		if len(before) == 0 {
			continue
		}
		kept := false
		for _, b := range before {
			if same(b, e) {
				out[i], kept = b, true
				break
			}
		}
		if !kept && e != before[0] {
			e.shared = before[0].state()
			if e.Extra == nil {
				e.Extra = before[0].Extra
			}
		}
	}
	return out
}

// same compares all that a new endpoint can say anew; Extra is not compared, it may be of any type.
func same(a, b *Endpoint) bool {
	return a.Address == b.Address && a.Locality == b.Locality && a.weight() == b.weight() &&
		a.ServiceAccount == b.ServiceAccount && a.Network == b.Network &&
		a.Workload == b.Workload && a.Namespace == b.Namespace && maps.Equal(a.Labels, b.Labels)
}
