package observe

import (
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
	c.duration[timeBucket(took)].Add(1)
	c.request[sizeBucket(in)].Add(1)
	c.response[sizeBucket(out)].Add(1)
	c.nanoseconds.Add(uint64(took))
	c.bytesIn.Add(uint64(in))
	c.bytesOut.Add(uint64(out))
	if mutual {
		c.mutual.Add(1)
	}
}

// timeBounds and sizeBounds are the bounds in whole nanoseconds and bytes.
var timeBounds, sizeBounds = func() (t, s [len(bounds)]int64) {
	for i, b := range bounds {
		t[i], s[i] = int64(b*1e6), int64(b)
	}
	return t, s
}()

func timeBucket(d time.Duration) int { return bucket(&timeBounds, int64(d)) }
func sizeBucket(n int64) int         { return bucket(&sizeBounds, n) }

// bucket finds the first bound that is not below v.
func bucket(bounds *[buckets - 1]int64, v int64) int {
	lo, hi := 0, buckets-1
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); bounds[mid] < v {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

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
