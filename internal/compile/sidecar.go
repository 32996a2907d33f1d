package compile

import (
	"cmp"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// listener is what the workload sees on some ports: without a Sidecar, everything on all.
type listener struct {
	port   int   // the only one; 0 means all but those of other listeners
	except []int // ports of other listeners
	hosts  map[string]*imports
}

func (l *listener) takes(port int) bool {
	if l.port != 0 {
		return port == l.port
	}
	return !slices.Contains(l.except, port)
}

// imports are the hosts that a Sidecar lets in from one namespace, or from all ("*").
type imports struct {
	exact    map[string]bool
	patterns []string
	excluded []string
}

func (l *listener) excludes(namespace, hostname string) bool {
	for _, ns := range [...]string{namespace, "*"} {
		if i := l.hosts[ns]; i != nil && slices.ContainsFunc(i.excluded, func(p string) bool { return host.Match(p, hostname) }) {
			return true
		}
	}
	return false
}

// sees tells whether a service or, with other wildcards allowed to overlap, a rule's host is let in.
func (l *listener) sees(namespace, hostname string, overlap bool) bool {
	if l.hosts == nil {
		return true
	}
	if l.excludes(namespace, hostname) {
		return false
	}
	for _, ns := range [...]string{namespace, "*"} {
		i := l.hosts[ns]
		if i == nil {
			continue
		}
		if i.exact[hostname] {
			return true
		}
		for _, p := range i.patterns {
			if host.Match(p, hostname) || overlap && host.Match(hostname, p) {
				return true
			}
		}
		if overlap && host.IsWildcard(hostname) {
			for p := range i.exact {
				if host.Match(hostname, p) {
					return true
				}
			}
		}
	}
	return false
}

// seesRule tells whether any host of the VirtualService is let in; then all are.
func (l *listener) seesRule(v *virtualService) bool {
	return slices.ContainsFunc(v.hosts, func(h string) bool { return l.sees(v.object.Namespace, h, true) })
}

// sidecar picks the workload's Sidecar: of its namespace the oldest whose selector matches, else the oldest
// without one, else that of the root namespace.
//
// See https://istio.io/latest/docs/reference/config/networking/sidecar/.
func (c *compiler) sidecar() (*rule.Object, *networking.Sidecar) {
	all := rule.All[*networking.Sidecar](c.in.Set)
	slices.SortStableFunc(all, func(a, b rule.Typed[*networking.Sidecar]) int {
		selected := func(t rule.Typed[*networking.Sidecar]) int {
			if t.Spec.WorkloadSelector != nil {
				return 0
			}
			return 1
		}
		return cmp.Or(selected(a)-selected(b), rule.Older(a.Object, b.Object))
	})
	for _, t := range all {
		if t.Namespace == c.in.Workload.Namespace &&
			(t.Spec.WorkloadSelector == nil || subset(t.Spec.WorkloadSelector.Labels, c.in.Workload.Labels)) {
			return t.Object, t.Spec
		}
	}
	for _, t := range all {
		if t.Namespace == c.in.RootNamespace && t.Spec.WorkloadSelector == nil {
			return t.Object, t.Spec
		}
	}
	return nil, nil
}

// listeners reads the Sidecar. Those with a port come first, the one for all other ports last.
func (c *compiler) listeners() []*listener {
	o, spec := c.sidecar()
	if spec == nil {
		return []*listener{{}}
	}
	c.out.Sidecar = o
	c.sidecarFindings(o, spec)
	if p := spec.OutboundTrafficPolicy; p != nil {
		c.out.AllowAny = p.Mode == networking.OutboundTrafficPolicy_ALLOW_ANY
	}
	if len(spec.Egress) == 0 {
		return []*listener{{}}
	}
	var out []*listener
	var taken []int
	for _, e := range spec.Egress {
		port := int(e.GetPort().GetNumber())
		if e.GetPort() != nil && (port == 0 || strings.EqualFold(e.Port.Protocol, "HTTP_PROXY")) {
			continue // a unix socket or a proxy port: nothing that a request of ours goes through
		}
		l := &listener{port: port, hosts: map[string]*imports{}}
		for _, h := range e.GetHosts() {
			l.add(h, c.in.Workload.Namespace)
		}
		if port == 0 {
			l.except = taken
			return append(out, l)
		}
		taken = append(taken, port)
		out = append(out, l)
	}
	return out
}

// add reads "namespace/host", where the namespace may be "*", ".", and "~" or "~namespace" to exclude.
func (l *listener) add(entry, own string) {
	ns, name, ok := strings.Cut(entry, "/")
	if !ok {
		return
	}
	ns, excluded := strings.CutPrefix(ns, "~")
	switch {
	case excluded && ns == "":
		ns = "*"
	case ns == ".":
		ns = own
	}
	i := l.hosts[ns]
	if i == nil {
		i = &imports{exact: map[string]bool{}}
		l.hosts[ns] = i
	}
	name = host.Normal(name)
	switch {
	case excluded:
		i.excluded = append(i.excluded, name)
	case host.IsWildcard(name):
		i.patterns = append(i.patterns, name)
	default:
		i.exact[name] = true
	}
}

func (c *compiler) sidecarFindings(o *rule.Object, s *networking.Sidecar) {
	for i := range s.Ingress {
		c.warn(o, finding.Index("ingress", i), finding.CodeNotObeyed, "ingress listeners are not acted on: the server is the application's own")
	}
	if s.InboundConnectionPool != nil {
		c.warn(o, "inboundConnectionPool", finding.CodeNotObeyed, "limits of the server side are not acted on")
	}
	if s.OutboundTrafficPolicy.GetEgressProxy() != nil {
		c.warn(o, "outboundTrafficPolicy.egressProxy", finding.CodeNotObeyed, "unknown hosts are passed through directly, not by an egress proxy")
	}
	for i, e := range s.Egress {
		path := finding.Index("egress", i)
		switch {
		case strings.EqualFold(e.GetPort().GetProtocol(), "HTTP_PROXY"):
			c.warn(o, path+".port.protocol", finding.CodeNotObeyed, "a proxy port is not opened: the listener is left out")
		case e.GetPort() != nil && e.Port.Number == 0:
			c.warn(o, path+".port", finding.CodeNotObeyed, "a unix socket is not opened: the listener is left out")
		case e.GetBind() != "":
			c.warn(o, path+".bind", finding.CodeNotObeyed, "no listener is opened: the hosts count for every address")
		}
		if e.GetCaptureMode() != networking.CaptureMode_DEFAULT {
			c.warn(o, path+".captureMode", finding.CodeNotObeyed, "traffic is not captured: the mesh is in the process")
		}
	}
}

// services are what the listener lets in, one for each hostname: the workload's own namespace's, else a
// Kubernetes service, else the oldest.
func (c *compiler) services(l *listener) []*registry.Service {
	own := c.in.Workload.Namespace
	at := map[string]int{}
	var out []*registry.Service
	for _, s := range c.in.Registry.Services() {
		if !exported(s.ExportTo, s.Namespace, own) || !l.sees(s.Namespace, s.Hostname, false) {
			continue
		}
		i, ok := at[s.Hostname]
		if !ok {
			at[s.Hostname] = len(out)
			out = append(out, s)
			continue
		}
		if have := out[i]; have.Namespace != own && (s.Namespace == own || s.Kubernetes && !have.Kubernetes) {
			out[i] = s
		}
	}
	return out
}
