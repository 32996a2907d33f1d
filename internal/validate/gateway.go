package validate

import (
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// gateway judges https://istio.io/latest/docs/reference/config/networking/gateway/.
func gateway(fs *finding.Faults, g *networking.Gateway) {
	if g == nil {
		return
	}
	if len(g.Servers) == 0 {
		fs.Errorf("servers", "no servers, want at least one")
	}
	names := map[string]bool{}
	for i, s := range g.Servers {
		path := finding.Index("servers", i)
		if s == nil {
			fs.Errorf(path, "null, want a server")
			continue
		}
		server(fs, path, s)
		if s.Port == nil {
			continue
		}
		if names[s.Port.Name] {
			fs.Errorf(finding.Join(path, "port.name"), "%q is the name of an earlier server's port", s.Port.Name)
		}
		names[s.Port.Name] = true
		if s.Tls.GetHttpsRedirect() && !protocolOf(s.Port.Protocol).http() {
			fs.Warnf(finding.Join(path, "tls.httpsRedirect"), codeSchema, "only servers of HTTP are redirected, and this one is of %s", s.Port.Protocol)
		}
	}
}

func server(fs *finding.Faults, path string, s *networking.Server) {
	if len(s.Hosts) == 0 {
		fs.Errorf(finding.Join(path, "hosts"), "no hosts, want at least one")
	}
	for i, h := range s.Hosts {
		serverHost(fs, finding.Index(finding.Join(path, "hosts"), i), h)
	}
	before := len(*fs)
	serverPort(fs, finding.Join(path, "port"), s)
	portFine := len(*fs) == before
	bind(fs, path, s.Bind, s.Port.GetNumber())
	serverTLS(fs, finding.Join(path, "tls"), s.Tls)
	if !portFine {
		return
	}
	switch p, passes := protocolOf(s.Port.Protocol), passThrough(s.Tls); {
	case p.tls() && s.Tls == nil:
		fs.Errorf(path, "no tls, which the protocol %s needs", s.Port.Protocol)
	case p.tls() || s.Tls == nil:
	case !p.http():
		fs.Errorf(finding.Join(path, "tls"), "the protocol %s has no tls, want TLS or HTTPS", s.Port.Protocol)
	case !passes || s.Tls.CaCertificates != "" || s.Tls.PrivateKey != "" || s.Tls.ServerCertificate != "":
		fs.Errorf(finding.Join(path, "tls"), "the protocol %s has no tls, want httpsRedirect alone", s.Port.Protocol)
	}
}

func serverPort(fs *finding.Faults, path string, s *networking.Server) {
	p := s.Port
	if p == nil {
		fs.Errorf(path, "no port")
		return
	}
	if protocolOf(p.Protocol) == "" {
		fs.Errorf(finding.Join(path, "protocol"), "%q is not %s", p.Protocol, protocols)
	}
	if p.Number > 0 || !strings.HasPrefix(s.Bind, unixPrefix) {
		port(fs, finding.Join(path, "number"), p.Number)
	}
	if p.TargetPort > 0 { // refused
		fs.Errorf(finding.Join(path, "targetPort"), "a gateway's port has no targetPort")
	}
	if p.Name == "" {
		fs.Errorf(finding.Join(path, "name"), "the port has no name")
	}
}

// bind judges the address that the server at path listens on.
func bind(fs *finding.Faults, path, addr string, number uint32) {
	at := finding.Join(path, "bind")
	if socket, ok := strings.CutPrefix(addr, unixPrefix); ok {
		unixPath(fs, at, socket)
		if number != 0 {
			fs.Errorf(finding.Join(path, "port.number"), "%d, want 0 for a Unix domain socket", number)
		}
	} else if addr != "" {
		address(fs, at, addr)
	}
}

// serverHost judges "host" or "namespace/host".
func serverHost(fs *finding.Faults, path, h string) {
	if ns, rest, ok := strings.Cut(h, "/"); ok {
		if ns != "*" && ns != "." && !isLabel(ns) {
			fs.Errorf(path, "%q is not *, . or a namespace", ns)
		}
		h = rest
	}
	listenerHost(fs, path, h, true)
}

// listenerHost wants a full name, or a whole wildcard, or "*".
func listenerHost(fs *finding.Faults, path, h string, ip bool) {
	problem := hostProblem(h)
	switch {
	case ip && isIP(h) && strings.Contains(h, "."):
	case problem != "":
		fs.Errorf(path, "%q is not a host name: %s", h, problem)
	case partialWildcard(h):
		fs.Errorf(path, "%q has a wildcard that is not a whole label, want *.domain", h)
	case h != "*" && !strings.Contains(h, "."):
		fs.Errorf(path, "%q is a short name, want a full one", h)
	}
}

func passThrough(t *networking.ServerTLSSettings) bool {
	return t != nil && (t.Mode == networking.ServerTLSSettings_PASSTHROUGH || t.Mode == networking.ServerTLSSettings_AUTO_PASSTHROUGH)
}
