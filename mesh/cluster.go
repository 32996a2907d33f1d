package mesh

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/internal/answer"
	"github.com/go-inmesh/inmesh/internal/compile"
	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/observe"
	"github.com/go-inmesh/inmesh/route"
	"github.com/go-inmesh/inmesh/route/balance"
)

// cluster is a destination as it lives: its endpoints, limits, ejections and connections. It outlives the snapshots
// that name it, as long as its policy stays the same.
type cluster struct {
	name   string
	policy *networking.TrafficPolicy
	spec   atomic.Pointer[compile.Cluster] // of the latest snapshot
	pool   *breaker.Pool
	direct bool // the address that the caller dialled is the endpoint
	hashed bool // requests are tied to endpoints by a hash
	// key is what of a request ties it to an endpoint; nil where nothing does. sourceIP is the caller's address for it,
	// but on a gateway.
	key      *balance.Key
	sourceIP string
	// resolved are the endpoints that are sent to. named are those of a cluster that is found by DNS, as a base
	// transport gets them, which does lookups of its own.
	resolved, named *members
	dns             atomic.Pointer[resolver]
	service         observe.Service
	host            string
	extra           *outbound // of its service; nil: none
	conns           connections

	requests, retries, connectFailures atomic.Uint64

	permit                                      func() (release func(), ok bool) // permitRetry, made once
	retrySuccess, retryOverflow, retryExhausted atomic.Uint64
	timeouts, perTryTimeouts                    atomic.Uint64

	mu     sync.Mutex          // orders updates of the endpoints
	byName []registry.Endpoint // those whose addresses DNS resolves
}

// newCluster makes the cluster of a compiled destination.
func (m *Mesh) newCluster(spec *compile.Cluster, reg *registry.Registry) (*cluster, error) {
	c := &cluster{name: spec.Name, policy: spec.Policy, host: spec.Host, extra: m.extensions.of(spec.Host)}
	fail := func(err error) error { return fmt.Errorf("mesh: cluster %s: %w", spec.Name, err) }
	var err error
	if c.pool, err = breaker.NewPool(spec.Policy.GetConnectionPool()); err != nil {
		return nil, fail(err)
	}
	if err := c.pool.SetRetryBudget(spec.Policy.GetRetryBudget()); err != nil {
		return nil, fail(err)
	}
	if c.resolved, err = m.newMembers(c); err != nil {
		return nil, fail(err)
	}
	if c.named, err = m.newMembers(c); err != nil {
		return nil, fail(err)
	}
	c.direct = c.resolved.balancer.Algorithm() == balance.Passthrough
	c.hashed, c.key = spec.Policy.GetLoadBalancer().GetConsistentHash() != nil, c.resolved.balancer.Key()
	if c.key.SourceIP() {
		c.sourceIP = m.ownIP()
	}
	if s := spec.Service; s != nil {
		c.service = observe.NewService(s.Hostname, serviceName(s), s.Namespace)
		c.direct = c.direct || s.Resolution == registry.Passthrough
	} else {
		c.service = observe.NewService(spec.Host, "", "")
	}
	c.permit = c.permitRetry
	c.conns.init(m, spec, c.pool, func() []string { return c.accounts(m) })
	c.update(m, spec, reg)
	return c, nil
}

func serviceName(s *registry.Service) string {
	if s.Kubernetes {
		return s.Name
	}
	return s.Hostname
}

// fits tells whether the cluster can serve on as the compiled one: nothing but endpoints differs.
func (c *cluster) fits(spec *compile.Cluster) bool {
	old := c.spec.Load()
	return proto.Equal(c.policy, spec.Policy) && old.Host == spec.Host && old.Port == spec.Port && old.Missing == spec.Missing &&
		sameService(old.Service, spec.Service)
}

// sameService compares what connections depend on.
func sameService(a, b *registry.Service) bool {
	if a == nil || b == nil {
		return a == b
	}
	pa, _ := a.Port(0)
	pb, _ := b.Port(0)
	return pa == pb && a.Resolution == b.Resolution && a.External == b.External && a.ExternalName == b.ExternalName &&
		slices.Equal(a.SubjectAltNames, b.SubjectAltNames) && slices.Equal(a.Ports, b.Ports) && a.Namespace == b.Namespace
}

// update takes the endpoints of the registry.
func (c *cluster) update(m *Mesh, spec *compile.Cluster, reg *registry.Registry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spec.Store(spec)
	switch {
	case spec.Missing != "" || c.direct:
	case spec.Service == nil:
		c.setNames(m, []registry.Endpoint{{Address: spec.Host, Port: spec.Port}})
	default:
		var eps []registry.Endpoint
		for _, e := range reg.Endpoints(spec.Service, spec.Port) {
			if hasLabels(e.Labels, spec.Labels) {
				eps = append(eps, e)
			}
		}
		if r := spec.Service.Resolution; r == registry.DNS || r == registry.DNSRoundRobin {
			c.setNames(m, eps)
		} else {
			c.resolved.set(m, eps)
		}
	}
}

