package mesh

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-inmesh/inmesh/identity"
	"github.com/go-inmesh/inmesh/internal/registry"
)

// Options say who the workload is and what the mesh may use. Nil, and every zero field, works.
type Options struct {
	// Workload is who we are. What is empty is taken from the environment, see [Workload].
	Workload Workload
	// Identity proves who we are. Nil means that there is no mTLS: a cluster whose rules ask for ISTIO_MUTUAL
	// refuses every request.
	Identity identity.Source
	// Registerer takes Istio's metrics. Nil means no metrics.
	Registerer prometheus.Registerer
	// TracerProvider makes spans. Nil means the global one of OpenTelemetry.
	TracerProvider trace.TracerProvider
	// Propagator carries the trace between processes. Nil means the global one of OpenTelemetry.
	Propagator propagation.TextMapPropagator
	// Logger hears of reloads, warnings about rules, ejections. Nil means [slog.Default].
	Logger *slog.Logger
	// AccessLog gets a record for each request, with Istio's keys. Nil means none.
	AccessLog *slog.Logger
	// LocalReplies answers refusals with the exact response of a sidecar, instead of an error from RoundTrip. It
	// is for code that was written against one. Handlers and gateways always answer so.
	LocalReplies bool
	// Aspects are the user's own, at the join points of the request's way.
	Aspects Aspects
	// Rand is the one source of chance, in [0, 1): splits, faults, balancing, jitter. Nil means one that cannot be
	// repeated; with a seeded one, and requests one after another, a run repeats itself. Calls are serialised.
	Rand func() float64
	// MaxMirrors is how many copies of requests for mirrors there may be at a time, under way or waiting for the
	// request's body to go out, of which up to 1 MiB is kept. What is beyond is left out and counted: see
	// [Mesh.Mirrors]. 0 means 256; a negative number means that nothing is mirrored.
	MaxMirrors int
	// RegistryOnly refuses requests to hosts that neither a rule nor a service names, with 502, unless a Sidecar
	// says otherwise: Istio's outboundTrafficPolicy REGISTRY_ONLY. False passes them through unchanged.
	RegistryOnly bool
	// Extensions are limits and checks that Istio has no field for. The zero value has none, and costs nothing.
	Extensions Extensions
	// RootNamespace holds the rules for the whole mesh. Empty means "istio-system".
	RootNamespace string
	// TrustDomain is the trust domain of the workloads. Empty means "cluster.local".
	TrustDomain string
	// Domain completes the names of Kubernetes services. Empty means "cluster.local".
	Domain string
	// TrustDomainAliases are other names of TrustDomain: AuthorizationPolicies that name one mean all.
	TrustDomainAliases []string
	// Authorizers are asked by AuthorizationPolicies with the action CUSTOM, each under its provider's name;
	// [identity.ExtAuthz] is one. What a provider that is not here would be asked about is denied.
	Authorizers map[string]identity.Provider
	// TrustedProxies is how many proxies there are in front of the mesh whose entries of x-forwarded-for are believed, for
	// remoteIpBlocks and remote.ip: Istio's gatewayTopology.numTrustedProxies.
	TrustedProxies int
	// KeysClient fetches the keys of RequestAuthentications. Nil means connections of its own, under the system's roots.
	KeysClient *http.Client
	// Dial connects to endpoints, for the mesh's own pools. Nil means a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// LookupHost resolves names, for clusters that are found by DNS. Nil means [net.DefaultResolver].
	LookupHost func(ctx context.Context, host string) ([]string, error)
}

