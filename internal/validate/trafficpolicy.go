package validate

import (
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// TrafficPolicy judges the policy of a DestinationRule or of one of its subsets.
func TrafficPolicy(fs *finding.Faults, path string, p *networking.TrafficPolicy) {
	trafficPolicy(fs, path, "", p)
}

func trafficPolicy(fs *finding.Faults, path, namespace string, p *networking.TrafficPolicy) {
	if p == nil {
		return
	}
	if p.OutlierDetection == nil && p.ConnectionPool == nil && p.LoadBalancer == nil && p.Tls == nil &&
		p.PortLevelSettings == nil && p.Tunnel == nil && p.ProxyProtocol == nil && p.RetryBudget == nil {
		fs.Errorf(path, "the policy is empty")
	}
	if p.Tunnel != nil && p.ProxyProtocol != nil {
		fs.Errorf(finding.Join(path, "proxyProtocol"), "tunnel and proxyProtocol are set together")
	}
	OutlierDetection(fs, finding.Join(path, "outlierDetection"), p.OutlierDetection)
	ConnectionPool(fs, finding.Join(path, "connectionPool"), p.ConnectionPool)
	loadBalancer(fs, finding.Join(path, "loadBalancer"), p.LoadBalancer, p.OutlierDetection != nil)
	clientTLS(fs, finding.Join(path, "tls"), namespace, p.Tls)
	RetryBudget(fs, finding.Join(path, "retryBudget"), p.RetryBudget)
	tunnel(fs, finding.Join(path, "tunnel"), p.Tunnel)
	if p.ProxyProtocol != nil {
		enum(fs, finding.Join(path, "proxyProtocol.version"), p.ProxyProtocol.Version)
	}
	ports := finding.Join(path, "portLevelSettings")
	if n := len(p.PortLevelSettings); n > 4096 {
		fs.Errorf(ports, "%d entries are more than 4096", n)
	}
	for i, s := range p.PortLevelSettings {
		portPolicy(fs, finding.Index(ports, i), namespace, s)
	}
}

func portPolicy(fs *finding.Faults, path, namespace string, p *networking.TrafficPolicy_PortTrafficPolicy) {
	if p == nil {
		fs.Errorf(path, "null, want a policy")
		return
	}
	switch n := p.Port.GetNumber(); {
	case p.Port == nil:
		fs.Errorf(path, "no port")
	case n < 1 || n > 65535:
		// Istio lets it pass.
		fs.Warnf(finding.Join(path, "port.number"), finding.CodeSuspicious, "%d is not in 1..65535, so that the policy is for no port", n)
	}
	if p.OutlierDetection == nil && p.ConnectionPool == nil && p.LoadBalancer == nil && p.Tls == nil {
		fs.Errorf(path, "the policy is empty")
	}
	OutlierDetection(fs, finding.Join(path, "outlierDetection"), p.OutlierDetection)
	ConnectionPool(fs, finding.Join(path, "connectionPool"), p.ConnectionPool)
	loadBalancer(fs, finding.Join(path, "loadBalancer"), p.LoadBalancer, p.OutlierDetection != nil)
	clientTLS(fs, finding.Join(path, "tls"), namespace, p.Tls)
}

// RetryBudget judges a retry budget.
func RetryBudget(fs *finding.Faults, path string, b *networking.TrafficPolicy_RetryBudget) {
	if b == nil {
		return
	}
	if p := b.Percent; p != nil && !(p.Value >= 0 && p.Value <= 100) {
		fs.Errorf(finding.Join(path, "percent"), "%v is not in 0..100", p.Value)
	}
	Duration(fs, finding.Join(path, "budgetInterval"), b.BudgetInterval)
}

func tunnel(fs *finding.Faults, path string, t *networking.TrafficPolicy_TunnelSettings) {
	if t == nil {
		return
	}
	if t.Protocol != "" && t.Protocol != "CONNECT" && t.Protocol != "POST" {
		fs.Errorf(finding.Join(path, "protocol"), "%q is not CONNECT or POST", t.Protocol)
	}
	if p := fqdnProblem(t.TargetHost); p != "" && !isIP(t.TargetHost) {
		fs.Errorf(finding.Join(path, "targetHost"), "%q is not a domain name or an IP address: %s", t.TargetHost, p)
	}
	port(fs, finding.Join(path, "targetPort"), t.TargetPort)
}
