package balance

import (
	"math"
	"math/bits"
	"sync/atomic"
)

// roundRobin takes the endpoints in turn.
type roundRobin struct {
	eps  []*Endpoint
	step uint64 // one endpoint in parts of 1<<64, rounded up
	turn *atomic.Uint64
}

func newRoundRobin(eps []*Endpoint, turn *atomic.Uint64) *roundRobin {
	return &roundRobin{eps, stepOf(1, uint64(len(eps))), turn}
}

func (r *roundRobin) shares(part float64, add func(*Endpoint, float64)) {
	evenShares(r.eps, part, add)
}

func (r *roundRobin) draw(uint64, int) *Endpoint {
	i, _ := share(uint64(uint32(r.turn.Add(1)))*r.step, len(r.eps))
	return r.eps[i]
}

// weightedRoundRobin takes the endpoints in turn, each as often as its weight, evenly spread: it walks the
// wheel in strides of about the golden section of its length. As the stride has no divisor in common with the
// length, each place is visited once in a round, whatever the weights; and as it is near the golden section,
// the visits to one endpoint lie about as far apart as they can. Envoy's schedule for the same end, earliest
// deadline first, needs a heap and a lock.
type weightedRoundRobin struct {
	eps    []*Endpoint
	wheel  *wheel
	stride uint64
	step   uint64 // the stride in parts of 1<<64, rounded up; 0 where the wheel is too long for that
	turn   *atomic.Uint64
}

func newWeightedRoundRobin(eps []*Endpoint, weights []uint64, turn *atomic.Uint64) *weightedRoundRobin {
	w := newWheel(weights)
	n := w.len()
	stride := max(1, uint64(math.Round(float64(n)/math.Phi)))
	for gcd(stride, n) != 1 {
		stride++ // ends below n at the latest, for n-1 has no divisor in common with n
	}
	r := &weightedRoundRobin{eps: eps, wheel: w, stride: stride, turn: turn}
	if n <= math.MaxUint32 {
		r.step = stepOf(stride, n)
	}
	return r
}

func (r *weightedRoundRobin) shares(part float64, add func(*Endpoint, float64)) {
	wheelShares(r.eps, r.wheel, part, add)
}

func (r *weightedRoundRobin) draw(uint64, int) *Endpoint {
	turn := r.turn.Add(1)
	if r.step != 0 {
		return r.eps[r.wheel.at(uint64(uint32(turn))*r.step)]
	}
	n := r.wheel.len()
	hi, lo := bits.Mul64(turn%n, r.stride)
	return r.eps[r.wheel.find(bits.Rem64(hi, lo, n))]
}

// stepOf is stride/n in parts of 1<<64, rounded up. A multiple of it, where it overflows, is what a division
// by n would leave over: exact for numbers of 32 bits, and much quicker than a division (Lemire, Kaser and
// Kurz, "Faster remainder by direct computation", 2019).
func stepOf(stride, n uint64) uint64 {
	quo, rem := bits.Div64(stride%n, 0, n)
	if rem != 0 {
		quo++
	}
	return quo
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
