package breaker

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations in buckets that are up to 3 % wide. Adding takes no lock. The zero value is empty.
type histogram struct {
	n       atomic.Int64
	buckets [(64 - subBits) << subBits]struct{ count, sum atomic.Int64 }
}

// subBits is how many bits after the first one tell buckets apart.
const subBits = 5

// add counts a duration in, and says how many there are now.
func (h *histogram) add(d time.Duration) int64 {
	d = max(d, 0)
	b := &h.buckets[bucketOf(uint64(d))]
	b.sum.Add(int64(d))
	b.count.Add(1)
	return h.n.Add(1)
}

// bucketOf is v itself as long as it is short, else its exponent and what follows the first bit.
func bucketOf(v uint64) int {
	if v < 1<<subBits {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return shift<<subBits + int(v>>shift)
}

// take empties the histogram and gives its quantile, q in (0, 1]: the mean of the bucket that holds it, which is
// exact where all in it are the same. What is added in the meantime is counted now or the next time.
func (h *histogram) take(q float64) (time.Duration, bool) {
	var counts, sums [len(h.buckets)]int64
	total := int64(0)
	for i := range h.buckets {
		if b := &h.buckets[i]; b.count.Load() != 0 {
			counts[i], sums[i] = b.count.Swap(0), b.sum.Swap(0)
			total += counts[i]
		}
	}
	h.n.Store(0)
	rank := max(1, int64(math.Ceil(q*float64(total))))
	for i, n := range counts {
		if rank -= n; n > 0 && rank <= 0 {
			return time.Duration(sums[i] / n), true
		}
	}
	return 0, false
}
