package validate

import (
	networking "istio.io/api/networking/v1beta1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// proxyConfig judges https://istio.io/latest/docs/reference/config/networking/proxy-config/.
func proxyConfig(fs *finding.Faults, p *networking.ProxyConfig) {
	if p == nil {
		return
	}
	selector(fs, "selector", p.Selector)
	notNegative(fs, "concurrency", p.Concurrency.GetValue())
	for _, k := range sorted(p.EnvironmentVariables) {
		atMost(fs, finding.Key("environmentVariables", k), len(p.EnvironmentVariables[k]), 2048)
	}
}
