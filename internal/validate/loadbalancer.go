package validate

import (
	"math/big"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// maxTable is where sizes of Maglev tables end.
const maxTable = 5000011

// LoadBalancer judges load balancer settings on their own. Locality failover without outlier detection is warned of
// by [TrafficPolicy], which sees both.
func LoadBalancer(fs *finding.Faults, path string, lb *networking.LoadBalancerSettings) {
	loadBalancer(fs, path, lb, true)
}

func loadBalancer(fs *finding.Faults, path string, lb *networking.LoadBalancerSettings, outlier bool) {
	if lb == nil {
		return
	}
	switch p := lb.LbPolicy.(type) {
	case *networking.LoadBalancerSettings_Simple:
		enum(fs, finding.Join(path, "simple"), p.Simple)
	case *networking.LoadBalancerSettings_ConsistentHash:
		consistentHash(fs, finding.Join(path, "consistentHash"), p.ConsistentHash)
	}
	if lb.LocalityLbSetting != nil && lb.ZoneAwareLbSetting != nil {
		fs.Errorf(finding.Join(path, "zoneAwareLbSetting"), "localityLbSetting and zoneAwareLbSetting are set together")
	}
	locality(fs, finding.Join(path, "localityLbSetting"), lb.LocalityLbSetting, outlier)
	zoneAware(fs, finding.Join(path, "zoneAwareLbSetting"), lb.ZoneAwareLbSetting, outlier)
	warmup(fs, finding.Join(path, "warmup"), lb.Warmup)
	Duration(fs, finding.Join(path, "warmupDurationSecs"), lb.WarmupDurationSecs) // still honoured
}

func consistentHash(fs *finding.Faults, path string, h *networking.LoadBalancerSettings_ConsistentHashLB) {
	if h == nil {
		return
	}
	if c := h.GetHttpCookie(); c != nil {
		cookie := finding.Join(path, "httpCookie")
		if c.Name == "" {
			fs.Errorf(finding.Join(cookie, "name"), "the cookie has no name")
		}
		seen := map[string]bool{}
		for i, a := range c.Attributes {
			at := finding.Join(finding.Index(finding.Join(cookie, "attributes"), i), "name")
			switch {
			case a.GetName() == "":
				fs.Errorf(at, "the attribute has no name")
			case seen[a.Name]:
				fs.Errorf(at, "%q is the name of an earlier attribute", a.Name)
			default:
				seen[a.Name] = true
			}
		}
	}
	if h.MinimumRingSize != 0 && h.HashAlgorithm != nil { // still honoured
		fs.Errorf(finding.Join(path, "minimumRingSize"), "set beside ringHash or maglev, want ringHash.minimumRingSize")
	}
	if m := h.GetMaglev(); m != nil {
		at := finding.Join(path, "maglev.tableSize")
		switch n := m.TableSize; {
		case n == 0:
			fs.Errorf(at, "0, want a prime number under %d", maxTable)
		case n >= maxTable:
			fs.Errorf(at, "%d is not less than %d", n, maxTable)
		case n != 1 && !new(big.Int).SetUint64(n).ProbablyPrime(0): // exact for numbers so small; 1 passes in Envoy
			fs.Errorf(at, "%d is not a prime number", n)
		}
	}
}

func warmup(fs *finding.Faults, path string, w *networking.WarmupConfiguration) {
	if w == nil {
		return
	}
	if w.Duration == nil {
		fs.Errorf(path, "no duration")
	}
	Duration(fs, finding.Join(path, "duration"), w.Duration)
	if p := w.MinimumPercent; p != nil && !(p.Value >= 0 && p.Value <= 100) {
		fs.Errorf(finding.Join(path, "minimumPercent"), "%v is not in 0..100", p.Value)
	}
	if a := w.Aggression; a != nil && !(a.Value > 0) {
		fs.Errorf(finding.Join(path, "aggression"), "%v is not more than 0", a.Value)
	}
}
