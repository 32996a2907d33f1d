package observe

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// bounds are the upper bounds of Istio's buckets, in milliseconds and in bytes alike.
//
// See https://istio.io/latest/docs/reference/config/metrics/ and Envoy's default histogram buckets.
var bounds = [...]float64{0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000,
	1800000, 3600000}

// buckets is how many buckets there are, with that of +Inf.
const buckets = len(bounds) + 1

// cell is where one processor counts one series: three histograms, of which the first also counts the
// requests. It fills whole cache lines.
type cell struct {
	duration, request, response            [buckets]atomic.Uint64
	nanoseconds, bytesIn, bytesOut, mutual atomic.Uint64
}

// add counts one request. Negative sizes and times count as 0.
func (c *cell) add(took time.Duration, in, out int64, mutual bool) {
	took, in, out = max(took, 0), max(in, 0), max(out, 0)
	c.duration[times.bucket(int64(took))].Add(1)
	c.request[sizes.bucket(in)].Add(1)
	c.response[sizes.bucket(out)].Add(1)
	c.nanoseconds.Add(uint64(took))
	c.bytesIn.Add(uint64(in))
	c.bytesOut.Add(uint64(out))
	if mutual {
		c.mutual.Add(1)
	}
}

// scale finds the bucket of a whole number: the bounds in that number's unit and, for each length in bits, the
// first bucket that a number of this length can be in.
type scale struct {
	bounds [buckets]int64
	first  [65]uint8
}

func newScale(unit float64) *scale {
	s := &scale{}
	for i, b := range bounds {
		s.bounds[i] = int64(b * unit)
	}
	s.bounds[len(bounds)] = math.MaxInt64
	for n := 1; n < len(s.first); n++ {
		least := int64(1) << (n - 1) & math.MaxInt64
		for s.bounds[s.first[n]] < least {
			s.first[n]++
		}
	}
	return s
}

// bucket is the index of the first bound that is not below v, which is not negative.
func (s *scale) bucket(v int64) int {
	i := int(s.first[bits.Len64(uint64(v))])
	for s.bounds[i] < v {
		i++
	}
	return i
}

var (
	times = newScale(1e6) // nanoseconds
	sizes = newScale(1)   // bytes
)

// totals is a series added up over its cells.
type totals struct {
	duration, request, response [buckets]uint64
	count                       uint64
	nanoseconds                 uint64
	bytesIn, bytesOut, mutual   uint64
}

func (t *totals) add(c *cell) {
	for i := range buckets {
		n := c.duration[i].Load()
		t.duration[i] += n
		t.count += n
		t.request[i] += c.request[i].Load()
		t.response[i] += c.response[i].Load()
	}
	t.nanoseconds += c.nanoseconds.Load()
	t.bytesIn += c.bytesIn.Load()
	t.bytesOut += c.bytesOut.Load()
	t.mutual += c.mutual.Load()
}
