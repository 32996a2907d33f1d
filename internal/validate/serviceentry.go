package validate

import (
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// serviceEntry judges https://istio.io/latest/docs/reference/config/networking/service-entry/.
func serviceEntry(fs *finding.Faults, in scope, s *networking.ServiceEntry) {
	if s == nil {
		return
	}
	enum(fs, "location", s.Location)
	enum(fs, "resolution", s.Resolution)
	atMost(fs, "hosts", len(s.Hosts), 256)
	atMost(fs, "addresses", len(s.Addresses), 256)
	atMost(fs, "ports", len(s.Ports), 256)
	atMost(fs, "endpoints", len(s.Endpoints), 4096)
	networkingSelector(fs, "workloadSelector", s.WorkloadSelector)
	if s.WorkloadSelector != nil && len(s.Endpoints) > 0 {
		fs.Errorf("endpoints", "workloadSelector and endpoints are set together")
	}
	entryHosts(fs, s)
	for i, a := range s.Addresses {
		at := finding.Index("addresses", i)
		subnet(fs, at, a)
		if strings.Contains(a, "/") && s.Resolution != networking.ServiceEntry_NONE && s.Resolution != networking.ServiceEntry_STATIC {
			fs.Errorf(at, "%q is a CIDR block, which goes with the resolutions NONE and STATIC, not %v", a, s.Resolution)
		}
	}
	names := entryPorts(fs, in, s)
	entryEndpoints(fs, s, names)
	if s.Resolution == networking.ServiceEntry_DYNAMIC_DNS {
		dynamic(fs, in, s)
	}
	exportTo(fs, in.namespace, s.ExportTo, true, false)
}

// atMost wants a list of no more than most entries.
func atMost(fs *finding.Faults, path string, n, most int) {
	if n > most {
		fs.Errorf(path, "%d entries are more than %d", n, most)
	}
}

func resolvesNames(s *networking.ServiceEntry) bool {
	return s.Resolution == networking.ServiceEntry_DNS || s.Resolution == networking.ServiceEntry_DNS_ROUND_ROBIN
}

func entryHosts(fs *finding.Faults, s *networking.ServiceEntry) {
	if len(s.Hosts) == 0 {
		fs.Errorf("hosts", "no hosts, want at least one")
	}
	for i, h := range s.Hosts {
		at := finding.Index("hosts", i)
		switch problem := hostProblem(h); {
		case h == "*":
			fs.Errorf(at, `"*" is no service, want a host`)
		case problem != "":
			fs.Errorf(at, "%q is not a host name: %s", h, problem)
		case resolvesNames(s) && len(s.Endpoints) == 0 && fqdnProblem(h) != "":
			fs.Errorf(at, "%q cannot be resolved, want a name without wildcard, or endpoints", h)
		case s.Resolution == networking.ServiceEntry_DYNAMIC_DNS:
			if h[0] != '*' {
				fs.Errorf(at, "%q has no wildcard, which the resolution %v is for", h, s.Resolution)
			}
		case partialWildcard(h):
			fs.Warnf(at, codeSchema, "%q has a wildcard that is not a whole label, want *.domain", h)
		}
	}
}

// entryPorts judges the ports, and gives their names.
func entryPorts(fs *finding.Faults, in scope, s *networking.ServiceEntry) map[string]bool {
	names, numbers := map[string]bool{}, map[uint32]bool{}
	opaque := "" // the first port that cannot tell hosts apart
	byAddress := false
	for i, p := range s.Ports {
		at := finding.Index("ports", i)
		if p == nil {
			fs.Errorf(at, "null, want a port")
			continue
		}
		if names[p.Name] {
			fs.Errorf(finding.Join(at, "name"), "%q is the name of an earlier port", p.Name)
		}
		if numbers[p.Number] {
			fs.Errorf(finding.Join(at, "number"), "%d is the number of an earlier port", p.Number)
		}
		names[p.Name], numbers[p.Number] = true, true
		portName(fs, finding.Join(at, "name"), p.Name)
		port(fs, finding.Join(at, "number"), p.Number)
		if p.TargetPort != 0 {
			port(fs, finding.Join(at, "targetPort"), p.TargetPort)
		}
		optionalProtocol(fs, finding.Join(at, "protocol"), p.Protocol)
		proto := protocolOf(p.Protocol)
		if opaque == "" && !proto.http() && !proto.tls() {
			opaque = at
		}
		byAddress = byAddress || proto.tcp()
		if len(s.Addresses) == 0 && !allocated(in, s) && (p.Protocol == "" || proto == "tcp") {
			fs.Warnf(at, codeAddresses, "no addresses, without which the port's connections are told apart from others by number only")
		}
	}
	if opaque != "" && len(s.Hosts) > 1 && s.Resolution != networking.ServiceEntry_NONE {
		fs.Errorf(opaque, "the port is not of HTTP or TLS, so that connections cannot be told apart by host, and there are %d hosts", len(s.Hosts))
	} else if byAddress && len(s.Hosts) > 1 && len(s.Addresses) > 0 && resolvesNames(s) {
		fs.Warnf("hosts", codeSchema, "%d hosts share the addresses and ports of TCP, want one", len(s.Hosts))
	}
	return names
}

// allocated tells whether Istio gives the entry an address of its own.
func allocated(in scope, s *networking.ServiceEntry) bool {
	return s.Resolution != networking.ServiceEntry_NONE &&
		!strings.EqualFold(in.labels["networking.istio.io/enable-autoallocate-ip"], "false")
}

func entryEndpoints(fs *finding.Faults, s *networking.ServiceEntry, ports map[string]bool) {
	switch s.Resolution {
	case networking.ServiceEntry_NONE:
		if len(s.Endpoints) > 0 {
			fs.Errorf("endpoints", "set while resolution is NONE, which goes where the caller dialled")
		}
		if s.WorkloadSelector != nil {
			fs.Warnf("workloadSelector", codeSchema, "set while resolution is NONE, which goes where the caller dialled")
		}
	case networking.ServiceEntry_DNS_ROUND_ROBIN:
		if len(s.Endpoints) > 1 {
			fs.Errorf("endpoints", "%d endpoints, want at most 1 for DNS_ROUND_ROBIN", len(s.Endpoints))
		}
	case networking.ServiceEntry_DYNAMIC_DNS:
		if len(s.Endpoints) > 0 {
			fs.Errorf("endpoints", "set while resolution is DYNAMIC_DNS, which resolves the host that was asked for")
		}
	}
	for i, e := range s.Endpoints {
		at := finding.Index("endpoints", i)
		if e == nil {
			fs.Errorf(at, "null, want an endpoint")
			continue
		}
		endpoint(fs, at, e, resolvesNames(s))
		for _, name := range sorted(e.Ports) {
			if !ports[name] {
				fs.Errorf(finding.Key(finding.Join(at, "ports"), name), "%q is the name of no port of the entry", name)
			}
		}
		if strings.HasPrefix(e.Address, unixPrefix) && len(ports) != 1 {
			fs.Errorf(at, "a Unix domain socket is for an entry of 1 port, and this one has %d", len(ports))
		}
	}
}

// dynamic judges what goes with resolution DYNAMIC_DNS only.
func dynamic(fs *finding.Faults, in scope, s *networking.ServiceEntry) {
	if len(s.Addresses) > 0 {
		fs.Errorf("addresses", "set while resolution is DYNAMIC_DNS, which resolves the host that was asked for")
	}
	for i, p := range s.Ports {
		switch protocolOf(p.GetProtocol()) {
		case "http", "http2", "grpc", "tls":
		default:
			fs.Errorf(finding.Index("ports", i), "the protocol %q is not HTTP, HTTP2, GRPC or TLS, which DYNAMIC_DNS wants", p.GetProtocol())
		}
	}
	w := in.labels["istio.io/use-waypoint"]
	if s.Location == networking.ServiceEntry_MESH_INTERNAL && w != "" && !strings.EqualFold(w, "none") {
		fs.Errorf("location", "MESH_INTERNAL with DYNAMIC_DNS cannot go through the waypoint %q", w)
	}
}
