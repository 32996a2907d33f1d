package mesh

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/internal/connpool"
)

// lanes are the connections to one endpoint. The zero value has none yet.
type lanes struct {
	limited breaker.Lane // for requests over a base
	pools   [kinds]atomic.Pointer[connpool.Pool]
	probes  bool // of health checks, which no limit holds up
	retired atomic.Bool
}

// mostDirect is how many addresses of callers are remembered, unless connections to more of them are open.
const mostDirect = 1024

// pool is the pool of connections to an endpoint. A nil state says that it is the caller's address.
func (c *connections) pool(k kind, state *endpointState, u *url.URL) *connpool.Pool {
	if state == nil {
		return c.directPool(k, u)
	}
	if p := state.lanes.pools[k].Load(); p != nil {
		return p
	}
	return c.makePool(k, state.lanes, u.Host)
}

func (c *connections) directPool(k kind, u *url.URL) *connpool.Pool {
	address := dialAddress(u)
	for {
		known, ok := c.direct.Load(address)
		if !ok {
			known, _ = c.direct.LoadOrStore(address, new(lanes))
		}
		l := known.(*lanes)
		if p := l.pools[k].Load(); p != nil {
			return p
		}
		if l.retired.Load() {
			continue // it was just forgotten
		}
		return c.makePool(k, l, address)
	}
}

// dialAddress is where a URL's server is.
func dialAddress(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	port := ":80"
	if u.Scheme == "https" {
		port = ":443"
	}
	return strings.TrimSuffix(u.Host, ":") + port
}

// makePool makes a pool at its first request. One for an endpoint or a cluster that has gone keeps no connection.
func (c *connections) makePool(k kind, l *lanes, address string) *connpool.Pool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := l.pools[k].Load(); p != nil {
		return p
	}
	if len(c.open) >= mostDirect {
		c.forget()
	}
	network := "tcp"
	if isPath(address) {
		network = "unix"
	}
	p := c.way(k, l.probes).Pool(network, address)
	l.pools[k].Store(p)
	c.open[l] = struct{}{}
	if c.retired.Load() || l.retired.Load() {
		p.Retire()
	}
	return p
}

// forget lets go of the callers' addresses that nothing is connected to. The caller holds the lock.
func (c *connections) forget() {
	c.direct.Range(func(address, known any) bool {
		if l := known.(*lanes); l.unused() {
			c.direct.Delete(address)
			l.retired.Store(true)
			l.each((*connpool.Pool).Retire)
			delete(c.open, l)
		}
		return true
	})
}

func (l *lanes) unused() bool {
	unused := true
	l.each(func(p *connpool.Pool) { unused = unused && p.Counts() == connpool.Counts{} })
	return unused
}

func (l *lanes) each(f func(*connpool.Pool)) {
	for i := range l.pools {
		if p := l.pools[i].Load(); p != nil {
			f(p)
		}
	}
}

// leave closes the connections to an endpoint that is no longer there, those in use when their requests are done.
func (c *connections) leave(l *lanes) {
	c.mu.Lock()
	delete(c.open, l)
	l.retired.Store(true)
	c.mu.Unlock()
	l.each((*connpool.Pool).Retire)
}

// probe is what carries health checks to an endpoint: connections of their own, as in Envoy.
func (c *connections) probe(k kind, address string) *connpool.Pool {
	known, ok := c.probes.Load(address)
	if !ok {
		known, _ = c.probes.LoadOrStore(address, &lanes{probes: true})
	}
	l := known.(*lanes)
	if p := l.pools[k].Load(); p != nil {
		return p
	}
	return c.makePool(k, l, address)
}

// leaveProbes closes the connections of health checks to an endpoint that is no longer there.
func (c *connections) leaveProbes(address string) {
	if l, ok := c.probes.LoadAndDelete(address); ok {
		c.leave(l.(*lanes))
	}
}

// retire closes what is idle, now and whenever a request ends after it.
func (c *connections) retire() {
	c.mu.Lock()
	c.retired.Store(true)
	c.mu.Unlock()
	c.each((*connpool.Pool).Retire)
	closeSoon(c)
}

// CloseIdleConnections closes what is idle in all pools of the cluster.
func (c *connections) CloseIdleConnections() {
	c.each((*connpool.Pool).CloseIdleConnections)
	c.bases.Range(func(_, rt any) bool {
		closeIdle(rt.(http.RoundTripper))
		return true
	})
}

func (c *connections) each(f func(*connpool.Pool)) {
	c.mu.Lock()
	open := slices.Collect(maps.Keys(c.open))
	c.mu.Unlock()
	for _, l := range open {
		l.each(f)
	}
}
