package mesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-inmesh/inmesh/fault"
	"github.com/go-inmesh/inmesh/identity"
	"github.com/go-inmesh/inmesh/internal/compile"
	"github.com/go-inmesh/inmesh/internal/destination"
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/internal/rule"
	"github.com/go-inmesh/inmesh/route"
	"github.com/go-inmesh/inmesh/route/balance"
)

// snapshot is one state of the rules, compiled. It is immutable but for clusters at ports that only requests tell.
type snapshot struct {
	rules    *Rules
	registry *registry.Registry
	out      *compile.Output
	findings []Finding // of compiling
	actions  map[*compile.VirtualHost][]action
	clusters map[string]*cluster
	policies *identity.Policies // that apply to us; nil for none
	tokens   *identity.Tokens
	dynamic  *sync.Map // name → *cluster, of undeclared hosts at a request's own port
	loaded   time.Time
}

// action is what a route does beyond package route, compiled: parallel to a virtual host's routes.
type action struct {
	fault    *fault.Injector
	perTry   bool // the fault is injected into each attempt
	retry    *route.RetryPolicy
	clusters []*cluster // parallel to the destinations; nil where the port is the request's
	mirrors  []mirrored
	keys     []*balance.Key
	// What header operations there are, parallel to the destinations; the last is for answers of our own.
	headers []struct{ request, response bool }
}

// changes tells which header operations there are for a destination, or for -1.
func (a *action) changes(dest int) (request, response bool) {
	if dest < 0 {
		dest = len(a.headers) - 1
	}
	return a.headers[dest].request, a.headers[dest].response
}

