package istio

import (
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpopts "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/go-inmesh/inmesh/conformance/world"
)

// Outbound are the names of the clusters that requests can be sent to, in order.
func (p *Proxy) Outbound() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(p.clusters())), func(n string) bool { return !strings.HasPrefix(n, "outbound|") })
}

// Cluster is what the DestinationRules come to for a destination.
func (p *Proxy) Cluster(name string) (*world.Cluster, error) {
	c := p.clusters()[name]
	out := &world.Cluster{ConnectTimeout: seconds(c.ConnectTimeout), Balancer: c.LbPolicy.String()}
	for _, t := range c.GetCircuitBreakers().GetThresholds() {
		out.MaxConnections, out.MaxPending = limit(t.MaxConnections), limit(t.MaxPendingRequests)
		out.MaxRequests, out.MaxRetries = limit(t.MaxRequests), limit(t.MaxRetries)
		if b := t.RetryBudget; b != nil {
			out.RetryBudget = fmt.Sprint(b.BudgetPercent.GetValue(), "% ", b.MinRetryConcurrency.GetValue(), " ", seconds(b.BudgetInterval))
		}
	}
	if any := c.TypedExtensionProtocolOptions["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]; any != nil {
		o := &httpopts.HttpProtocolOptions{}
		if err := any.UnmarshalTo(o); err != nil {
			return nil, err
		}
		h := o.GetCommonHttpProtocolOptions()
		out.RequestsPerConnection = int(h.GetMaxRequestsPerConnection().GetValue())
		out.IdleTimeout, out.MaxConnectionDuration = seconds(h.GetIdleTimeout()), seconds(h.GetMaxConnectionDuration())
	}
	if k := c.GetUpstreamConnectionOptions().GetTcpKeepalive(); k != nil {
		out.Keepalive = fmt.Sprint(k.KeepaliveProbes.GetValue(), " ", k.KeepaliveTime.GetValue(), "s ", k.KeepaliveInterval.GetValue(), "s")
	}
	out.Outlier = outlier(c)
	switch {
	case c.GetType() == cluster.Cluster_ORIGINAL_DST:
		out.Balancer = "PASSTHROUGH"
	case c.LbPolicy == cluster.Cluster_RING_HASH:
		out.Ring = int(c.GetRingHashLbConfig().GetMinimumRingSize().GetValue())
	case c.LbPolicy == cluster.Cluster_MAGLEV:
		out.Ring = int(c.GetMaglevLbConfig().GetTableSize().GetValue())
	}
	if err := transport(c, out); err != nil {
		return nil, err
	}
	if t := c.GetType(); t == cluster.Cluster_EDS || t == cluster.Cluster_STATIC {
		out.Members = p.members(name)
	}
	return out, nil
}

func (p *Proxy) members(name string) []string {
	var out []string
	for _, l := range p.endpoints()[name].GetEndpoints() {
		x := l.GetLocality()
		place := strings.TrimRight(x.GetRegion()+"/"+x.GetZone()+"/"+x.GetSubZone(), "/")
		for _, e := range l.LbEndpoints {
			a := e.GetEndpoint().GetAddress().GetSocketAddress()
			out = append(out, fmt.Sprintf("%s*%d@%s#%d", net.JoinHostPort(a.GetAddress(), strconv.Itoa(int(a.GetPortValue()))),
				max(1, e.LoadBalancingWeight.GetValue()), place, l.Priority))
		}
	}
	slices.Sort(out)
	return out
}

func limit(v *wrapperspb.UInt32Value) int {
	if v.GetValue() == math.MaxUint32 {
		return 0
	}
	return int(v.GetValue())
}

func seconds(d *durationpb.Duration) string {
	if d == nil {
		return ""
	}
	return d.AsDuration().String()
}

// outlier fills in what Envoy takes where Istio leaves a field out.
func outlier(c *cluster.Cluster) *world.Outlier {
	o := c.OutlierDetection
	if o == nil {
		return nil
	}
	or := func(v *wrapperspb.UInt32Value, def int) int {
		if v == nil {
			return def
		}
		return int(v.Value)
	}
	duration := func(d *durationpb.Duration, def time.Duration) string {
		if d == nil {
			return def.String()
		}
		return d.AsDuration().String()
	}
	out := &world.Outlier{
		Errors: or(o.Consecutive_5Xx, 5), Gateway: or(o.ConsecutiveGatewayFailure, 5), Split: o.SplitExternalLocalOriginErrors,
		Interval: duration(o.Interval, 10*time.Second), Ejection: duration(o.BaseEjectionTime, 30*time.Second),
		MaxPercent: or(o.MaxEjectionPercent, 10), MinHealth: int(c.GetCommonLbConfig().GetHealthyPanicThreshold().GetValue()),
	}
	if or(o.EnforcingConsecutive_5Xx, 100) == 0 {
		out.Errors = 0
	}
	if or(o.EnforcingConsecutiveGatewayFailure, 0) == 0 {
		out.Gateway = 0
	}
	if out.Split && or(o.EnforcingConsecutiveLocalOriginFailure, 100) > 0 {
		out.Local = or(o.ConsecutiveLocalOriginFailure, 5)
	}
	return out
}

// transport reads the cluster's TLS, if a rule asks for it.
func transport(c *cluster.Cluster, out *world.Cluster) error {
	s := c.GetTransportSocket()
	if s.GetName() != "envoy.transport_sockets.tls" {
		return nil
	}
	t := &tls.UpstreamTlsContext{}
	if err := s.GetTypedConfig().UnmarshalTo(t); err != nil {
		return err
	}
	out.TLS, out.SNI = "SIMPLE", t.Sni
	common := t.GetCommonTlsContext()
	for _, x := range common.GetTlsCertificateSdsSecretConfigs() {
		out.TLS = "MUTUAL"
		if x.Name == "default" {
			out.TLS = "ISTIO_MUTUAL"
		}
	}
	v := common.GetCombinedValidationContext().GetDefaultValidationContext()
	if out.TLS != "ISTIO_MUTUAL" { // there they are service accounts
		for _, m := range v.GetMatchSubjectAltNames() { //nolint:staticcheck // what Istio writes
			out.SANs = append(out.SANs, m.GetExact())
		}
		slices.Sort(out.SANs)
	}
	return nil
}
