package validate

import (
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// sidecar judges https://istio.io/latest/docs/reference/config/networking/sidecar/.
func sidecar(fs *finding.Faults, in scope, s *networking.Sidecar) {
	if s == nil {
		return
	}
	networkingSelector(fs, "workloadSelector", s.WorkloadSelector)
	if len(s.Egress) == 0 && len(s.Ingress) == 0 && s.OutboundTrafficPolicy == nil && s.InboundConnectionPool == nil {
		fs.Errorf("", "nothing is set, want egress, ingress, outboundTrafficPolicy or inboundConnectionPool")
	}
	ports := map[uint32]bool{}
	for i, l := range s.Ingress {
		path := finding.Index("ingress", i)
		if l == nil {
			fs.Errorf(path, "null, want a listener")
			continue
		}
		ingress(fs, path, l)
		if l.Port != nil && ports[l.Port.Number] {
			fs.Errorf(finding.Join(path, "port.number"), "%d is the port of an earlier listener", l.Port.Number)
		}
		ports[l.Port.GetNumber()] = true
	}
	ConnectionPool(fs, "inboundConnectionPool", s.InboundConnectionPool)
	egressListeners(fs, in, s.Egress)
	outbound(fs, "outboundTrafficPolicy", s.OutboundTrafficPolicy)
}

func egressListeners(fs *finding.Faults, in scope, list []*networking.IstioEgressListener) {
	ports, sockets := map[uint32]bool{}, map[string]bool{}
	for i, l := range list {
		path := finding.Index("egress", i)
		if l == nil {
			fs.Errorf(path, "null, want a listener")
			continue
		}
		number := l.Port.GetNumber()
		switch {
		case l.Port == nil:
			if i != len(list)-1 {
				fs.Errorf(path, "no port, which only the last listener may lack")
			}
		case number == 0:
			if sockets[l.Bind] {
				fs.Errorf(finding.Join(path, "bind"), "%q is the socket of an earlier listener", l.Bind)
			}
			sockets[l.Bind] = true
		default:
			if ports[number] {
				fs.Errorf(finding.Join(path, "port.number"), "%d is the port of an earlier listener", number)
			}
			ports[number] = true
		}
		if l.Port != nil {
			egressPort(fs, path, l)
		}
		if len(l.Hosts) == 0 {
			fs.Errorf(finding.Join(path, "hosts"), "no hosts, want at least one")
		}
		egressHosts(fs, finding.Join(path, "hosts"), in.namespace, l.Hosts)
	}
}

// egressHosts judges "namespace/host" entries, and warns of those that others cover.
func egressHosts(fs *finding.Faults, path, namespace string, hosts []string) {
	seen := map[string]map[string]bool{} // namespace → host
	for i, h := range hosts {
		at := finding.Index(path, i)
		ns, name, ok := strings.Cut(h, "/")
		if !ok {
			fs.Errorf(at, "%q is not of the form namespace/host", h)
			continue
		}
		if n := strings.TrimPrefix(ns, "~"); n != "" && n != "*" && n != "." && !isLabel(n) || ns == "" {
			fs.Errorf(at, "%q is not *, ., ~ or a namespace", ns)
		}
		listenerHost(fs, at, name, false)
		if strings.HasPrefix(ns, "~") {
			continue
		}
		if ns == "." && namespace != "" {
			ns = namespace
		}
		if seen[ns] == nil {
			seen[ns] = map[string]bool{}
		}
		if of := seen[ns]; of[name] || of["*"] || name == "*" && len(of) > 0 {
			fs.Warnf(at, codeSchema, "%q and an earlier entry cover the same hosts", h)
		}
		seen[ns][name] = true
	}
	if seen["*"]["*"] && len(seen) > 1 {
		fs.Warnf(path, codeSchema, `"*/*" covers all other entries`)
	}
}

func outbound(fs *finding.Faults, path string, p *networking.OutboundTrafficPolicy) {
	if p == nil {
		return
	}
	enum(fs, finding.Join(path, "mode"), p.Mode)
	e := p.EgressProxy
	if e == nil {
		return
	}
	at := finding.Join(path, "egressProxy")
	if p.Mode != networking.OutboundTrafficPolicy_ALLOW_ANY {
		fs.Errorf(at, "set while mode is %v, want ALLOW_ANY", p.Mode)
		return
	}
	if e.Port == nil {
		fs.Errorf(at, "no port")
	}
	if p := fqdnProblem(e.Host); p != "" {
		fs.Errorf(finding.Join(at, "host"), "%q is not a domain name: %s", e.Host, p)
		return
	}
	Destination(fs, at, e)
}
