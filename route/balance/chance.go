package balance

import "math/bits"

// index is the place among n that the number in [0, 1) falls on, and what is left of the number: how far into
// the place it fell, in parts of 1<<64. No number leads out of n, not even NaN.
func index(u float64, n int) (int, uint64) { return share(whole(u), n) }

// whole is the number in [0, 1) in parts of 1<<64. A number of Go's has 53 bits, so the last ones are 0.
func whole(u float64) uint64 { return uint64(int64(u*(1<<63))) << 1 }

func share(w uint64, n int) (int, uint64) {
	hi, lo := bits.Mul64(w, uint64(n))
	return int(hi), lo
}

// mix makes another number of one, to all appearance unrelated (SplitMix64; Steele, Lea and Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