// Workload says who a client or server is. It decides what short names in requests mean, which rules are seen, and
// which sourceLabels match. What is empty is taken from the environment, as Kubernetes' downward API fills it: Name
// from WORKLOAD_NAME, POD_NAME or HOSTNAME; Namespace from POD_NAMESPACE, else "default"; ServiceAccount from
// SERVICE_ACCOUNT; Labels from POD_LABELS ("app=web,version=v1"); Cluster from CLUSTER_ID, else "Kubernetes"; IP from
// INSTANCE_IP or POD_IP. Locality is taken from the labels.
type Workload struct {
	Name           string
	Namespace      string
	ServiceAccount string
	Labels         map[string]string
	// Cluster is the name of the Kubernetes cluster, as metrics show it.
	Cluster string
	// Locality is where it runs, "region/zone/subzone": requests prefer endpoints nearby. Empty means what the labels
	// topology.kubernetes.io/region and zone, and topology.istio.io/subzone, say.
	Locality string
	// IP is the address that it sends from, for rules that tie requests to endpoints by it. Empty means the machine's
	// first address that is not for itself alone.
	IP string
}

// Aspects are a user's own parts of the chain. Each list is applied from the outside in: the first one sees the
// request first. An aspect reads the decision so far with [CallFrom], and refuses by answering or by returning an
// error; it closes the request's body if it does not pass the request on. Nil lists cost nothing.
type Aspects struct {
	// Request is around the logical request, once: after the route is known and before faults, retries and the
	// choice of a cluster.
	Request []func(next http.RoundTripper) http.RoundTripper
	// Attempt is around each attempt, after the endpoint is known. Its request is the one that goes on the wire. Where
	// attempts run side by side (see docs/extensions.md), each is on a goroutine of its own. Copies for mirrors are not
	// seen: they are no part of the caller's request.
	Attempt []func(next http.RoundTripper) http.RoundTripper
	// BeforeAuthorization is on the server's side, after the peer is known and before policy is asked.
	BeforeAuthorization []func(next http.Handler) http.Handler
	// AfterAuthorization is on the server's side, around the application.
	AfterAuthorization []func(next http.Handler) http.Handler
}

// withDefaults is a copy in which every field has its meaning.
func (o *Options) withDefaults() *Options {
	d := Options{}
	if o != nil {
		d = *o
	}
	w := &d.Workload
	host, _ := os.Hostname()
	w.Name = cmp.Or(w.Name, os.Getenv("WORKLOAD_NAME"), os.Getenv("POD_NAME"), host)
	w.Namespace = cmp.Or(w.Namespace, os.Getenv("POD_NAMESPACE"), "default")
	w.ServiceAccount = cmp.Or(w.ServiceAccount, os.Getenv("SERVICE_ACCOUNT"))
	w.Cluster = cmp.Or(w.Cluster, os.Getenv("CLUSTER_ID"), "Kubernetes")
	if w.Labels == nil {
		w.Labels = parseLabels(os.Getenv("POD_LABELS"))
	}
	w.Locality = cmp.Or(w.Locality, registry.LocalityOf(w.Labels))
	w.IP = cmp.Or(w.IP, os.Getenv("INSTANCE_IP"), os.Getenv("POD_IP"))
	d.RootNamespace = cmp.Or(d.RootNamespace, "istio-system")
	d.TrustDomain = cmp.Or(d.TrustDomain, "cluster.local")
	d.Domain = cmp.Or(d.Domain, "cluster.local")
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	if d.Rand == nil {
		d.Rand = rand.Float64
	} else {
		d.Rand = serialised(d.Rand)
	}
	if d.MaxMirrors == 0 {
		d.MaxMirrors = maxMirrors
	}
	if d.LookupHost == nil {
		d.LookupHost = net.DefaultResolver.LookupHost
	}
	return &d
}

// serialised makes a seeded source safe for concurrent use.
func serialised(f func() float64) func() float64 {
	var mu sync.Mutex
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return f()
	}
}

// parseLabels reads "app=web,version=v1", and the downward API's form of a line for each label, quoted.
func parseLabels(s string) map[string]string {
	labels := map[string]string{}
	for kv := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == '\n' }) {
		if k, v, ok := strings.Cut(strings.TrimSpace(kv), "="); ok {
			labels[k] = strings.Trim(v, `"`)
		}
	}
	return labels
}
