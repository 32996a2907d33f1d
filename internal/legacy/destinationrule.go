package legacy

import (
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule/tree"
)

func (r rewriter) destinationRule(spec *tree.Node) {
	r.policy(spec.Get("trafficPolicy", "traffic_policy"), "spec.trafficPolicy")
	each(spec.Get("subsets"), "spec.subsets", func(s *tree.Node, path string) {
		r.policy(s.Get("trafficPolicy", "traffic_policy"), finding.Join(path, "trafficPolicy"))
	})
}

func (r rewriter) policy(p *tree.Node, path string) {
	r.outlier(p.Get("outlierDetection", "outlier_detection"), finding.Join(path, "outlierDetection"))
	r.balancer(p.Get("loadBalancer", "load_balancer"), finding.Join(path, "loadBalancer"))
	ports := p.Get("portLevelSettings", "port_level_settings")
	each(ports, finding.Join(path, "portLevelSettings"), func(n *tree.Node, path string) {
		r.outlier(n.Get("outlierDetection", "outlier_detection"), finding.Join(path, "outlierDetection"))
		r.balancer(n.Get("loadBalancer", "load_balancer"), finding.Join(path, "loadBalancer"))
	})
}

// outlier takes consecutiveErrors as Istio 1.0 meant it: consecutive answers of 5xx. It also lifts the block http,
// in which the settings stood before Istio 1.0.
func (r rewriter) outlier(o *tree.Node, path string) {
	if k := o.Find("http"); k != nil && k.Value.Kind == tree.Map {
		block := *k
		r.warn(&block, path, "an old form: write its fields straight under outlierDetection")
		o.Remove("http")
		for _, f := range block.Value.Kids {
			if o.Find(f.Key) == nil {
				o.Kids = append(o.Kids, f)
			}
		}
	}
	k := o.Find("consecutiveErrors", "consecutive_errors")
	switch {
	case k == nil:
	case o.Find("consecutive5xxErrors", "consecutive_5xx_errors") != nil:
		r.warn(k, path, "not used beside consecutive5xxErrors: delete it")
		o.Remove(k.Key)
	default:
		r.warn(k, path, "an old form, read as Istio 1.0 did: write consecutive5xxErrors: %s", scalar(&k.Value))
		k.Key = "consecutive5xxErrors"
	}
}

func (r rewriter) balancer(lb *tree.Node, path string) {
	if k := lb.Find("simple"); k != nil && k.Value.Kind == tree.String && k.Value.Text == "LEAST_CONN" {
		r.warn(k, path, "LEAST_CONN is an old name: write simple: LEAST_REQUEST")
		k.Value.Text = "LEAST_REQUEST"
	}
	if k := lb.Find("warmupDurationSecs", "warmup_duration_secs"); k != nil {
		if lb.Find("warmup") != nil {
			r.warn(k, path, "not used beside warmup: delete it")
		} else {
			r.warn(k, path, "an old form: write warmup: {duration: %s}", scalar(&k.Value))
		}
	}
	hash := lb.Get("consistentHash", "consistent_hash")
	if k := hash.Find("minimumRingSize", "minimum_ring_size"); k != nil {
		r.warn(k, finding.Join(path, "consistentHash"), "an old form: write ringHash: {minimumRingSize: %s}", scalar(&k.Value))
	}
}
