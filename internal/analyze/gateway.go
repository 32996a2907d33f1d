package analyze

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// gateway is a Gateway with the hosts of its servers.
type gateway struct {
	rule.Typed[*networking.Gateway]
	hosts []serverHost
	exact map[string][]string // host to namespaces
	wild  []serverHost
	ports []int // of its servers
	bound bool  // some rule names it
}

// serverHost is one host of a server; the namespace may be "*".
type serverHost struct{ namespace, host string }

func newGateway(t rule.Typed[*networking.Gateway]) *gateway {
	g := &gateway{Typed: t, exact: map[string][]string{}}
	for _, s := range t.Spec.Servers {
		g.ports = append(g.ports, int(s.GetPort().GetNumber()))
		for _, h := range s.GetHosts() {
			ns, name, ok := strings.Cut(h, "/")
			if !ok {
				ns, name = "*", h
			} else if ns == "." {
				ns = t.Namespace
			}
			name = host.Normal(name)
			g.hosts = append(g.hosts, serverHost{ns, name})
			if host.IsWildcard(name) {
				g.wild = append(g.wild, serverHost{ns, name})
			} else {
				g.exact[name] = append(g.exact[name], ns)
			}
		}
	}
	return g
}

// takes tells whether a server has names in common with a rule's host.
func (g *gateway) takes(v *virtualService, h string) bool {
	for _, ns := range g.exact[h] {
		if ns == "*" || ns == v.Namespace {
			return true
		}
	}
	among := g.wild
	if host.IsWildcard(h) {
		among = g.hosts
	}
	return slices.ContainsFunc(among, func(s serverHost) bool {
		return (s.namespace == "*" || s.namespace == v.Namespace) && host.Overlap(s.host, h)
	})
}

// gateways says which Gateways lead nowhere.
func (a *analysis) gateways() {
	for _, t := range rule.All[*networking.Gateway](a.set) {
		answers := slices.ContainsFunc(t.Spec.Servers, func(s *networking.Server) bool {
			left, _ := leftOut(s)
			return left == "" && !s.GetTls().GetHttpsRedirect()
		})
		if answers && !a.edge[t.Ref()].bound {
			a.say(t.Object, finding.Info, "", finding.CodeSuspicious, "no VirtualService is bound to the gateway, which answers 404 to all")
		}
	}
}

// boundGateways looks for the gateways that a rule names, and for hosts in common.
func (a *analysis) boundGateways(v *virtualService) {
	reached := make([]bool, len(v.hosts))
	known := 0
	for i := range v.Spec.Gateways {
		ref, path := v.gateways[i], finding.Index("gateways", i)
		if ref == mesh {
			continue
		}
		g := a.edge[ref]
		if g == nil {
			a.errorf(v.Object, path, codeUnresolved, "no Gateway %s%s", ref, a.likeGateway(ref))
			continue
		}
		known++
		g.bound = true
		common := false
		for j, h := range v.hosts {
			if g.takes(v, h) {
				common, reached[j] = true, true
			}
		}
		if !common {
			a.warn(v.Object, path, codeNotInside, "no host of the rule is one of Gateway %s (%s), so that nothing reaches it there", ref, g.names())
		}
	}
	if known == 0 || v.onMesh() || known < len(v.gateways) || !slices.Contains(reached, true) {
		return
	}
	for j, ok := range reached {
		if !ok {
			a.warn(v.Object, finding.Index("hosts", j), codeNotInside, "%s is a host of none of the rule's gateways, so that nothing reaches it", v.hosts[j])
		}
	}
}

// names lists the gateway's hosts, at most five.
func (g *gateway) names() string {
	out := make([]string, 0, len(g.hosts))
	for _, h := range g.hosts {
		if h.namespace != "*" {
			h.host = h.namespace + "/" + h.host
		}
		out = append(out, h.host)
	}
	return some(distinct(out))
}

// likeGateway is a hint at the same name in another namespace.
func (a *analysis) likeGateway(ref string) string {
	_, name, _ := strings.Cut(ref, "/")
	if other := a.edgeNames[name]; other != "" {
		return ", did you mean " + other + "?"
	}
	return ""
}

// matchGateways looks at the gateways that the matches of a route name.
func (a *analysis) matchGateways(v *virtualService, path string, r *networking.HTTPRoute) {
	if v.delegate() { // its roots bind it
		return
	}
	for j, m := range r.Match {
		for k, name := range m.GetGateways() {
			ref := gatewayRef(name, v.Namespace)
			at := finding.Index(finding.Index(path+".match", j)+".gateways", k)
			switch {
			case ref != mesh && a.edge[ref] == nil:
				a.errorf(v.Object, at, codeUnresolved, "no Gateway %s%s", ref, a.likeGateway(ref))
			case !slices.Contains(v.gateways, ref):
				a.warn(v.Object, at, finding.CodeSuspicious, "the rule is not bound to %s, so that nothing comes to the match from there", ref)
			}
		}
	}
}

// gatewayConflicts looks at rules that share a host of a gateway. Their routes stand in a row there, the oldest
// rule's first, those that take everything at the end.
func (a *analysis) gatewayConflicts() {
	type edgeHost struct{ gateway, host string }
	groups := map[edgeHost][]*virtualService{}
	var order []edgeHost
	for _, v := range a.rules {
		for _, g := range v.gateways {
			for _, h := range v.hosts {
				at := edgeHost{g, h}
				switch list := groups[at]; {
				case g == mesh, len(list) > 0 && list[len(list)-1] == v:
				default:
					if list == nil {
						order = append(order, at)
					}
					groups[at] = append(list, v)
				}
			}
		}
	}
	for _, at := range order {
		if list := groups[at]; len(list) > 1 {
			slices.SortStableFunc(list, func(x, y *virtualService) int { return rule.Older(x.Object, y.Object) })
			a.joined(at.gateway, at.host, list)
		}
	}
}

// joined goes through the routes of several rules on one host.
func (a *analysis) joined(gateway, h string, list []*virtualService) {
	var all *virtualService // whose route takes everything
	seen := map[string]*virtualService{}
	for _, v := range list {
		if all != nil && !all.scope.rivals(v.scope) {
			continue
		}
		for i, r := range v.Spec.Http {
			if r == nil {
				continue
			}
			path := finding.Index("http", i)
			if len(r.Match) == 0 {
				if all != nil && all != v {
					a.warn(v.Object, path, codeUnreachable, "is never reached for %s on Gateway %s: %s, which is older, has a route that takes every request",
						h, gateway, where(all.Object))
				} else if all == nil {
					all = v
				}
				continue
			}
			for j, m := range r.Match {
				if m == nil || len(m.Gateways) > 0 && !slices.ContainsFunc(m.Gateways, func(g string) bool { return gatewayRef(g, v.Namespace) == gateway }) {
					continue
				}
				key := matchKey(m)
				if by := seen[key]; by == nil {
					seen[key] = v
				} else if by != v {
					a.warn(v.Object, finding.Index(path+".match", j), codeIneffective, "is never used for %s on Gateway %s: %s, which is older, has the same match",
						h, gateway, where(by.Object))
				}
			}
		}
	}
}

// matchKey is the same for matches that ask for the same.
func matchKey(m *networking.HTTPMatchRequest) string {
	m = proto.CloneOf(m)
	m.Name, m.StatPrefix, m.Gateways = "", "", nil
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil { // text that is not UTF-8, which no decoder lets through
		return m.String()
	}
	return string(b)
}
