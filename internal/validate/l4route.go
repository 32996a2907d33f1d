package validate

import (
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// sniPrefix begins the server names that sidecars make up for mTLS across gateways:
// "outbound_.80_._.reviews.default.svc.cluster.local".
const sniPrefix = "outbound_"

func tlsRoute(fs *finding.Faults, path string, r *networking.TLSRoute, v *networking.VirtualService) {
	if r == nil {
		return
	}
	if len(r.Match) == 0 {
		fs.Errorf(path, "no match, want at least one with sniHosts")
	}
	for i, m := range r.Match {
		at := finding.Index(finding.Join(path, "match"), i)
		if m == nil {
			fs.Errorf(at, "null, want a match")
			continue
		}
		if len(m.SniHosts) == 0 {
			fs.Errorf(at, "no sniHosts, want at least one")
		}
		for j, h := range m.SniHosts {
			sniHost(fs, finding.Index(finding.Join(at, "sniHosts"), j), h, v)
		}
		l4Match(fs, at, m.DestinationSubnets, m.Port, m.SourceLabels, m.Gateways)
	}
	routeDestinations(fs, path, r.Route)
}

func tcpRoute(fs *finding.Faults, path string, r *networking.TCPRoute) {
	if r == nil {
		return
	}
	for i, m := range r.Match {
		at := finding.Index(finding.Join(path, "match"), i)
		if m == nil {
			fs.Errorf(at, "null, want a match")
			continue
		}
		l4Match(fs, at, m.DestinationSubnets, m.Port, m.SourceLabels, m.Gateways)
	}
	routeDestinations(fs, path, r.Route)
}

func l4Match(fs *finding.Faults, path string, subnets []string, number uint32, labels map[string]string, gateways []string) {
	for i, s := range subnets {
		subnet(fs, finding.Index(finding.Join(path, "destinationSubnets"), i), s)
	}
	if number != 0 {
		port(fs, finding.Join(path, "port"), number)
	}
	labelMap(fs, finding.Join(path, "sourceLabels"), labels)
	gatewayNames(fs, finding.Join(path, "gateways"), gateways)
}

func routeDestinations(fs *finding.Faults, path string, list []*networking.RouteDestination) {
	if len(list) == 0 {
		fs.Errorf(path, "no route, want at least one destination")
	}
	path = finding.Join(path, "route")
	weights := make([]int32, 0, len(list))
	for i, d := range list {
		at := finding.Index(path, i)
		if d == nil {
			fs.Errorf(at, "null, want a destination")
			continue
		}
		weighted(fs, at, d.Destination, d.Weight)
		weights = append(weights, d.Weight)
	}
	weightSum(fs, path, len(list), weights)
}

// sniHost wants a server name that one of the VirtualService's hosts covers.
func sniHost(fs *finding.Faults, path, sni string, v *networking.VirtualService) {
	switch {
	case !onMesh(v) && strings.HasPrefix(sni, sniPrefix):
		if !sniName(fs, path, sni) {
			return
		}
	case hostProblem(sni) == "":
	case isIP(sni):
		fs.Warnf(path, codeSchema, "%q is an IP address, which clients do not send as a server name", sni)
		return
	default:
		host(fs, path, sni)
		return
	}
	for _, h := range v.Hosts {
		if sni == h || strings.HasPrefix(h, "*") && len(sni) >= len(h) &&
			strings.HasSuffix(strings.TrimPrefix(sni, "*"), h[1:]) {
			return
		}
	}
	fs.Errorf(path, "%q is not among the names that hosts covers: %s", sni, strings.Join(v.Hosts, ", "))
}

// sniName wants a made-up server name.
func sniName(fs *finding.Faults, path, s string) bool {
	parts := strings.Split(s, "_")
	if len(s) <= maxHost && len(parts) >= 4 && parts[0]+"_" == sniPrefix && strings.ContainsAny(parts[1], "0123456789") &&
		strings.ContainsAny(strings.ToLower(parts[3]), "abcdefghijklmnopqrstuvwxyz") {
		return true
	}
	fs.Errorf(path, "%q is not of the form outbound_.PORT_.SUBSET_.HOST", s)
	return false
}

// matchesSNI tells whether any route looks at the server name.
func matchesSNI(v *networking.VirtualService) bool {
	for _, r := range v.Tls {
		for _, m := range r.GetMatch() {
			if len(m.GetSniHosts()) > 0 {
				return true
			}
		}
	}
	return false
}
