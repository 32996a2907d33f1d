package observe

import "unique"

// Workload is one end of a request in the words of Kubernetes. Empty fields are not known.
type Workload struct {
	// Name is the workload's name, that of the Deployment for instance.
	Name string
	// Namespace is the workload's namespace.
	Namespace string
	// Cluster is the id of its cluster. Empty means "Kubernetes" for one's own workload, as with Istio, and
	// for a peer whose namespace is known it means one's own cluster.
	Cluster string
	// Principal is its SPIFFE id, spiffe://trust-domain/ns/namespace/sa/account.
	Principal string
	// Labels are its labels; those for app, version, canonical name and canonical revision are read.
	Labels map[string]string
}

// Peer is a workload made ready for telemetry: comparable and as cheap to copy as a pointer. Make it with
// [Observer.Peer] and keep it, for one endpoint or one connection. The zero Peer is one of which nothing is
// known.
type Peer struct{ h unique.Handle[peer] }

// Service is the service that a request was meant for, made ready for telemetry: comparable and as cheap to
// copy as a pointer. Make it with [NewService] and keep it. The zero Service is not known: on a client the
// host that the caller asked for stands in for it.
type Service struct{ h unique.Handle[service] }

// peer holds the label values of one end, none of them empty.
type peer struct {
	workload, namespace, cluster, principal           string
	app, version, canonicalService, canonicalRevision string
}

// service holds the label values of a service, none of them empty.
type service struct{ host, name, namespace string }

const unknown = "unknown"

var (
	noPeer    = peer{unknown, unknown, unknown, unknown, unknown, unknown, unknown, "latest"}
	noService = service{unknown, unknown, unknown}
)

// NewService makes a Service of its full host name, its short name and its namespace. An empty name becomes
// the host; what is still empty becomes "unknown".
func NewService(host, name, namespace string) Service {
	if name == "" {
		name = host
	}
	return Service{unique.Make(service{clean(host), clean(name), clean(namespace)})}
}

// Peer makes a workload ready for telemetry. Its canonical name and revision follow from its labels by
// Istio's rules.
func (o *Observer) Peer(w Workload) Peer {
	l := w.Labels
	if w.Cluster == "" && w.Namespace != "" {
		w.Cluster = o.cluster
	}
	revision := first(l["service.istio.io/canonical-revision"], l["app.kubernetes.io/version"], l["version"], "latest")
	return Peer{unique.Make(peer{
		workload:  clean(w.Name),
		namespace: clean(w.Namespace),
		cluster:   clean(w.Cluster),
		principal: clean(w.Principal),
		app:       clean(l["app"]),
		version:   clean(l["version"]),
		canonicalService: clean(first(l["service.istio.io/canonical-name"], l["app.kubernetes.io/name"], l["app"],
			w.Name)),
		canonicalRevision: clean(revision),
	})}
}

// Self is who we are, as [Options] say.
func (o *Observer) Self() Peer { return o.self }

func (p Peer) values() peer {
	if p == (Peer{}) {
		return noPeer
	}
	return p.h.Value()
}

func (s Service) values() service {
	if s == (Service{}) {
		return noService
	}
	return s.h.Value()
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
