package breaker

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/validate"
)

// Breaker puts a client's requests under a traffic policy's connectionPool and outlierDetection, with no mesh.
// It is safe for concurrent use.
//
// Each URL.Host is a cluster of its own with one endpoint, which has this in its wake:
//   - Limits count for each host and port.
//   - An ejected host is answered for with [ErrEjected].
//   - A host is ejected only where maxEjectionPercent is 100: less than one endpoint is none. The default is 10.
//   - Every request is taken for HTTP/1: maxConnections bounds HTTP/2 requests as well.
//
// portLevelSettings replace the policy for the URL's port. See [NotObeyed] for what else the policy may hold.
type Breaker struct {
	// OnEject and OnReturn hear of hosts that are ejected and return; see [OutlierOptions]. Nil means nobody
	// listens. Set them before the first request.
	OnEject, OnReturn func(Event)

	policy settings
	ports  map[string]settings

	hosts atomic.Pointer[map[string]*site] // copied to change
	mu    sync.Mutex
	done  bool
}

// settings are the parts of a policy that this package acts on.
type settings struct {
	pool    *networking.ConnectionPoolSettings
	outlier *networking.OutlierDetection
}

// site is what the breaker keeps of one URL.Host.
type site struct {
	pool    *Pool
	lane    Lane
	outlier *Outlier
	host    *Host
}

// New makes a breaker of the policy; nil limits and ejects nothing.
func New(policy *networking.TrafficPolicy) (*Breaker, error) {
	if err := check(policy, "", validate.TrafficPolicy); err != nil {
		return nil, err
	}
	b := &Breaker{
		policy: settings{policy.GetConnectionPool(), policy.GetOutlierDetection()},
		ports:  map[string]settings{},
	}
	for _, p := range policy.GetPortLevelSettings() {
		b.ports[strconv.Itoa(int(p.GetPort().GetNumber()))] = settings{p.GetConnectionPool(), p.GetOutlierDetection()}
	}
	return b, nil
}

// Transport is next with the policy before it; a nil next is [http.DefaultTransport]. A refused request is an
// error that is [ErrOverflow] or [ErrEjected] and tells the status and flag of a sidecar's answer.
func (b *Breaker) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{b, next}
}

// Close stops the timers of hosts that wait for their return. Requests in flight go on.
func (b *Breaker) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = true
	for _, s := range b.all() {
		s.outlier.Close()
	}
}

func (b *Breaker) all() map[string]*site {
	if m := b.hosts.Load(); m != nil {
		return *m
	}
	return nil
}
