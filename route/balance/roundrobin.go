package balance

import (
	"math"
	"math/bits"
	"sync/atomic"
)

// roundRobin takes the endpoints in turn.
type roundRobin struct {
	eps  []*Endpoint
	turn *atomic.Uint64
}

func (r *roundRobin) draw() *Endpoint { return r.eps[r.turn.Add(1)%uint64(len(r.eps))] }

// weightedRoundRobin takes the endpoints in turn, each as often as its weight, evenly spread: it walks the
// wheel in strides of about the golden section of its length. As the stride has no divisor in common with the
// length, each place is visited once in a round, whatever the weights; and as it is near the golden section,
// the visits to one endpoint lie about as far apart as they can. Envoy's schedule for the same end, earliest
// deadline first, needs a heap and a lock.
type weightedRoundRobin struct {
	wheel  *wheel
	stride uint64
	turn   *atomic.Uint64
}

func newWeightedRoundRobin(eps []*Endpoint, turn *atomic.Uint64) *weightedRoundRobin {
	w := layOut(eps)
	n := w.len()
	stride := max(1, uint64(math.Round(float64(n)/math.Phi)))
	for gcd(stride, n) != 1 {
		stride++ // ends at the latest one below n, which it is prime to
	}
	return &weightedRoundRobin{w, stride, turn}
}

func (r *weightedRoundRobin) draw() *Endpoint {
	n := r.wheel.len()
	hi, lo := bits.Mul64(r.turn.Add(1)%n, r.stride)
	if hi == 0 {
		return r.wheel.at(lo % n)
	}
	return r.wheel.at(bits.Rem64(hi, lo, n))
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
