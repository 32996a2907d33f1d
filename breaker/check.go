package breaker

import (
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/validate"
)

// check gives the errors that Istio's admission would reject the spec for; nil for a nil spec.
func check[T any](spec *T, path string, judge func(*finding.Faults, string, *T)) error {
	if spec == nil {
		return nil
	}
	var fs finding.Faults
	judge(&fs, path, spec)
	return fs.Err("breaker")
}

func checkPool(s *networking.ConnectionPoolSettings) error {
	return check(s, "connectionPool", validate.ConnectionPool)
}

func checkOutlier(s *networking.OutlierDetection) error {
	return check(s, "outlierDetection", validate.OutlierDetection)
}

// NotObeyed lists what the policy asks for and a [Breaker] alone does not do, as warnings; paths start at the
// policy. What shapes connections is up to the transport beneath: an http.Transport has its own fields for it.
func NotObeyed(policy *networking.TrafficPolicy) finding.Faults {
	n := notObeyed{}
	n.group("", policy.GetConnectionPool(), policy.GetOutlierDetection())
	n.warn("loadBalancer", policy.GetLoadBalancer() != nil)
	n.warn("tls", policy.GetTls() != nil)
	n.warn("tunnel", policy.GetTunnel() != nil)
	n.warn("proxyProtocol", policy.GetProxyProtocol() != nil)
	n.warn("retryBudget", policy.GetRetryBudget() != nil)
	for i, p := range policy.GetPortLevelSettings() {
		at := finding.Index("portLevelSettings", i)
		n.group(at, p.GetConnectionPool(), p.GetOutlierDetection())
		n.warn(at+".loadBalancer", p.GetLoadBalancer() != nil)
		n.warn(at+".tls", p.GetTls() != nil)
	}
	return n.fs
}

type notObeyed struct{ fs finding.Faults }

func (n *notObeyed) warn(path string, set bool) {
	if set {
		n.fs.Warnf(path, finding.CodeNotObeyed, "is not obeyed by a breaker alone")
	}
}

// group is what a policy and one of its port-level settings have in common.
func (n *notObeyed) group(path string, c *networking.ConnectionPoolSettings, o *networking.OutlierDetection) {
	at := finding.Join(path, "connectionPool")
	tcp, http := c.GetTcp(), c.GetHttp()
	n.warn(at+".tcp.connectTimeout", tcp.GetConnectTimeout() != nil)
	n.warn(at+".tcp.tcpKeepalive", tcp.GetTcpKeepalive() != nil)
	n.warn(at+".tcp.idleTimeout", tcp.GetIdleTimeout() != nil)
	n.warn(at+".tcp.maxConnectionDuration", tcp.GetMaxConnectionDuration() != nil)
	n.warn(at+".http.maxRequestsPerConnection", http.GetMaxRequestsPerConnection() != 0)
	n.warn(at+".http.maxRetries", http.GetMaxRetries() != 0)
	n.warn(at+".http.idleTimeout", http.GetIdleTimeout() != nil)
	n.warn(at+".http.h2UpgradePolicy", http.GetH2UpgradePolicy() != 0)
	n.warn(at+".http.useClientProtocol", http.GetUseClientProtocol())
	n.warn(at+".http.maxConcurrentStreams", http.GetMaxConcurrentStreams() != 0)
	n.warn(at+".http.http2KeepAlive", http.GetHttp2KeepAlive() != nil)
	if o == nil {
		return
	}
	at = finding.Join(path, "outlierDetection")
	n.warn(at+".minHealthPercent", o.GetMinHealthPercent() != 0)
	if t := thresholdsOf(o); t.maxPercent < 100 {
		n.fs.Warnf(at+".maxEjectionPercent", finding.CodeEjection, "%d never ejects the one endpoint of a cluster, want 100", t.maxPercent)
	}
}
