package validate

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// meshGateway is the reserved name of the sidecars among a VirtualService's gateways.
const meshGateway = "mesh"

// virtualService judges https://istio.io/latest/docs/reference/config/networking/virtual-service/.
func virtualService(fs *finding.Faults, in scope, v *networking.VirtualService) {
	if v == nil {
		return
	}
	delegate := len(v.Hosts) == 0
	if delegate {
		for _, part := range []struct {
			name string
			n    int
		}{{"gateways", len(v.Gateways)}, {"tls", len(v.Tls)}, {"tcp", len(v.Tcp)}} {
			if part.n > 0 {
				fs.Errorf(part.name, "a VirtualService without hosts is a delegate, which has no %s", part.name)
			}
		}
	}
	gatewayNames(fs, "gateways", v.Gateways)
	onMesh := onMesh(v)
	virtualHosts(fs, v, onMesh)

	if len(v.Http) == 0 && len(v.Tls) == 0 && len(v.Tcp) == 0 {
		fs.Errorf("", "no routes, want http, tls or tcp")
	}
	for i, r := range v.Http {
		path := finding.Index("http", i)
		if r == nil {
			fs.Errorf(path, "null, want a route")
			continue
		}
		httpRoute(fs, path, r, delegate)
		if onMesh {
			claimMatches(fs, path, r)
		}
	}
	for i, r := range v.Tls {
		tlsRoute(fs, finding.Index("tls", i), r, v)
	}
	for i, r := range v.Tcp {
		tcpRoute(fs, finding.Index("tcp", i), r)
	}
	exportTo(fs, in.namespace, v.ExportTo, false, false)
	unreached(fs, v)
}

// onMesh tells whether the sidecars obey the VirtualService, alone or beside gateways.
func onMesh(v *networking.VirtualService) bool {
	return len(v.Gateways) == 0 || slices.Contains(v.Gateways, meshGateway)
}

func virtualHosts(fs *finding.Faults, v *networking.VirtualService, onMesh bool) {
	sni, valid := matchesSNI(v), true
	for i, h := range v.Hosts {
		path := finding.Index("hosts", i)
		switch {
		case isIP(h):
		case !onMesh && sni && strings.HasPrefix(h, sniPrefix):
			valid = sniName(fs, path, h) && valid
		case hostProblem(h) != "":
			fs.Errorf(path, "%q is not a host name: %s", h, hostProblem(h))
			valid = false
		case h == "*" && onMesh:
			fs.Errorf(path, `"*" is not allowed on the mesh gateway, want hosts or a gateway`)
			valid = false
		}
	}
	if valid {
		overlappingHosts(fs, v.Hosts)
	}
}

// overlappingHosts reports hosts that another of the list covers: of a name and a wildcard the name, of two
// wildcards the longer one.
func overlappingHosts(fs *finding.Faults, hosts []string) {
	wild := map[string]bool{} // what follows the stars
	for _, h := range hosts {
		if suffix, ok := strings.CutPrefix(h, "*"); ok {
			wild[suffix] = true
		}
	}
	seen := map[string]bool{}
	for i, h := range hosts {
		path := finding.Index("hosts", i)
		if seen[h] {
			fs.Errorf(path, "%q stands in the list twice", h)
		}
		seen[h] = true
		from := 0
		if strings.HasPrefix(h, "*") {
			from = 2 // past its own suffix
		}
		for j := from; j <= len(h) && len(wild) > 0; j++ {
			if wild[h[j:]] {
				fs.Errorf(path, "%q is covered by %q of the same list", h, "*"+h[j:])
				break
			}
		}
	}
}

// gatewayNames judges references to gateways: "name", "namespace/name", or the long form of old. Istio does not
// look past the first name without namespace, so what follows is only warned of.
func gatewayNames(fs *finding.Faults, path string, names []string) {
	looked := true
	for i, n := range names {
		at, problem := finding.Index(path, i), ""
		if ns, name, ok := strings.Cut(n, "/"); !ok {
			problem = fqdnProblem(n)
		} else if !isLabel(ns) || !isLabel(name) {
			problem = "want namespace/name, both DNS labels"
		}
		switch {
		case problem == "":
		case looked:
			fs.Errorf(at, "%q is not the name of a gateway: %s", n, problem)
		default:
			fs.Warnf(at, finding.CodeSuspicious, "%q is not the name of a gateway: %s", n, problem)
		}
		looked = looked && strings.Contains(n, "/")
	}
}
