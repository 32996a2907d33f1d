package connpool

import (
	"slices"
	"sync"
	"sync/atomic"
)

// free are the connections of HTTP/1 that nobody uses. Taking one and giving it back is without a lock as long as there
// are not more than fit into the slots. The first slots are used first, so that connections that are not needed grow
// old in the last ones.
type free struct {
	slots [32]atomic.Pointer[conn]

	rest atomic.Int64 // how many are in more
	mu   sync.Mutex
	more []*conn
}

func (f *free) push(c *conn) {
	for i := range f.slots {
		if f.slots[i].Load() == nil && f.slots[i].CompareAndSwap(nil, c) {
			return
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.more = append(f.more, c)
	f.rest.Add(1)
}

// pop takes a connection; nil if there is none.
func (f *free) pop() *conn {
	for i := range f.slots {
		if f.slots[i].Load() != nil {
			if c := f.slots[i].Swap(nil); c != nil {
				return c
			}
		}
	}
	if f.rest.Load() == 0 {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.more) - 1
	if n < 0 {
		return nil
	}
	c := f.more[n]
	f.more[n] = nil
	f.more = f.more[:n]
	f.rest.Add(-1)
	return c
}

// remove takes this connection, and tells whether it was there.
func (f *free) remove(c *conn) bool {
	for i := range f.slots {
		if f.slots[i].Load() == c && f.slots[i].CompareAndSwap(c, nil) {
			return true
		}
	}
	if f.rest.Load() == 0 {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.Index(f.more, c)
	if i < 0 {
		return false
	}
	f.more = slices.Delete(f.more, i, i+1)
	f.rest.Add(-1)
	return true
}