// compileRules makes a snapshot of the rules. Clusters that fit are taken over; nothing that lives is changed yet.
func (m *Mesh) compileRules(rules *Rules, previous *snapshot) (*snapshot, error) {
	o := m.options
	reg, found := registry.Build(rules.set, o.Domain)
	in := compile.Input{
		Set: rules.set, Registry: reg,
		Destinations: destination.Build(destination.Input{Set: rules.set, RootNamespace: o.RootNamespace, Domain: o.Domain,
			Namespace: o.Workload.Namespace, Labels: o.Workload.Labels}),
		Workload:      compile.Workload{Name: o.Workload.Name, Namespace: o.Workload.Namespace, Labels: o.Workload.Labels},
		RootNamespace: o.RootNamespace, Domain: o.Domain, AllowAny: !o.RegistryOnly,
	}
	if previous != nil {
		in.Previous = previous.out
	}
	out, more := compile.Compile(in)
	if finding.HasErrors(more) {
		return nil, &InvalidError{Findings: append(found, more...)}
	}
	s := &snapshot{rules: rules, registry: reg, out: out, findings: append(found, more...), loaded: time.Now(),
		actions: map[*compile.VirtualHost][]action{}, clusters: make(map[string]*cluster, len(out.Clusters)), dynamic: new(sync.Map)}
	var errs []error
	for name, spec := range out.Clusters {
		c, err := m.clusterFor(spec, previous, reg)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.clusters[name] = c
	}
	errs = append(errs, m.compileSecurity(s, previous))
	for _, vh := range out.Mesh.VirtualHosts() {
		errs = append(errs, m.addActions(s, vh))
	}
	for _, gw := range out.Gateways {
		for _, vh := range gw.VirtualHosts() {
			errs = append(errs, m.addActions(s, vh))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// clusterFor is the cluster that lives already, if it fits, or a new one.
func (m *Mesh) clusterFor(spec *compile.Cluster, previous *snapshot, reg *registry.Registry) (*cluster, error) {
	if previous != nil {
		if c := previous.clusters[spec.Name]; c != nil && c.fits(spec) {
			return c, nil
		}
	}
	return m.newCluster(spec, reg)
}

// annotation is one of ours on the object that a route stands in: the delegate's, else the root's.
func annotation(r *compile.Route, name string) string {
	if r.Delegate != nil {
		if v, ok := r.Delegate.Annotations[name]; ok {
			return v
		}
	}
	if r.Object == nil || r.Object.Kind != "VirtualService" {
		return ""
	}
	return r.Object.Annotations[name]
}

func (m *Mesh) addActions(s *snapshot, vh *compile.VirtualHost) error {
	if _, done := s.actions[vh]; done || vh.Router == nil {
		return nil
	}
	list := make([]action, len(vh.Routes))
	for i := range vh.Routes {
		a, r := &list[i], &vh.Routes[i]
		spec := vh.Router.Route(i).Spec()
		var err error
		if f := spec.GetFault(); f != nil {
			if a.fault, err = fault.New(f); err != nil {
				return fmt.Errorf("mesh: %s: %w", r.Position(), err)
			}
			a.fault.Rand = m.options.Rand
		}
		a.perTry = annotation(r, rule.FaultScope) == "attempt"
		hedge := annotation(r, rule.HedgeOnPerTryTimeout) == "true"
		a.retry = m.defaultRetry
		if spec.GetRetries() != nil {
			if a.retry, err = route.NewRetry(spec.GetRetries()); err != nil {
				return fmt.Errorf("mesh: %s: %w", r.Position(), err)
			}
			if a.retry != nil {
				a.retry.Rand, a.retry.Hedge = m.options.Rand, hedge
			}
		}
		a.headers = make([]struct{ request, response bool }, len(r.Clusters)+1)
		for j := range a.headers {
			dest := j
			if j == len(r.Clusters) {
				dest = -1
			}
			req, resp := vh.Router.Route(i).HeaderOps(dest)
			a.headers[j].request, a.headers[j].response = anyOp(req), anyOp(resp)
		}
		a.clusters = make([]*cluster, len(r.Clusters))
		for j, ref := range r.Clusters {
			if c := ref.Fixed(); c != nil {
				a.clusters[j] = s.clusters[c.Name]
			}
		}
		for _, ref := range r.Mirrors {
			to := mirrored{ref: ref.ClusterRef, share: ref.Percent / 100}
			if c := ref.Fixed(); c != nil {
				to.cluster = s.clusters[c.Name]
			}
			a.mirrors = append(a.mirrors, to)
		}
		a.keys = keysOf(spec.GetRoute(), a.clusters)
	}
	s.actions[vh] = list
	return nil
}

// told is everything there is to say about the rules, and what compiling them found beside that: most of it is known.
func (s *snapshot) told() []Finding {
	type about struct{ kind, namespace, name, path, code string }
	all := s.rules.Findings()
	known := make(map[about]bool, len(all))
	for _, f := range all {
		known[about{f.Kind, f.Namespace, f.Name, f.Path, f.Code}] = true
	}
	for _, f := range s.findings {
		if !known[about{f.Kind, f.Namespace, f.Name, f.Path, f.Code}] {
			all = append(all, f)
		}
	}
	return all
}

// withRegistry is the same rules over other endpoints.
func (s *snapshot) withRegistry(reg *registry.Registry) *snapshot {
	next := *s
	next.registry = reg
	return &next
}

// publish takes the snapshot's endpoints to its clusters: the snapshot is about to serve.
func (s *snapshot) publish(m *Mesh, previous *snapshot) {
	for name, c := range s.clusters {
		if previous != nil && previous.clusters[name] == c {
			c.update(m, s.out.Clusters[name], s.registry)
		}
	}
	if previous == nil {
		return
	}
	for name, c := range previous.clusters {
		if s.clusters[name] != c {
			c.retire()
		}
	}
	previous.dynamic.Range(func(_, c any) bool {
		c.(*cluster).retire()
		return true
	})
}

// cluster is the runtime of a destination at the request's port.
func (s *snapshot) cluster(m *Mesh, ref compile.ClusterRef, port int) (*cluster, error) {
	spec := ref.At(port)
	if c := s.clusters[spec.Name]; c != nil {
		return c, nil
	}
	if spec.Missing != "" {
		return nil, noCluster(spec.Missing)
	}
	if c, ok := s.dynamic.Load(spec.Name); ok {
		return c.(*cluster), nil
	}
	c, err := m.newCluster(spec, s.registry)
	if err != nil {
		return nil, err
	}
	made, loaded := s.dynamic.LoadOrStore(spec.Name, c)
	if loaded {
		c.retire()
	} else if c.extra != nil {
		m.extensions.tell()
	}
	return made.(*cluster), nil
}

// gateway finds a gateway by "name", in the namespace, or by "namespace/name".
func (s *snapshot) gateway(name, namespace string) *compile.Gateway {
	if !strings.Contains(name, "/") {
		name = namespace + "/" + name
	}
	return s.out.Gateways[name]
}

// eachCluster calls f for every cluster that there is.
func (s *snapshot) eachCluster(f func(*cluster)) {
	for _, c := range s.clusters {
		f(c)
	}
	s.dynamic.Range(func(_, c any) bool {
		f(c.(*cluster))
		return true
	})
}

// ready waits for first answers of DNS, all at once, and for a certificate.
func (s *snapshot) ready(ctx context.Context, id identity.Source) error {
	var mu sync.Mutex
	var errs []error
	var group sync.WaitGroup
	for _, c := range s.clusters {
		r := c.dns.Load()
		if r == nil || c.spec.Load().Service == nil {
			continue // a host that no object declares may never be asked for
		}
		group.Go(func() {
			if err := r.ready(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("mesh: cluster %s has no address yet: %w", c.name, err))
			}
		})
	}
	group.Wait()
	if id != nil {
		if _, err := id.GetX509SVID(); err != nil {
			errs = append(errs, fmt.Errorf("mesh: no certificate yet: %w", err))
		}
	}
	return errors.Join(append(errs, context.Cause(ctx))...)
}

// shortName is the first label of a full Kubernetes name.
func shortName(name, domain string) (string, bool) {
	rest, ok := strings.CutSuffix(name, ".svc."+cmp.Or(domain, "cluster.local"))
	if !ok {
		return "", false
	}
	short, _, ok := strings.Cut(rest, ".")
	return short, ok
}

func anyOp(o route.Ops) bool { return len(o.Set)+len(o.Add)+len(o.Remove) > 0 }
