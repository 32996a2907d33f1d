package mesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/identity"
	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/observe"
	"github.com/go-inmesh/inmesh/route"
	"github.com/go-inmesh/inmesh/route/balance"
)

// ErrClosed is the error of a mesh that was closed or is shutting down.
var ErrClosed = errors.New("mesh: closed")

// Mesh routes what goes out and guards what comes in, by one set of rules at a time. It is safe for concurrent use.
type Mesh struct {
	options    *Options
	observer   *observe.Observer
	extensions *extensions // nil: none
	current    atomic.Pointer[snapshot]

	updates sync.Mutex // one Update at a time
	history history

	client       balance.Client // as load balancing sees us
	defaultRetry *route.RetryPolicy
	passthrough  *http.Transport // to hosts that no rule names

	mirrors        mirrors
	draining       atomic.Bool
	served, called *inflight
	listeners      sync.Map // *listener → struct{}
	bases          sync.Map // *transport → struct{}, those with a base of the user's
	stopStats      func()

	life  context.Context // done when the mesh is closed
	end   context.CancelFunc
	group sync.WaitGroup // goroutines of ours
	spawn sync.RWMutex   // held for reading while one is started, for writing when the mesh ends
	once  sync.Once
}

// New makes a mesh of the rules. Nil rules are an empty set: everything passes through. Nil options work.
//
// The rules are compiled whole, or not at all. What they ask for and cannot get is in the error; what is merely
// doubtful is logged.
func New(rules *Rules, o *Options) (*Mesh, error) {
	m := &Mesh{options: o.withDefaults(), served: newInflight(), called: newInflight()}
	o = m.options
	m.mirrors.limit.Store(int64(o.MaxMirrors))
	var err error
	if m.extensions, err = newExtensions(o); err != nil {
		return nil, err
	}
	m.observer, err = observe.New(&observe.Options{
		Registerer: o.Registerer, TracerProvider: o.TracerProvider, Propagator: o.Propagator, AccessLog: o.AccessLog, Logger: o.Logger,
		Workload: observe.Workload{Name: o.Workload.Name, Namespace: o.Workload.Namespace, Cluster: o.Workload.Cluster,
			Labels: o.Workload.Labels, Principal: m.principal(o.Workload.Namespace, o.Workload.ServiceAccount)},
	})
	if err != nil {
		return nil, fmt.Errorf("mesh: %w", err)
	}
	if m.defaultRetry, err = route.NewRetry(nil); err != nil {
		return nil, fmt.Errorf("mesh: %w", err)
	}
	m.defaultRetry.Rand = o.Rand
	m.client = balance.Client{Locality: o.Workload.Locality, Labels: registry.WithPlace(o.Workload.Labels, o.Workload.Locality, "", "")}
	m.life, m.end = context.WithCancel(context.Background())
	m.passthrough = m.newPassthrough()
	if err := m.Update(rules); err != nil {
		_ = m.Close()
		return nil, err
	}
	m.stopStats = m.observer.AddClusters(m.clusterStats)
	return m, nil
}

// Update puts other rules in place of those before, at once and as a whole: a request that has begun keeps the
// rules it began with. If the rules cannot be used, the ones before stay and the error says why. Clusters whose
// policy stays the same keep their connections, counters and ejections. Nil is an empty set.
func (m *Mesh) Update(rules *Rules) error {
	began := time.Now()
	m.updates.Lock()
	defer m.updates.Unlock()
	if m.life.Err() != nil {
		return ErrClosed
	}
	if rules == nil {
		var err error
		if rules, err = Build(); err != nil {
			return err
		}
	}
	previous := m.current.Load()
	next, err := m.compileRules(rules, previous)
	if err == nil {
		err = m.checkBases(next)
	}
	if err != nil {
		m.reloaded(Reload{Time: began, Took: time.Since(began), Err: err})
		return err
	}
	next.publish(m, previous)
	m.current.Store(next)
	m.extensions.publish(next)
	m.reloaded(Reload{Time: began, Took: time.Since(began), Objects: len(rules.Objects())}, next.told()...)
	return nil
}

// Endpoint is one place where a service runs: its Address (an IP, a DNS name, or "unix:///path"), Port, Labels,
// Locality (region/zone/subzone), Weight (0 means 1), ServiceAccount, Network, Workload and Namespace.
type Endpoint = registry.Endpoint

// UpdateEndpoints puts other endpoints in place for a service, without compiling rules again: they go straight to
// its clusters, subset by subset. It holds until the next [Mesh.Update]. A service or port that the rules do not have is
// an error.
func (m *Mesh) UpdateEndpoints(service ServiceRef, endpoints []Endpoint) error {
	m.updates.Lock()
	defer m.updates.Unlock()
	if m.life.Err() != nil {
		return ErrClosed
	}
	s := m.current.Load()
	reg, found := s.registry, false
	for _, svc := range s.registry.Services() {
		if svc.Hostname == service.Host && (service.Namespace == "" || service.Namespace == svc.Namespace) {
			found = true
			reg = reg.WithEndpoints(svc.Hostname, svc.Namespace, service.Port, endpoints)
		}
	}
	switch {
	case !found:
		return fmt.Errorf("mesh: endpoints of %s: no Service or ServiceEntry has this host", service.Host)
	case reg == s.registry:
		return fmt.Errorf("mesh: endpoints of %s: the service has no port %d", service.Host, service.Port)
	}
	next := s.withRegistry(reg)
	for name, c := range next.clusters {
		if spec := next.out.Clusters[name]; spec.Service != nil && spec.Service.Hostname == service.Host {
			c.update(m, spec, next.registry)
		}
	}
	m.current.Store(next)
	return nil
}

// Close ends the mesh: idle connections and goroutines are gone when it returns. Requests that are under way may
// end; new ones fail with [ErrClosed]. It always returns nil, and may be called again.
func (m *Mesh) Close() error {
	m.once.Do(func() {
		m.draining.Store(true)
		m.updates.Lock()
		defer m.updates.Unlock()
		m.spawn.Lock()
		m.end()
		m.spawn.Unlock()
		m.closeListeners()
		if m.stopStats != nil {
			m.stopStats()
		}
		if s := m.current.Load(); s != nil {
			s.eachCluster((*cluster).retire)
		}
		closeSoon(m.passthrough)
		m.group.Wait()
		_ = m.observer.Close()
	})
	return nil
}

// start runs f on a goroutine that Close waits for; false if the mesh has ended. f ends soon after m.life does.
func (m *Mesh) start(f func()) bool {
	m.spawn.RLock()
	defer m.spawn.RUnlock()
	if m.life.Err() != nil {
		return false
	}
	m.group.Go(f)
	return true
}

// principal is the SPIFFE ID of a service account, as text; empty where there is none.
func (m *Mesh) principal(namespace, account string) string {
	if namespace == "" || account == "" {
		return ""
	}
	id, err := identity.ServiceAccount(m.options.TrustDomain, namespace, account)
	if err != nil {
		return ""
	}
	return id.String()
}

// ejected tells of an endpoint that outlier detection took out or let back.
func (m *Mesh) ejected(c *cluster, e breaker.Event) {
	level, text := slog.LevelWarn, "mesh: endpoint ejected"
	if e.Returned {
		level, text = slog.LevelInfo, "mesh: endpoint is back"
	}
	m.options.Logger.Log(context.Background(), level, text, "cluster", c.name, "endpoint", e.Endpoint, "cause", string(e.Cause),
		"duration", e.Duration, "ejections", e.Ejections)
}
