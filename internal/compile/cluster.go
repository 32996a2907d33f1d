package compile

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/destination"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/registry"
)

// ClusterRef is where a destination leads: one cluster, or one for each port that a request may come in on.
// The zero value leads nowhere.
type ClusterRef struct {
	fixed *Cluster
	open  *openCluster
}

// At is the cluster for a request to the port: of the service that was addressed, or of the gateway's server.
// It may be called by many at once; for one reference and port it always gives the same cluster.
func (r ClusterRef) At(port int) *Cluster {
	if r.open == nil {
		return r.fixed
	}
	return r.open.at(port)
}

// Fixed is the cluster where it does not depend on the request's port, else nil.
func (r ClusterRef) Fixed() *Cluster { return r.fixed }

// openCluster is a destination without a port, of a host with several ports or of one that nobody declares.
type openCluster struct {
	target *target
	subset string
	known  map[int]*Cluster    // the service's ports
	listed map[string]*Cluster // what others lead to
	other  sync.Map            // port to *Cluster
}

func (o *openCluster) at(port int) *Cluster {
	if c := o.known[port]; c != nil {
		return c
	}
	if c, ok := o.other.Load(port); ok {
		return c.(*Cluster)
	}
	made := o.listed[ClusterName(o.target.host, o.subset, port)]
	if made == nil {
		made = o.target.cluster(o.subset, port)
	}
	c, _ := o.other.LoadOrStore(port, made)
	return c.(*Cluster)
}

// target is a host that destinations name.
type target struct {
	host    string
	service *registry.Service
	hidden  string // why nothing can be sent to a host that is declared
	rule    *destination.Merged
}

// ClusterName is Envoy's name of an outbound cluster.
func ClusterName(hostname, subset string, port int) string {
	return "outbound|" + strconv.Itoa(port) + "|" + subset + "|" + hostname
}

func (t *target) cluster(subset string, port int) *Cluster {
	c := &Cluster{Name: ClusterName(t.host, subset, port), Host: t.host, Subset: subset, Port: port, Service: t.service}
	if t.hidden != "" {
		c.Missing = t.hidden
		return c
	}
	if t.service != nil {
		if _, ok := t.service.Port(port); !ok {
			c.Missing = fmt.Sprintf("service %s has no port %d", t.host, port)
			return c
		}
	}
	if subset != "" {
		labels, ok := t.rule.Subset(subset)
		if !ok {
			c.Missing = fmt.Sprintf("subset %s of %s is in no DestinationRule", subset, t.host)
			return c
		}
		c.Labels = labels
	}
	if t.rule != nil {
		c.Policy = t.rule.Policy(subset, port)
		c.Rules = t.rule.Objects()
	}
	return c
}

// target finds the host, a full name, once for each compilation. An ExternalName service stands for what it leads to.
func (c *compiler) target(hostname string) *target {
	hostname = c.in.Registry.Canonical(hostname)
	if t := c.targets[hostname]; t != nil {
		return t
	}
	t := &target{host: hostname}
	c.targets[hostname] = t
	if t.service = c.service(hostname); t.service == nil {
		t.service = c.own[hostname]
	}
	namespace := c.in.Workload.Namespace
	switch {
	case t.service != nil:
		namespace = t.service.Namespace
	case c.declared[hostname]:
		t.hidden = fmt.Sprintf("no service %s is exported to namespace %s", hostname, namespace)
	default:
		if ns, ok := kubernetesNamespace(hostname, c.domain); ok {
			namespace = ns
		}
	}
	if c.in.Destinations != nil {
		t.rule = c.in.Destinations.Lookup(hostname, namespace)
	}
	return t
}

// service is what the workload means by a full name: what its Sidecar imports, else whatever is exported to it.
func (c *compiler) service(hostname string) *registry.Service {
	if s := c.imported[hostname]; s != nil {
		return s
	}
	s := c.in.Registry.Lookup(hostname, c.in.Workload.Namespace)
	if s == nil || s.Hostname != hostname {
		return nil // a wildcard's service says nothing about the endpoints of one name
	}
	return s
}

// cluster makes the cluster once and lists it, if there is such a thing.
func (c *compiler) cluster(t *target, subset string, port int) *Cluster {
	key := clusterKey{t, subset, port}
	if cl := c.clusters[key]; cl != nil {
		return cl
	}
	cl := t.cluster(subset, port)
	c.clusters[key] = cl
	if cl.Missing == "" {
		c.out.Clusters[cl.Name] = cl
	}
	return cl
}

type clusterKey struct {
	target *target
	subset string
	port   int
}

// ref resolves a destination of a rule in the namespace.
func (c *compiler) ref(d *networking.Destination, namespace string) ClusterRef {
	if d == nil {
		return ClusterRef{}
	}
	t := c.target(host.Resolve(d.Host, namespace, c.domain))
	port := int(d.Port.GetNumber())
	if port == 0 && t.service != nil && len(t.service.Ports) == 1 {
		port = t.service.Ports[0].Number
	}
	if port != 0 {
		return ClusterRef{fixed: c.cluster(t, d.Subset, port)}
	}
	key := clusterKey{t, d.Subset, 0}
	if o := c.open[key]; o != nil {
		return ClusterRef{open: o}
	}
	o := &openCluster{target: t, subset: d.Subset, known: map[int]*Cluster{}, listed: c.out.Clusters}
	if t.service != nil {
		for _, p := range t.service.Ports {
			o.known[p.Number] = c.cluster(t, d.Subset, p.Number)
		}
	}
	c.open[key] = o
	return ClusterRef{open: o}
}

// link adds to a compiled route what it leads to.
func (c *compiler) link(s source) Route {
	r := Route{Object: s.object, Index: s.index, Delegate: s.delegate, DelegateIndex: s.delegateIndex, path: s.path}
	for _, d := range s.spec.Route {
		r.Clusters = append(r.Clusters, c.ref(d.GetDestination(), s.namespace))
	}
	add := func(d *networking.Destination, percent float64) {
		if d != nil && percent > 0 {
			r.Mirrors = append(r.Mirrors, Mirror{c.ref(d, s.mirrorNamespace), percent})
		}
	}
	add(s.spec.Mirror, mirrorPercent(s.spec))
	for _, m := range s.spec.Mirrors {
		percent := 100.0
		if m.GetPercentage() != nil {
			percent = m.Percentage.Value
		}
		add(m.GetDestination(), percent)
	}
	return r
}

func mirrorPercent(r *networking.HTTPRoute) float64 {
	switch {
	case r.MirrorPercentage != nil:
		return r.MirrorPercentage.Value
	case r.MirrorPercent != nil:
		return float64(r.MirrorPercent.Value)
	}
	return 100
}

// kubernetesNamespace is the namespace in a name of the form service.namespace.svc.domain.
func kubernetesNamespace(hostname, domain string) (string, bool) {
	rest, ok := strings.CutSuffix(hostname, ".svc."+domain)
	if !ok {
		return "", false
	}
	name, namespace, ok := strings.Cut(rest, ".")
	if !ok || name == "" || name == "*" || namespace == "" || strings.Contains(namespace, ".") {
		return "", false
	}
	return namespace, true
}
