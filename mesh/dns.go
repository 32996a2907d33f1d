package mesh

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// How long answers of DNS are used. The Go resolver tells no TTL; Envoy's fallback for such is 5 s.
const (
	dnsFresh = 5 * time.Second
	dnsStale = 60 * time.Second // after a failure the last answer serves on, asked for again this often at most
)

// resolver keeps the addresses of one set of names. The first request waits for the first answer; later ones use
// what is known while one lookup at most runs in the background. It is safe for concurrent use.
type resolver struct {
	names  []string
	first  bool // of each name only the address that DNS names first is used
	lookup func(ctx context.Context, host string) ([]string, error)
	life   context.Context   // ends background lookups
	spawn  func(func()) bool // starts them, unless the mesh has ended
	apply  func(map[string][]string)

	next    atomic.Int64 // unix nanoseconds; the next lookup is due then. 0: never looked up
	mu      sync.Mutex
	running chan struct{} // closed when the lookup that runs is done
	err     error         // of the last lookup, if nothing is known
	known   map[string][]string
}

// ready makes sure that something is known, or says why not. The fast path is one atomic load.
func (r *resolver) ready(ctx context.Context) error {
	due := r.next.Load()
	if due > 0 && time.Now().UnixNano() < due {
		return nil
	}
	done := r.start()
	if due > 0 {
		return nil // what is known serves meanwhile
	}
	select {
	case <-done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// start begins a lookup unless one is running.
func (r *resolver) start() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running == nil {
		done := make(chan struct{})
		r.running = done
		if !r.spawn(func() { r.resolve(done) }) {
			r.running, r.err = nil, ErrClosed
			close(done)
			return done
		}
	}
	return r.running
}

func (r *resolver) resolve(done chan struct{}) {
	answers, err := r.lookupAll()
	r.mu.Lock()
	wait := dnsFresh
	if err != nil {
		wait = dnsStale
		if r.known == nil {
			wait = 0
		}
	}
	if len(answers) > 0 {
		merged := make(map[string][]string, len(r.names))
		for _, n := range r.names { // a name that failed keeps its last answer
			if a, ok := answers[n]; ok {
				merged[n] = a
			} else if a, ok := r.known[n]; ok {
				merged[n] = a
			}
		}
		r.known, err = merged, nil
		r.apply(merged)
		wait = max(wait, dnsFresh)
	}
	if r.err = err; r.known != nil {
		r.err = nil
	}
	if wait > 0 {
		r.next.Store(time.Now().Add(wait).UnixNano())
	}
	r.running = nil
	r.mu.Unlock()
	close(done)
}

func (r *resolver) lookupAll() (map[string][]string, error) {
	answers := map[string][]string{}
	var last error
	for _, n := range r.names {
		if _, err := netip.ParseAddr(n); err == nil {
			answers[n] = []string{n}
			continue
		}
		addrs, err := r.lookup(r.life, n)
		if err != nil {
			last = err
			continue
		}
		if r.first {
			answers[n] = addrs[:min(1, len(addrs))]
			continue
		}
		slices.Sort(addrs) // resolvers rotate; endpoints should not
		answers[n] = slices.Compact(addrs)
	}
	return answers, last
}
