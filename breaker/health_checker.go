package breaker

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Health asks endpoints whether they are well, as a [HealthCheck] says. Give it the endpoints with [Health.Update]
// and have it ask with [Health.Run]; [Health.Failing] tells what came of it. It is safe for concurrent use.
type Health struct {
	spec HealthCheck
	opts HealthOptions

	attempts, successes, failures, networkFailures atomic.Uint64

	mu      sync.Mutex
	hosts   map[string]*checked
	changed chan struct{} // closed and replaced when hosts are others
	running bool
}

// HealthOptions are for [NewHealth]; nil options work.
type HealthOptions struct {
	// OnChange hears of every endpoint that becomes healthy or unhealthy, outside of any lock. It is called by many
	// at once, for each endpoint by one at a time. Nil means nobody listens.
	OnChange func(HealthEvent)
	// Transport carries the checks over HTTP; the host of the URL is the endpoint's address. Nil means
	// [http.DefaultTransport].
	Transport http.RoundTripper
	// Dial opens the connections of checks over TCP. Nil means a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// HealthStatus is the state of a cluster's health checks, under the names of Envoy's statistics.
type HealthStatus struct {
	Attempt        uint64 `json:"attempt"`
	Success        uint64 `json:"success"`
	Failure        uint64 `json:"failure"`
	NetworkFailure uint64 `json:"networkFailure"`
	// Healthy counts the endpoints that are not known to be unhealthy, Unhealthy those that are.
	Healthy   int `json:"healthy"`
	Unhealthy int `json:"unhealthy"`
}

// ErrRunning says that somebody runs the health checks already.
var ErrRunning = errors.New("breaker: the health checks are running")

// NewHealth makes the checks of the settings. Nothing is asked before [Health.Run].
func NewHealth(s *HealthCheck, opts *HealthOptions) (*Health, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	h := &Health{spec: *s, hosts: map[string]*checked{}, changed: make(chan struct{})}
	if opts != nil {
		h.opts = *opts
	}
	p := &h.spec
	p.Timeout = cmp.Or(p.Timeout, time.Second)
	p.Interval = cmp.Or(p.Interval, 3*time.Second)
	p.UnhealthyInterval = cmp.Or(p.UnhealthyInterval, p.Interval)
	p.UnhealthyEdgeInterval = cmp.Or(p.UnhealthyEdgeInterval, p.UnhealthyInterval)
	p.HealthyEdgeInterval = cmp.Or(p.HealthyEdgeInterval, p.Interval)
	p.UnhealthyThreshold = or(p.UnhealthyThreshold, 3)
	p.HealthyThreshold = or(p.HealthyThreshold, 1)
	if p.Rand == nil {
		p.Rand = rand.Float64
	}
	if c := p.HTTPHealthCheck; c != nil {
		own := *c
		own.Method = cmp.Or(own.Method, http.MethodGet)
		if own.ExpectedStatuses == nil {
			own.ExpectedStatuses = []StatusRange{{200, 201}}
		}
		p.HTTPHealthCheck = &own
	}
	return h, nil
}

// Update sets the endpoints. Those that stay keep their state; those that go are forgotten, without an event.
func (h *Health) Update(endpoints []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	hosts := make(map[string]*checked, len(endpoints))
	for _, e := range endpoints {
		c := h.hosts[e]
		if c == nil {
			c = &checked{endpoint: e, health: h, first: true}
		}
		hosts[e] = c
	}
	h.hosts = hosts
	close(h.changed)
	h.changed = make(chan struct{})
}

// Failing tells whether the endpoint is known to be unhealthy.
func (h *Health) Failing(endpoint string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.hosts[endpoint]
	return c != nil && c.failing.Load()
}

// Status is the state of this moment.
func (h *Health) Status() HealthStatus {
	s := HealthStatus{Attempt: h.attempts.Load(), Success: h.successes.Load(), Failure: h.failures.Load(),
		NetworkFailure: h.networkFailures.Load()}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.hosts {
		if c.failing.Load() {
			s.Unhealthy++
		} else {
			s.Healthy++
		}
	}
	return s
}

// Run asks the endpoints until the context ends, and returns its cause; all goroutines of it are gone then. It keeps
// up with [Health.Update]. Nobody knows afterwards how the endpoints are, so that all count as healthy again, with
// no event. One Run is possible at a time; a second one is [ErrRunning].
func (h *Health) Run(ctx context.Context) error {
	h.mu.Lock()
	if h.running {
		h.mu.Unlock()
		return ErrRunning
	}
	h.running = true
	h.mu.Unlock()

	asking := map[*checked]context.CancelFunc{}
	var group sync.WaitGroup
	for {
		hosts, changed := h.now()
		for c, stop := range asking {
			if hosts[c.endpoint] != c {
				stop()
				delete(asking, c)
			}
		}
		for _, e := range sortedKeys(hosts) {
			if c := hosts[e]; asking[c] == nil {
				own, stop := context.WithCancel(ctx)
				asking[c] = stop
				group.Go(func() { c.ask(own) })
			}
		}
		select {
		case <-changed:
			continue
		case <-ctx.Done():
		}
		break
	}
	for _, stop := range asking {
		stop()
	}
	group.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = false
	for _, c := range h.hosts {
		c.forget()
	}
	return context.Cause(ctx)
}

func (h *Health) now() (map[string]*checked, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.hosts, h.changed
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
