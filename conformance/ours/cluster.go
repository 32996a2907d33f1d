package ours

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"

	networking "istio.io/api/networking/v1"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/internal/destination"
	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/internal/rule"
	"github.com/go-inmesh/inmesh/mesh"

	"github.com/go-inmesh/inmesh/conformance/world"
)

// Clusters knows what DestinationRules come to for one client: what lives, by the debug pages, and what connections
// are made by, by the merged policy.
type Clusters struct {
	live     map[string]*liveCluster
	registry *registry.Registry
	rules    *destination.Rules
	client   world.Client
}

// liveCluster is a cluster on the debug page.
type liveCluster struct {
	Name      string
	Algorithm string
	Limits    breaker.Limits
	Endpoints []struct {
		Address, Locality string
		Priority, Weight  int
	}
}

// Clusters reads the mesh's debug page, and the rules.
func (c *Client) Clusters(rules *mesh.Rules) (*Clusters, error) {
	w := httptest.NewRecorder()
	c.DebugHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/clusters", nil))
	var page []*liveCluster
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
		return nil, fmt.Errorf("debug page: %w", err)
	}
	set, _ := rule.NewSet(rules.Objects())
	reg, _ := registry.Build(set, "")
	out := &Clusters{live: map[string]*liveCluster{}, registry: reg, client: c.client,
		rules: destination.Build(destination.Input{Set: set, Namespace: c.client.Namespace, Labels: c.client.Labels})}
	for _, x := range page {
		out.live[x.Name] = x
	}
	return out, nil
}

// Cluster is what the rules come to for a destination; false if there is no such cluster.
func (c *Clusters) Cluster(name string) (*world.Cluster, bool) {
	live := c.live[name]
	parts := strings.Split(name, "|")
	if live == nil || len(parts) != 4 {
		return nil, false
	}
	port, _ := strconv.Atoi(parts[1])
	svc := c.registry.Get(parts[3], c.client.Namespace)
	if svc == nil {
		return nil, false
	}
	policy := c.rules.Lookup(svc.Hostname, svc.Namespace).Policy(parts[2], port)
	tcp, http := policy.GetConnectionPool().GetTcp(), policy.GetConnectionPool().GetHttp()
	out := &world.Cluster{
		ConnectTimeout: duration(tcp.GetConnectTimeout(), 10*time.Second),
		MaxConnections: unlimited(live.Limits.MaxConnections), MaxPending: unlimited(live.Limits.MaxPendingRequests),
		MaxRequests: unlimited(live.Limits.MaxRequests), MaxRetries: unlimited(live.Limits.MaxRetries),
		RequestsPerConnection: int(http.GetMaxRequestsPerConnection()),
		IdleTimeout:           duration(http.GetIdleTimeout(), 0), MaxConnectionDuration: duration(tcp.GetMaxConnectionDuration(), 0),
		Balancer: live.Algorithm, Outlier: outlier(policy.GetOutlierDetection()),
	}
	if svc.Resolution == registry.Passthrough {
		out.Balancer = "PASSTHROUGH" // whatever the rule says
	}
	if out.IdleTimeout == "" {
		out.IdleTimeout = duration(tcp.GetIdleTimeout(), 0)
	}
	if k := tcp.GetTcpKeepalive(); k != nil {
		out.Keepalive = fmt.Sprint(k.GetProbes(), " ", k.GetTime().GetSeconds(), "s ", k.GetInterval().GetSeconds(), "s")
	}
	switch h := policy.GetLoadBalancer().GetConsistentHash(); {
	case h == nil || svc.Resolution == registry.Passthrough:
	case h.GetMaglev() != nil:
		out.Ring = int(h.GetMaglev().GetTableSize())
	default:
		out.Ring = 1024
		if n := max(h.GetRingHash().GetMinimumRingSize(), h.GetMinimumRingSize()); n > 0 { //nolint:staticcheck // the old field, still honoured
			out.Ring = int(n)
		}
	}
	if t := policy.GetTls(); t.GetMode() != networking.ClientTLSSettings_DISABLE {
		out.TLS, out.SNI, out.SANs = t.GetMode().String(), t.GetSni(), slices.Sorted(slices.Values(t.GetSubjectAltNames()))
		if out.TLS == "ISTIO_MUTUAL" {
			out.SANs = nil
			out.SNI = fmt.Sprintf("outbound_.%s_.%s_.%s", parts[1], parts[2], parts[3])
		}
	}
	if svc.Resolution == registry.Static && out.Balancer != "PASSTHROUGH" {
		for _, e := range live.Endpoints {
			out.Members = append(out.Members, fmt.Sprintf("%s*%d@%s#%d", e.Address, max(1, e.Weight), e.Locality, e.Priority))
		}
		slices.Sort(out.Members)
	}
	return out, true
}

func unlimited(n int64) int {
	if n >= 1<<32-1 {
		return 0
	}
	return int(n)
}

func duration(d *durationpb.Duration, def time.Duration) string {
	switch {
	case d != nil:
		return d.AsDuration().String()
	case def != 0:
		return def.String()
	}
	return ""
}

func outlier(o *networking.OutlierDetection) *world.Outlier {
	if o == nil {
		return nil
	}
	out := &world.Outlier{Errors: 5, Gateway: int(o.GetConsecutiveGatewayErrors().GetValue()), Split: o.GetSplitExternalLocalOriginErrors(),
		Interval: duration(o.GetInterval(), 10*time.Second), Ejection: duration(o.GetBaseEjectionTime(), 30*time.Second),
		MaxPercent: 10, MinHealth: int(o.GetMinHealthPercent())}
	if v := o.GetConsecutive_5XxErrors(); v != nil {
		out.Errors = int(v.GetValue())
	}
	if o.GetMaxEjectionPercent() > 0 {
		out.MaxPercent = int(o.GetMaxEjectionPercent())
	}
	if out.Split {
		out.Local = 5
		if n := o.GetConsecutiveLocalOriginFailures().GetValue(); n > 0 {
			out.Local = int(n)
		}
	}
	return out
}
