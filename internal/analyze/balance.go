package analyze

import (
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// balanced looks at all load balancer settings of a rule, each with the outlier detection beside it.
func (a *analysis) balanced(d *destinationRule) {
	top := d.Spec.TrafficPolicy
	look := func(path string, p *networking.TrafficPolicy, inherited *networking.OutlierDetection) {
		outlier := p.GetOutlierDetection()
		if outlier == nil {
			outlier = inherited
		}
		a.loadBalancer(d, path+".loadBalancer", p.GetLoadBalancer(), outlier != nil)
		for i, s := range p.GetPortLevelSettings() {
			a.loadBalancer(d, finding.Index(path+".portLevelSettings", i)+".loadBalancer", s.GetLoadBalancer(), s.GetOutlierDetection() != nil)
		}
	}
	look("trafficPolicy", top, nil)
	for i, s := range d.Spec.Subsets {
		look(finding.Index("subsets", i)+".trafficPolicy", s.GetTrafficPolicy(), top.GetOutlierDetection())
	}
}

func (a *analysis) loadBalancer(d *destinationRule, path string, lb *networking.LoadBalancerSettings, outlier bool) {
	if lb == nil {
		return
	}
	if l := lb.LocalityLbSetting; l.GetEnabled().GetValue() && !outlier && len(l.Distribute)+len(l.Failover)+len(l.FailoverPriority) == 0 {
		a.warn(d.Object, path+".localityLbSetting", finding.CodeFailover, "there is no outlierDetection, without which no locality is preferred")
	}
	if simple := lb.GetSimple(); lb.Warmup != nil && (lb.GetConsistentHash() != nil ||
		simple == networking.LoadBalancerSettings_RANDOM || simple == networking.LoadBalancerSettings_PASSTHROUGH) {
		a.warn(d.Object, path+".warmup", finding.CodeSuspicious, "only LEAST_REQUEST and ROUND_ROBIN warm endpoints up")
	}
}
