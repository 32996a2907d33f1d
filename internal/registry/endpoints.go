package registry

import "slices"

// chunk holds the endpoints of so many services, so that a registry in which those of one service differ copies
// little and shares the rest.
type chunk [chunkSize][][]Endpoint

const chunkSize = 64

func chunked(sets [][][]Endpoint) []*chunk {
	var out []*chunk
	for part := range slices.Chunk(sets, chunkSize) {
		c := new(chunk)
		copy(c[:], part)
		out = append(out, c)
	}
	return out
}

// Endpoints are the endpoints behind one port of the service, always in the same order; the slice must not be
// changed. Nil where the service lacks the port, has no endpoints, or is of resolution Passthrough.
func (r *Registry) Endpoints(s *Service, port int) []Endpoint {
	if s == nil || s.index >= len(r.services) || r.services[s.index] != s {
		return nil
	}
	sets := r.chunks[s.index/chunkSize][s.index%chunkSize]
	for i := range s.Ports {
		if s.Ports[i].Number == port && i < len(sets) {
			return sets[i]
		}
	}
	return nil
}

// WithEndpoints is a copy of the registry in which the port of the service of that hostname and namespace has
// these endpoints; everything else is shared, and a service found in one registry is good for the other. Port 0
// means every port. Where there is no such service or port, it is the registry itself.
func (r *Registry) WithEndpoints(hostname, namespace string, port int, endpoints []Endpoint) *Registry {
	s := r.byKey[key{hostname, namespace}]
	if s == nil {
		return r
	}
	at := s.index / chunkSize
	c := *r.chunks[at]
	sets := slices.Clone(c[s.index%chunkSize])
	changed := false
	for i := range s.Ports {
		if port == 0 || s.Ports[i].Number == port {
			sets[i], changed = slices.Clone(endpoints), true
		}
	}
	if !changed {
		return r
	}
	c[s.index%chunkSize] = sets
	out := *r
	out.chunks = slices.Clone(r.chunks)
	out.chunks[at] = &c
	return &out
}

// Subset are the endpoints that carry all the labels, in order: the endpoints themselves where there are no labels.
func Subset(endpoints []Endpoint, labels map[string]string) []Endpoint {
	if len(labels) == 0 {
		return endpoints
	}
	var out []Endpoint
	for _, e := range endpoints {
		if Carries(e.Labels, labels) {
			out = append(out, e)
		}
	}
	return out
}
