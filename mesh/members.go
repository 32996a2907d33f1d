package mesh

import (
	"sync"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/observe"
	"github.com/go-inmesh/inmesh/route/balance"
)

// members are a cluster's endpoints under one balancer and one outlier detection.
type members struct {
	balancer *balance.Balancer
	outlier  *breaker.Outlier
	health   *breaker.Health // nil: not checked
	marking  sync.Mutex
	conns    *connections // of the cluster
}

// endpointState is what the mesh keeps with each endpoint.
type endpointState struct {
	host  *breaker.Host
	lanes *lanes
	peer  observe.Peer
}

// stateOf is the endpoint's state; every endpoint of a cluster has one.
func stateOf(e *balance.Endpoint) *endpointState { return e.Extra.(*endpointState) }

func (m *Mesh) newMembers(c *cluster) (*members, error) {
	b, err := balance.New(c.policy.GetLoadBalancer(), m.options.Rand)
	if err != nil {
		return nil, err
	}
	b.PanicPercent = int(c.policy.GetOutlierDetection().GetMinHealthPercent())
	b.Failover = c.policy.GetOutlierDetection() != nil
	b.Client = m.client
	g := &members{balancer: b, conns: &c.conns}
	if g.health, err = m.newHealth(c, g); err != nil {
		return nil, err
	}
	tell := func(e breaker.Event) {
		g.mark()
		m.ejected(c, e)
	}
	g.outlier, err = breaker.NewOutlier(c.policy.GetOutlierDetection(), &breaker.OutlierOptions{OnEject: tell, OnReturn: tell})
	return g, err
}

// mark tells the balancer which endpoints are out.
func (g *members) mark() {
	g.marking.Lock() // who comes last has seen the latest
	defer g.marking.Unlock()
	for _, e := range g.balancer.Endpoints() {
		if fails := g.failing(e); fails != e.Failing() {
			e.SetFailing(fails)
		}
		if out := stateOf(e).host.Ejected(); out != e.Ejected() {
			e.SetEjected(out)
		}
	}
}

// set puts endpoints in place; those that stay keep their state.
func (g *members) set(m *Mesh, eps []registry.Endpoint) {
	fresh := make([]*balance.Endpoint, 0, len(eps))
	addresses := make([]string, 0, len(eps))
	for _, e := range eps {
		if !g.balancer.Serves(e.Locality) {
			continue // no endpoint of ours
		}
		be := &balance.Endpoint{
			Address: hostPort(e), Labels: e.Labels, Locality: e.Locality, Weight: e.Weight, ServiceAccount: e.ServiceAccount,
			Network: e.Network, Workload: e.Workload, Namespace: e.Namespace,
		}
		fresh, addresses = append(fresh, be), append(addresses, be.Address)
	}
	g.outlier.Update(addresses)
	if g.health != nil {
		g.health.Update(addresses)
	}
	before := g.balancer.Endpoints()
	all := balance.Carry(before, fresh)
	for i, e := range all {
		if e != fresh[i] {
			continue // as before, and in use
		}
		state := &endpointState{host: g.outlier.Host(e.Address), lanes: new(lanes), peer: m.observer.Peer(observe.Workload{
			Name: e.Workload, Namespace: e.Namespace, Labels: e.Labels, Principal: m.principal(e.Namespace, e.ServiceAccount),
		})}
		if old, ok := e.Extra.(*endpointState); ok {
			state.lanes = old.lanes // the same address, otherwise described
		}
		e.Extra = state
	}
	g.balancer.Update(all)
	g.mark()
	g.part(before, all)
}

// part closes the connections to endpoints that are no longer there.
func (g *members) part(before, now []*balance.Endpoint) {
	if len(before) == 0 {
		return
	}
	stay := make(map[*lanes]bool, len(now))
	for _, e := range now {
		stay[stateOf(e).lanes] = true
	}
	for _, e := range before {
		if l := stateOf(e).lanes; !stay[l] {
			g.conns.leave(l)
			g.conns.leaveProbes(e.Address)
		}
	}
}
