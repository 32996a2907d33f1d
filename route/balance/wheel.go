package balance

import (
	"math/bits"
	"sort"
)

// wheel lays weights side by side on a line, each as a stretch of its length: the stretch at a place is found in
// constant time, but for crowds of tiny weights beside huge ones, where it takes a binary search among the crowd.
type wheel struct {
	ends  []uint64 // where each stretch ends, exclusive; the last is the line's length
	guide []uint32 // for each step of 1<<shift places: the stretch at the step's first place
	shift int
}

// newWheel makes a wheel of at least one weight; none is 0. It has one or two steps for each weight.
func newWheel(weights []uint64) *wheel {
	w := &wheel{ends: make([]uint64, len(weights))}
	var sum uint64
	for i, n := range weights {
		sum += n
		w.ends[i] = sum
	}
	w.shift = max(0, bits.Len64(sum-1)-bits.Len64(uint64(len(weights)))-1)
	w.guide = make([]uint32, (sum-1)>>w.shift+1)
	at := 0
	for step := range w.guide {
		for w.ends[at] <= uint64(step)<<w.shift {
			at++
		}
		w.guide[step] = uint32(at)
	}
	return w
}

// len is the length of the line: the sum of the weights.
func (w *wheel) len() uint64 { return w.ends[len(w.ends)-1] }

// at is the stretch that the part of the line, in parts of 1<<64, ends at.
func (w *wheel) at(part uint64) int {
	place, _ := bits.Mul64(part, w.len())
	return w.find(place)
}

// find is the stretch at a place of the line.
func (w *wheel) find(place uint64) int {
	step := place >> w.shift
	i := int(w.guide[step])
	if place < w.ends[i] {
		return i
	}
	i++
	if place < w.ends[i] {
		return i
	}
	i++
	last := len(w.ends) - 1
	if int(step)+1 < len(w.guide) {
		last = int(w.guide[step+1])
	}
	return i + sort.Search(last-i, func(k int) bool { return place < w.ends[i+k] })
}
