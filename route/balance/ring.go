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
	places []spot   // in order
	guide  []uint32 // for each step of 1<<shift: the first place in the step or after it
	shift  int
}

// spot is a place of a ring.
type spot struct {
	at uint64
	e  *Endpoint
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
	scale := scaleOf(least, size)
	places := make([]spot, 0, int(math.Ceil(scale))+1)
	var key []byte
	target := 0.0
	for _, p := range ps {
		key = append(append(key[:0], p.e.Address...), '_')
		stem := len(key)
		target += scale * p.part
		for n := uint64(0); float64(len(places)) < target; n++ {
			key = strconv.AppendUint(key[:stem], n, 10)
			places = append(places, spot{xxhash.Sum64(key), p.e})
		}
	}
	return order(places)
}

// scaleOf is how many places a ring has, by the part of its smallest endpoint.
func scaleOf(least float64, size uint64) float64 {
	return min(math.Ceil(least*float64(size))/least, maxRing)
}

// order sorts the places and lays the guide, of two to four steps for each place. As a hash spreads the places evenly,
// there are few in a step: to sort them takes linear time, and a search looks at one or two, however many there are.
func order(places []spot) *ring {
	r := &ring{places: make([]spot, len(places)), shift: 63 - bits.Len(uint(len(places)))}
	r.guide = make([]uint32, 1<<(64-r.shift)+1)
	for _, p := range places {
		r.guide[p.at>>r.shift+1]++
	}
	for i := 1; i < len(r.guide); i++ {
		r.guide[i] += r.guide[i-1]
	}
	for _, p := range places {
		i := &r.guide[p.at>>r.shift]
		r.places[*i] = p
		*i++
	}
	// Each step now tells where the next one begins.
	copy(r.guide[1:], r.guide)
	r.guide[0] = 0
	for i := range len(r.guide) - 1 {
		if in := r.places[r.guide[i]:r.guide[i+1]]; len(in) > 1 {
			slices.SortStableFunc(in, func(a, b spot) int { return cmp.Compare(a.at, b.at) })
		}
	}
	return r
}

// near is how many places are looked at one after another before the search halves what is left.
const near = 4

// find is the first place at or after the number; after the last comes the first.
func (r *ring) find(n uint64) int {
	step := n >> r.shift
	i, end := int(r.guide[step]), int(r.guide[step+1])
	for stop := min(end, i+near); i < stop; i++ {
		if r.places[i].at >= n {
			return i
		}
	}
	if i < end {
		i += sort.Search(end-i, func(k int) bool { return r.places[i+k].at >= n })
	}
	if i == len(r.places) {
		return 0
	}
	return i
}

// draw finds the number's endpoint; further attempts walk on along the ring.
func (r *ring) draw(n uint64, attempt int) *Endpoint {
	i := r.find(n)
	if attempt > 0 {
		i = (i + attempt) % len(r.places)
	}
	return r.places[i].e
}

func (r *ring) shares(part float64, add func(*Endpoint, float64)) {
	before := r.places[len(r.places)-1].at
	for _, p := range r.places {
		arc := p.at - before // wraps around at the first
		if len(r.places) == 1 {
			arc = math.MaxUint64
		}
		add(p.e, part*float64(arc)/(1<<64))
		before = p.at
	}
}