func hasLabels(have, want map[string]string) bool {
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return true
}

// hostPort is the address as it is dialled: "10.0.0.1:9080", or the path of a unix socket.
func hostPort(e registry.Endpoint) string {
	if path, ok := cutUnix(e.Address); ok {
		return path
	}
	return net.JoinHostPort(e.Address, strconv.Itoa(e.Port))
}

// setNames puts endpoints with names in place: a base transport gets the names, our own pools what they resolve to.
func (c *cluster) setNames(m *Mesh, eps []registry.Endpoint) {
	c.named.set(m, eps)
	if c.dns.Load() != nil && slices.EqualFunc(c.byName, eps, sameEndpoint) {
		return
	}
	c.byName = eps
	spec := c.spec.Load()
	names := make([]string, 0, len(eps))
	for _, e := range eps {
		names = append(names, e.Address)
	}
	slices.Sort(names)
	first := spec.Service != nil && spec.Service.Resolution == registry.DNSRoundRobin
	lookup := m.options.LookupHost
	if spec.Service == nil {
		lookup = m.lookupUndeclared
	}
	r := &resolver{names: slices.Compact(names), first: first, lookup: lookup, life: m.life, spawn: m.start}
	r.apply = func(addrs map[string][]string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.dns.Load() != r {
			return // endpoints have changed since
		}
		var found []registry.Endpoint
		for _, e := range eps {
			for _, a := range addrs[e.Address] {
				e.Address = a
				found = append(found, e)
			}
		}
		c.resolved.set(m, found)
	}
	c.dns.Store(r)
}

func sameEndpoint(a, b registry.Endpoint) bool {
	return a.Address == b.Address && a.Port == b.Port && a.Weight == b.Weight && a.Locality == b.Locality &&
		a.ServiceAccount == b.ServiceAccount && a.Network == b.Network && a.Workload == b.Workload &&
		a.Namespace == b.Namespace && maps.Equal(a.Labels, b.Labels)
}

// lookupUndeclared resolves a name that no object declares; a short name that the rules made full is tried as
// it was written, which is what it is called outside Kubernetes.
func (m *Mesh) lookupUndeclared(ctx context.Context, name string) ([]string, error) {
	addrs, err := m.options.LookupHost(ctx, name)
	if err == nil {
		return addrs, nil
	}
	if short, ok := shortName(name, m.options.Domain); ok {
		if addrs, shortErr := m.options.LookupHost(ctx, short); shortErr == nil {
			return addrs, nil
		}
	}
	return nil, err
}

// pick chooses an endpoint, for our own connections or for a base transport.
func (c *cluster) pick(ctx context.Context, own bool, h balance.Hints) (*balance.Endpoint, error) {
	from := c.resolved
	if dns := c.dns.Load(); dns != nil {
		if !own {
			from = c.named
		} else if err := dns.ready(ctx); err != nil {
			return nil, noHealthyUpstream(err)
		}
	}
	e := from.balancer.Pick(h)
	if e == nil {
		return nil, noHealthyUpstream(nil)
	}
	return e, nil
}

// members are the endpoints in use: those that are sent to, else the names behind them.
func (c *cluster) members() *members {
	if len(c.resolved.balancer.Endpoints()) > 0 || c.dns.Load() == nil {
		return c.resolved
	}
	return c.named
}

// accounts are the SPIFFE IDs of the endpoints' service accounts: who may answer for the cluster.
func (c *cluster) accounts(m *Mesh) []string {
	var ids []string
	for _, e := range c.members().balancer.Endpoints() {
		if id := m.principal(e.Namespace, e.ServiceAccount); id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// retire closes what nobody needs any more; requests under way end as they began.
func (c *cluster) retire() {
	c.resolved.outlier.Close()
	c.named.outlier.Close()
	c.conns.retire()
}

func noHealthyUpstream(cause error) *answer.Error {
	return &answer.Error{Sentinel: route.ErrNoHealthyUpstream, Flag: answer.NoHealthyUpstream, Status: http.StatusServiceUnavailable,
		Details: "no_healthy_upstream", Body: "no healthy upstream", Cause: cause}
}

func noCluster(why string) *answer.Error {
	return &answer.Error{Sentinel: route.ErrNoCluster, Flag: answer.NoCluster, Status: http.StatusServiceUnavailable,
		Details: "cluster_not_found", Cause: errors.New(why)}
}

func notFound() *answer.Error {
	return &answer.Error{Sentinel: route.ErrNoRoute, Flag: answer.NoRoute, Status: http.StatusNotFound, Details: "route_not_found"}
}
