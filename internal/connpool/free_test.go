package connpool

import (
	"sync"
	"testing"
)

func TestFree(t *testing.T) {
	var f free
	conns := make([]*conn, 3*len(f.slots))
	for i := range conns {
		conns[i] = &conn{}
		f.push(conns[i])
	}
	if !f.remove(conns[5]) || f.remove(conns[5]) || !f.remove(conns[80]) || f.remove(conns[80]) {
		t.Error("each is removed once")
	}
	seen := map[*conn]bool{}
	for c := f.pop(); c != nil; c = f.pop() {
		if seen[c] || c == conns[5] || c == conns[80] {
			t.Fatal("popped twice")
		}
		seen[c] = true
	}
	if len(seen) != len(conns)-2 {
		t.Errorf("%d popped, want %d", len(seen), len(conns)-2)
	}
}

// Nobody gets a connection that another one has.
func TestFreeConcurrently(t *testing.T) {
	var f free
	type owned struct{ mu sync.Mutex }
	owners := map[*conn]*owned{}
	for range len(f.slots) + 4 {
		c := &conn{}
		owners[c] = &owned{}
		f.push(c)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				c := f.pop()
				if c == nil {
					continue
				}
				if !owners[c].mu.TryLock() {
					t.Error("two have it")
					return
				}
				owners[c].mu.Unlock()
				f.push(c)
			}
		})
	}
	wg.Wait()
	n := 0
	for f.pop() != nil {
		n++
	}
	if n != len(owners) {
		t.Errorf("%d are left of %d", n, len(owners))
	}
}
