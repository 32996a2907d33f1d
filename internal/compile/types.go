// Package compile turns a rule set into the tables that requests are looked up in: which VirtualService answers
// which host and port, in the mesh and on each gateway, and which clusters its routes lead to.
//
// It decides what is known before a request comes: namespaces, exportTo, Sidecar, sourceLabels, gateways,
// delegates, subsets and policies. What depends on the request is left to package route.
package compile

import (
	"github.com/go-inmesh/inmesh/internal/destination"
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/internal/rule"
	"github.com/go-inmesh/inmesh/route"

	networking "istio.io/api/networking/v1"
)

// Workload is who we are: the client whose requests are routed.
type Workload struct {
	Name      string
	Namespace string
	Labels    map[string]string
}

// Input is all that a compilation depends on.
type Input struct {
	Set      *rule.Set
	Registry *registry.Registry
	// Destinations are the DestinationRules as this workload sees them; nil means that there are none.
	Destinations *destination.Rules
	Workload     Workload
	// RootNamespace holds the mesh-wide defaults; empty means istio-system.
	RootNamespace string
	// Domain is the DNS domain of Kubernetes services; empty means cluster.local.
	Domain string
	// AllowAny is the mesh's outbound traffic policy: whether hosts that nothing names are passed through.
	AllowAny bool
	// Previous is the output that this one will replace; routers of rules that did not change are taken over
	// from it. Nil means that everything is compiled.
	Previous *Output
}

// Output is an immutable set of tables, safe for concurrent use.
type Output struct {
	// Mesh answers requests of this workload to hosts of the mesh.
	Mesh *Table
	// Gateways are keyed "namespace/name". A Kubernetes Ingress is a gateway of its own name, unless a Gateway
	// has that name already.
	Gateways map[string]*Gateway
	// Clusters are all destinations that a request can be sent to, keyed by Envoy's name for them:
	// "outbound|PORT|SUBSET|FQDN". Those that do not exist (Cluster.Missing) are not among them, nor those of
	// undeclared hosts at ports that only a request tells: see [ClusterRef.At].
	Clusters map[string]*Cluster
	// AllowAny is the outbound traffic policy of this workload, after its Sidecar.
	AllowAny bool
	// Sidecar is the object that limits what this workload sees; nil means that it sees everything.
	Sidecar *rule.Object

	workload Workload
	domain   string
	routers  map[string]*route.Router // by what they were compiled from
}

// VirtualHost answers the requests to one host, or to several that have the same rules.
type VirtualHost struct {
	// Name is Envoy's name: "reviews.default.svc.cluster.local:9080". It ends in ":*" where a rule answers a host
	// on ports that no service declares.
	Name string
	// Object is the VirtualService or Ingress, the oldest where a gateway joins several. It is nil for the
	// default route of a service.
	Object *rule.Object
	// Service is the service of the host; nil where none declares it.
	Service *registry.Service
	// Router decides the route. Its routes and Routes are parallel: Routes[router.Match(req).Index()].
	// Nil means that there is no route at all: 404 NR.
	Router *route.Router
	Routes []Route
	// Port is the service's or gateway server's port, 0 where any port is answered.
	Port int
	// Opaque is true where the service's port does not speak HTTP (TCP, TLS, HTTPS): no VirtualService acts,
	// and the only route is the default one.
	Opaque bool
}

// Route adds to a compiled route where it comes from and where it leads.
type Route struct {
	// Object is the root VirtualService or Ingress, nil for a default route.
	Object *rule.Object
	// Index is the place in spec.http of Object, of the first of its routes that this one was made of.
	Index int
	// Delegate is the VirtualService that the root delegates to, nil if there is none; DelegateIndex is the
	// place in its spec.http.
	Delegate      *rule.Object
	DelegateIndex int
	// Clusters are parallel to the route's destinations.
	Clusters []ClusterRef
	// Mirrors are those with a share above zero.
	Mirrors []Mirror

	path string // to the route of an Ingress: "spec.rules[0].http.paths[1]"
}

// Mirror is one cluster that gets copies of requests.
type Mirror struct {
	ClusterRef
	// Percent is the share of requests, above 0 and up to 100.
	Percent float64
}

// Position is where the route stands: in the delegate if there is one, else in the root. It is looked up
// in the document when asked for; for many routes, see [Places].
func (r *Route) Position() finding.Position { return (&Places{}).Of(r) }

// Places looks up where routes stand, each list of routes once. It is not safe for concurrent use; the zero value is
// ready.
type Places struct {
	lists map[*rule.Object][]finding.Position
}

// Of is where the route stands; zero for a default route.
func (p *Places) Of(r *Route) finding.Position {
	object, index := r.Object, r.Index
	switch {
	case r.Delegate != nil:
		object, index = r.Delegate, r.DelegateIndex
	case r.path != "":
		return r.Object.At(r.path)
	case r.Object == nil:
		return finding.Position{}
	}
	list, ok := p.lists[object]
	if !ok {
		if p.lists == nil {
			p.lists = map[*rule.Object][]finding.Position{}
		}
		list = object.List("spec.http")
		p.lists[object] = list
	}
	if index < len(list) {
		return list[index]
	}
	return object.Position
}

// Cluster is one destination: a host, a port and perhaps a subset.
type Cluster struct {
	// Name is Envoy's: "outbound|9080|v1|reviews.default.svc.cluster.local".
	Name string
	Host string
	// Subset is the name of a DestinationRule's subset, empty for all endpoints of the host.
	Subset string
	Port   int
	// Service is nil where no object declares the host: it is then resolved by DNS, at Port.
	Service *registry.Service
	// Labels are those of the subset: an endpoint must carry them all.
	Labels map[string]string
	// Policy is the effective traffic policy, already merged for subset and port; nil means all defaults.
	Policy *networking.TrafficPolicy
	// Rules are the DestinationRules that Policy and Labels come from, oldest first.
	Rules []*rule.Object
	// Missing says why there is no such cluster ("subset v9 is not in any DestinationRule"): requests get
	// 503 NC. Empty means that it exists.
	Missing string
}
