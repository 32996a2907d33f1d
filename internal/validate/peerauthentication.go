package validate

import (
	"maps"
	"slices"
	"strconv"

	security "istio.io/api/security/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// peerAuthentication judges https://istio.io/latest/docs/reference/config/security/peer_authentication/.
func peerAuthentication(fs *finding.Faults, p *security.PeerAuthentication) {
	if p == nil {
		return
	}
	selector(fs, "selector", p.Selector)
	enum(fs, "mtls.mode", p.Mtls.GetMode())
	switch {
	case p.PortLevelMtls == nil:
	case len(p.PortLevelMtls) == 0:
		fs.Errorf("portLevelMtls", "no ports, want at least one")
	case len(p.Selector.GetMatchLabels()) == 0:
		fs.Errorf("portLevelMtls", "set without a selector, for a port belongs to a workload")
	}
	for _, n := range slices.Sorted(maps.Keys(p.PortLevelMtls)) {
		at := finding.Key("portLevelMtls", strconv.FormatUint(uint64(n), 10))
		port(fs, at, n)
		enum(fs, finding.Join(at, "mode"), p.PortLevelMtls[n].GetMode())
	}
}
