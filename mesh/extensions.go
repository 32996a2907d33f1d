package mesh

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/internal/host"
)

// Extensions are what Istio has no field for and needs an EnvoyFilter: each under the name of Envoy's filter, and off
// unless asked for. They are set once, for the life of a mesh, and keep their state over [Mesh.Update].
//
// On a server they stand after authorization and around the user's AfterAuthorization aspects, from the outside in:
// local rate limit, admission control, adaptive concurrency. What is refused further in counts as a failure for
// admission control, so that it sheds the least important requests of a server that is at its limit. On a client they
// stand after the destination is chosen and before the retries: local rate limit, admission control; a request counts
// once, however often it is tried.
type Extensions struct {
	// Server is for [Mesh.Handler], Gateway for [Mesh.Gateway]: one set of limits for all handlers, one for all
	// gateways.
	Server, Gateway Inbound
	// Hosts are for requests to the services of these names, each service with limits of its own, which its subsets and
	// ports share. Names are written as in a VirtualService: "reviews", "reviews.default.svc.cluster.local",
	// "*.example.com", "*". The most specific one holds, alone. A name without a wildcard holds for a host that no rule
	// and no service names, too.
	Hosts map[string]Outbound
}

// Inbound is what a server may have. Nil fields are off.
type Inbound struct {
	LocalRateLimit      *breaker.LocalRateLimit
	AdmissionControl    *breaker.AdmissionControl
	AdaptiveConcurrency *breaker.AdaptiveConcurrency
}

// Outbound is what a service that is called may have. Nil fields are off.
type Outbound struct {
	LocalRateLimit   *breaker.LocalRateLimit
	AdmissionControl *breaker.AdmissionControl
	// HealthCheck is done by [Mesh.HealthCheck], which the user starts.
	HealthCheck *breaker.HealthCheck
}

// extensions are [Extensions] at work. A nil one has none.
type extensions struct {
	server, gateway *inbound
	patterns        host.Table[Outbound]
	names           map[string]bool // patterns without a wildcard
	hosts           sync.Map        // host → *outbound
	checking        atomic.Pointer[transport]

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when there are other clusters
}

// newExtensions judges all that is asked for, and is nil where nothing is.
func newExtensions(o *Options) (*extensions, error) {
	e := o.Extensions
	if e.Server == (Inbound{}) && e.Gateway == (Inbound{}) && len(e.Hosts) == 0 {
		return nil, nil
	}
	x := &extensions{names: map[string]bool{}, changed: make(chan struct{})}
	var errs []error
	fail := func(where string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("mesh: extensions.%s: %w", where, err))
		}
	}
	var err error
	x.server, err = newInbound(e.Server, o.Rand)
	fail("server", err)
	x.gateway, err = newInbound(e.Gateway, o.Rand)
	fail("gateway", err)
	for _, name := range slices.Sorted(maps.Keys(e.Hosts)) {
		where := "hosts[" + name + "]"
		pattern := host.Resolve(name, o.Workload.Namespace, o.Domain)
		if pattern == "" {
			fail(where, errors.New("empty, want the name of a host"))
			continue
		}
		if _, twice := x.patterns.Get(pattern); twice {
			fail(where, fmt.Errorf("%s is there already under another name", pattern))
			continue
		}
		spec := e.Hosts[name].seeded(o.Rand)
		if spec == (Outbound{}) {
			fail(where, errors.New("empty, want one of localRateLimit, admissionControl and healthCheck"))
			continue
		}
		_, err := newOutbound(spec)
		fail(where, err)
		if h := spec.HealthCheck; h != nil {
			_, err = breaker.NewHealth(h, nil)
			fail(where, err)
		}
		x.patterns.Set(pattern, spec)
		x.names[pattern] = !host.IsWildcard(pattern)
	}
	return x, errors.Join(errs...)
}

// seeded is the same with the mesh's source of chance where there is none.
func (o Outbound) seeded(rnd func() float64) Outbound {
	o.AdmissionControl = seededAdmission(o.AdmissionControl, rnd)
	if h := o.HealthCheck; h != nil && h.Rand == nil {
		own := *h
		own.Rand = rnd
		o.HealthCheck = &own
	}
	return o
}

func seededAdmission(a *breaker.AdmissionControl, rnd func() float64) *breaker.AdmissionControl {
	if a == nil || a.Rand != nil {
		return a
	}
	own := *a
	own.Rand = rnd
	return &own
}

// inside is the handlers' part, edge the gateways'; both may be nil.
func (x *extensions) inside() *inbound {
	if x == nil {
		return nil
	}
	return x.server
}

func (x *extensions) edge() *inbound {
	if x == nil {
		return nil
	}
	return x.gateway
}

// of is what a service has; nil for nothing.
func (x *extensions) of(name string) *outbound {
	if x == nil {
		return nil
	}
	if o, ok := x.hosts.Load(name); ok {
		return o.(*outbound)
	}
	spec, ok := x.patterns.Lookup(name)
	if !ok {
		return nil
	}
	o, err := newOutbound(spec)
	if err != nil {
		return nil // it was possible in newExtensions
	}
	kept, _ := x.hosts.LoadOrStore(name, o)
	return kept.(*outbound)
}

// outside is what a host has that no rule names: only what is asked for under its own name, so that strangers' names
// take no memory.
func (x *extensions) outside(name string) *outbound {
	if x == nil || !x.names[host.Normal(name)] {
		return nil
	}
	return x.of(host.Normal(name))
}

// publish forgets services that the rules do not have any more, and tells who checks health that clusters changed.
func (x *extensions) publish(s *snapshot) {
	if x == nil {
		return
	}
	kept := map[string]bool{}
	s.eachCluster(func(c *cluster) { kept[c.spec.Load().Host] = true })
	x.hosts.Range(func(name, _ any) bool {
		if n := name.(string); !kept[n] && !x.names[n] {
			x.hosts.Delete(name)
		}
		return true
	})
	x.tell()
}

// tell wakes who checks health.
func (x *extensions) tell() {
	x.mu.Lock()
	defer x.mu.Unlock()
	close(x.changed)
	x.changed = make(chan struct{})
}

func (x *extensions) changes() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.changed
}
