package balance

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"sort"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// Sizes of rings and tables, as in Envoy.
const (
	defaultRing  = 1024
	maxRing      = 8 << 20
	defaultTable = 65_537
)

// ring ties numbers to endpoints: each endpoint stands at many places of a circle, in proportion to its weight, and a
// number belongs to the endpoint at the next place. When an endpoint comes or goes, only the numbers before its own
// places change hands. The places are those of Envoy: xxHash64 of "10.0.0.1:80_0", "10.0.0.1:80_1" and so on.
type ring struct {
	at    []uint64 // the places, in order
	owner []uint32 // the endpoint at each
	guide []uint32 // for each step of 1<<shift: the first place in the step or after it
	shift int
	eps   []*Endpoint
}

// portion is an endpoint with its part of all requests; the parts sum to 1 at most.
type portion struct {
	e    *Endpoint
	part float64
}

// newRing makes a ring of one or more endpoints. The smallest endpoint gets a whole number of places, and together
// they have at least size, but never more than 8 Mi.
func newRing(ps []portion, size uint64) *ring {
	least := 1.0
	for _, p := range ps {
		least = min(least, p.part)
	}
	scale := min(math.Ceil(least*float64(size))/least, maxRing)
	type place struct {
		at    uint64
		owner uint32
	}
	places := make([]place, 0, int(math.Ceil(scale))+1)
	r := &ring{eps: make([]*Endpoint, len(ps))}
	var key []byte
	target := 0.0
	for i, p := range ps {
		r.eps[i] = p.e
		key = append(append(key[:0], p.e.Address...), '_')
		stem := len(key)
		target += scale * p.part
		for n := uint64(0); float64(len(places)) < target; n++ {
			key = strconv.AppendUint(key[:stem], n, 10)
			places = append(places, place{xxhash.Sum64(key), uint32(i)})
		}
	}
	slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(a.at, b.at) })
	r.at, r.owner = make([]uint64, len(places)), make([]uint32, len(places))
	for i, p := range places {
		r.at[i], r.owner[i] = p.at, p.owner
	}
	r.index()
	return r
}

// index lays the guide, of one or two steps for each place: as the places are spread evenly, a search looks at one or
// two of them, however many there are.
func (r *ring) index() {
	r.shift = 64 - bits.Len(uint(len(r.at)))
	r.guide = make([]uint32, 1<<(64-r.shift)+1)
	i := 0
	for step := range r.guide {
		for i < len(r.at) && r.at[i]>>r.shift < uint64(step) {
			i++
		}
		r.guide[step] = uint32(i)
	}
}

// near is how many places are looked at one after another before the search halves what is left.
const near = 4

// find is the first place at or after the number; after the last comes the first.
func (r *ring) find(n uint64) int {
	step := n >> r.shift
	i, end := int(r.guide[step]), int(r.guide[step+1])
	for stop := min(end, i+near); i < stop; i++ {
		if r.at[i] >= n {
			return i
		}
	}
	if i < end {
		i += sort.Search(end-i, func(k int) bool { return r.at[i+k] >= n })
	}
	if i == len(r.at) {
		return 0
	}
	return i
}

// draw finds the number's endpoint; further attempts walk on along the ring.
func (r *ring) draw(n uint64, attempt int) *Endpoint {
	i := r.find(n)
	if attempt > 0 {
		i = (i + attempt) % len(r.at)
	}
	return r.eps[r.owner[i]]
}

func (r *ring) shares(part float64, add func(*Endpoint, float64)) {
	before := r.at[len(r.at)-1]
	for i, at := range r.at {
		arc := at - before // wraps around at the first
		if len(r.at) == 1 {
			arc = math.MaxUint64
		}
		add(r.eps[r.owner[i]], part*float64(arc)/(1<<64))
		before = at
	}
}
