package balance

import (
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// maglev ties numbers to endpoints by a table, whose size is a prime: each endpoint has an order of its own in which
// it would like the places, and they take turns, the heavier ones more often. The shares are more even than a ring's
// and a pick is one look; in return, a few more numbers change hands when an endpoint comes or goes. The table is the
// same as Envoy's. See https://research.google/pubs/maglev-a-fast-and-reliable-software-network-load-balancer/.
type maglev struct {
	table []uint32
	eps   []*Endpoint
}

// newMaglev makes the table of one or more endpoints.
func newMaglev(ps []portion, size uint64) *maglev {
	ps = slices.Clone(ps)
	slices.SortStableFunc(ps, func(a, b portion) int { return strings.Compare(a.e.Address, b.e.Address) })
	m := &maglev{table: make([]uint32, size), eps: make([]*Endpoint, len(ps))}
	type wish struct{ next, skip uint64 }
	wishes := make([]wish, len(ps))
	targets := make([]float64, len(ps))
	most := 0.0
	var d xxhash.Digest
	for i, p := range ps {
		m.eps[i] = p.e
		most = max(most, p.part)
		d.ResetWithSeed(1)
		_, _ = d.WriteString(p.e.Address) // never fails
		wishes[i] = wish{xxhash.Sum64String(p.e.Address) % size, d.Sum64()%max(size-1, 1) + 1}
	}
	for turn, taken := 1.0, uint64(0); taken < size; turn++ {
		for i, p := range ps {
			if turn*p.part < targets[i] {
				continue
			}
			targets[i] += most
			w := &wishes[i]
			for m.table[w.next] != 0 {
				if w.next += w.skip; w.next >= size {
					w.next -= size
				}
			}
			m.table[w.next] = uint32(i) + 1 // 0 is free
			if taken++; taken == size {
				break
			}
		}
	}
	for i := range m.table {
		m.table[i]--
	}
	return m
}

// draw looks the number up; further attempts look for another number.
func (m *maglev) draw(n uint64, attempt int) *Endpoint {
	if attempt > 0 {
		n ^= -uint64(attempt)
	}
	return m.eps[m.table[n%uint64(len(m.table))]]
}

func (m *maglev) shares(part float64, add func(*Endpoint, float64)) {
	one := part / float64(len(m.table))
	for _, i := range m.table {
		add(m.eps[i], one)
	}
}
