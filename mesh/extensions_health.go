package mesh

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/route/balance"
)

// HealthCheck asks the endpoints of every service that [Options].Extensions give a HealthCheck whether they are well,
// until the context ends, and keeps requests from those that are not. It blocks and returns the context's cause, or
// [ErrClosed]; all endpoints count as healthy then. Start it once: a second one at the same time is
// [breaker.ErrRunning]. It follows [Mesh.Update], [Mesh.UpdateEndpoints] and DNS.
//
//	go m.HealthCheck(ctx, nil)
//
// Over HTTP the checks go through the base, as requests of [Mesh.Transport] with that base would; nil means the
// mesh's own connections. They are not observed, retried or limited. Over TCP they are dialled with Options.Dial.
func (m *Mesh) HealthCheck(ctx context.Context, base http.RoundTripper) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(m.life, func() { stop(ErrClosed) })()
	x := m.extensions
	if x == nil {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	t := &transport{mesh: m, base: base}
	if !x.checking.CompareAndSwap(nil, t) {
		return breaker.ErrRunning
	}
	defer x.checking.Store(nil)
	running := map[*cluster]context.CancelFunc{}
	var group sync.WaitGroup
	defer group.Wait()
	for ctx.Err() == nil {
		changed := x.changes()
		there := map[*cluster]bool{}
		m.current.Load().eachCluster(func(c *cluster) {
			if c.resolved.health == nil || c.direct {
				return
			}
			there[c] = true
			if running[c] == nil {
				own, cancel := context.WithCancel(ctx)
				running[c] = cancel
				group.Go(func() { c.checkHealth(own, base == nil) })
			}
		})
		for c, cancel := range running {
			if !there[c] {
				cancel()
				delete(running, c)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	for _, cancel := range running {
		cancel()
	}
	return context.Cause(ctx)
}

// checkHealth checks the endpoints that are sent to: of our own connections, or of a base transport.
func (c *cluster) checkHealth(ctx context.Context, own bool) {
	g := c.resolved
	if dns := c.dns.Load(); dns != nil {
		if !own {
			g = c.named
		} else {
			_ = dns.ready(ctx) // without an address there is nothing to check, until there is one
		}
	}
	_ = g.health.Run(ctx)
	g.mark()
}

// newHealth makes the checks of a cluster's endpoints; nil where there are none.
func (m *Mesh) newHealth(c *cluster, g *members) (*breaker.Health, error) {
	if c.extra == nil || c.extra.spec.HealthCheck == nil {
		return nil, nil
	}
	spec := *c.extra.spec.HealthCheck
	if h := spec.HTTPHealthCheck; h != nil && h.Host == "" && !host.IsWildcard(c.host) {
		own := *h
		own.Host = c.host
		spec.HTTPHealthCheck = &own
	}
	return breaker.NewHealth(&spec, &breaker.HealthOptions{
		Transport: &prober{m, c},
		Dial:      m.dialProbe,
		OnChange: func(e breaker.HealthEvent) {
			g.mark()
			m.healthChanged(c, e)
		},
	})
}

// dialProbe opens a connection that is closed at once.
func (m *Mesh) dialProbe(ctx context.Context, network, address string) (net.Conn, error) {
	if m.options.Dial != nil {
		return m.options.Dial(ctx, network, address)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// prober carries checks over HTTP as the cluster's requests are carried.
type prober struct {
	mesh    *Mesh
	cluster *cluster
}

func (p *prober) RoundTrip(req *http.Request) (*http.Response, error) {
	t := p.mesh.extensions.checking.Load()
	if t == nil {
		return nil, ErrClosed
	}
	conns := &p.cluster.conns
	up, err := conns.upstream(t, p.cluster.scheme(), req, nil)
	if err != nil {
		return nil, err
	}
	req.URL.Scheme = up.scheme
	if up.base == nil {
		up.base = conns.probe(up.kind, req.URL.Host)
	}
	return up.base.RoundTrip(req)
}

// scheme is what the application would ask for at the cluster's port.
func (c *cluster) scheme() string {
	spec := c.spec.Load()
	if s := spec.Service; s != nil {
		if p, ok := s.Port(spec.Port); ok && (p.Protocol == registry.HTTPS || p.Protocol == registry.TLS) {
			return "https"
		}
	}
	return "http"
}

// healthChanged tells of an endpoint that health checks took out or let back.
func (m *Mesh) healthChanged(c *cluster, e breaker.HealthEvent) {
	if e.Healthy {
		m.options.Logger.Log(context.Background(), slog.LevelInfo, "mesh: endpoint passes its health checks", "cluster", c.name,
			"endpoint", e.Endpoint, "firstCheck", e.FirstCheck)
		return
	}
	m.options.Logger.Log(context.Background(), slog.LevelWarn, "mesh: endpoint fails its health checks", "cluster", c.name,
		"endpoint", e.Endpoint, "cause", string(e.Cause), "status", e.Status, "error", e.Err, "firstCheck", e.FirstCheck)
}

// failing tells whether the endpoint fails its health checks.
func (g *members) failing(e *balance.Endpoint) bool {
	return g.health != nil && g.health.Failing(e.Address)
}
