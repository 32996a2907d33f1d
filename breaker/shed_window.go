package breaker

import (
	"sync"
	"sync/atomic"
	"time"
)

// window counts what happened in the last seconds: a cell for each second, of which the last one is being filled.
type window struct {
	start  time.Time
	size   int64 // seconds
	levels int
	last   atomic.Pointer[cells]

	mu   sync.Mutex
	kept []*cell // by time; the last one is live
}

// cell is what happened in one second.
type cell struct {
	second              int64
	requests, successes atomic.Int64
	arrivals            []atomic.Int64 // by level, refused ones with them
}

// cells are the window as it is for one second: the sum of what is over, and the live cell.
type cells struct {
	live                *cell
	requests, successes int64
	arrivals            []int64
	oldest              int64 // second of the first request in the window
}

func newWindow(seconds, levels int) *window {
	w := &window{start: time.Now(), size: int64(seconds), levels: levels}
	w.turn(0)
	return w
}

// now is the window of this second.
func (w *window) now() *cells {
	second := int64(time.Since(w.start) / time.Second)
	if s := w.last.Load(); s.live.second >= second {
		return s
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.last.Load(); s.live.second >= second {
		return s
	}
	return w.turn(second)
}

// turn begins a cell and forgets those that are too old. The caller holds mu, or has the window for itself.
func (w *window) turn(second int64) *cells {
	s := &cells{live: &cell{second: second, arrivals: make([]atomic.Int64, w.levels)}, arrivals: make([]int64, w.levels), oldest: second}
	kept := w.kept[:0]
	for _, c := range w.kept {
		if c.second <= second-w.size {
			continue
		}
		kept = append(kept, c)
		n := c.requests.Load()
		if s.requests == 0 && n > 0 {
			s.oldest = c.second
		}
		s.requests += n
		s.successes += c.successes.Load()
		for i := range s.arrivals {
			s.arrivals[i] += c.arrivals[i].Load()
		}
	}
	clear(w.kept[len(kept):])
	kept = append(kept, s.live)
	w.kept = kept
	w.last.Store(s)
	return s
}

// counts are the requests that were let in and have ended, and the successes among them.
func (s *cells) counts() (requests, successes int64) {
	ok := s.successes + s.live.successes.Load() // first, so that there are never more of them
	return s.requests + s.live.requests.Load(), ok
}

// average is how many requests there were a second, since the first one in the window.
func (s *cells) average() int64 {
	n, _ := s.counts()
	return n / max(1, s.live.second-s.oldest)
}

// share is the probability for one level, where p is the one for all requests: the last levels are refused first.
func (s *cells) share(p float64, level int) float64 {
	total, below, own := 0.0, 0.0, 0.0
	for i := range s.arrivals {
		n := float64(s.arrivals[i] + s.live.arrivals[i].Load())
		total += n
		switch {
		case i > level:
			below += n
		case i == level:
			own = n
		}
	}
	if own == 0 {
		return 0
	}
	return max(0, min(1, (p*total-below)/own))
}
