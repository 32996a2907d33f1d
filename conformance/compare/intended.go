package compare

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-inmesh/inmesh/conformance/istio"
	"github.com/go-inmesh/inmesh/conformance/ours"
	"github.com/go-inmesh/inmesh/conformance/world"
)

// Intended is a difference that is meant.
type Intended struct {
	Name, Istio, Ours, Reason string
}

// Names of intended differences.
const (
	undeclared = "destination host that no object declares"
	anyPort    = "VirtualService for a host and port that no service declares"
	onlyPort   = "destination without a port, of a service that has one port, on a sidecar"
	wildcard   = "VirtualService for a wildcard, and a host under it that no service declares"
	shortName  = "short name of a host that only a VirtualService names"
	hidden     = "host of a service that is not exported to the client, named by a VirtualService"
	secure     = "plain HTTP to a port that speaks TLS"
	external   = "ExternalName service that leads out of the mesh"
	redirects  = "httpsRedirect of a server whose host names a namespace"
	foreign    = "gateway that is reached on a port of no server"
)

// Routing lists the intended differences in what becomes of a request.
var Routing = []Intended{
	{undeclared, "503 NC", "found by DNS, at the port asked for", "a program outside the registry can be reached; `check` warns"},
	{anyPort, "acts on port 80, if some service has that port, and on the ports of the rule's other hosts", "acts on every port", "there is no listener that would have to be opened for the port"},
	{onlyPort, "the port that the request came in on, so 503 NC unless they are the same (nor is an ExternalName service found); on a gateway the service's port", "the service's port",
		"Istio's reference says that the only port need not be named; its gateways do so, its sidecars look among the services of the listener's port alone"},
	{wildcard, "the rule acts on undeclared hosts on port 80, unless some service of the port lies under the wildcard: then on that alone", "the rule acts on every host under its wildcard",
		"what a rule says of one host should not depend on whether another one is declared"},
	{shortName, "no virtual host", "all names that a Kubernetes service of that host would have", "rules alone are enough for a client; no Service has to be written"},
	{hidden, "the rule acts on port 80, and on the ports of the rule's other hosts", "the rule acts on port 80", "what a rule says of one host should not depend on its others"},
	{secure, "passed through: the sidecar knows the service by its SNI", "sent to the service", "the process sees requests before TLS: limits, retries and telemetry act"},
	{external, "no virtual host and no cluster: passed through or blocked, 503 NC as a destination", "a service that DNS finds", "the Service is declared; to route to it is what it is for"},
	{redirects, "404, where no VirtualService shares the host: its virtual host is called `ns/host`, which nothing matches", "301 to https", "a bug of Istio"},
	{foreign, "nothing listens there", "the servers of that kind, HTTP or HTTPS, answer", "a process chooses its own port"},
}

// excuse takes intended differences out of the answers, and names those that it found.
func excuse(p *istio.Proxy, m *ours.Client, r world.Request, want, got *world.Answer) (names []string) {
	excused := func(name string) []string {
		*want = *got
		return []string{name}
	}
	if want.Outcome == istio.NoListener {
		return excused(foreign)
	}
	if _, _, _, same := world.Diff(*want, *got); same {
		return nil
	}
	switch {
	case m.IsGateway():
	case r.Port != 80 && ruleAlone(p, m, r) != "":
		return excused(anyPort)
	case r.Port != 80 && p.Hidden(r.Host):
		return excused(hidden)
	case p.External(r.Host):
		return excused(external)
	case p.Secure(r.Host, r.Port):
		return excused(secure)
	}
	if want.Outcome == world.Passthrough || want.Outcome == world.Blocked {
		switch host := ruleAlone(p, m, r); {
		case host == "" || got.Outcome == want.Outcome:
		case !p.Listens(80):
			return excused(anyPort)
		case strings.HasPrefix(host, "*"):
			return excused(wildcard)
		case !strings.EqualFold(host, istio.Hostname(r.Host)):
			return excused(shortName)
		}
	}
	if want.Outcome == world.NoRoute && got.Outcome == world.Redirect && got.Route == "" && m.IsGateway() && p.QualifiedRedirect() {
		return excused(redirects)
	}
	if len(want.Dests) == len(got.Dests) {
		for i := range want.Dests {
			w, g := &want.Dests[i], &got.Dests[i]
			if sidecarPort(p, m, r, w.Cluster, g.Cluster) {
				w.Cluster, w.Missing = g.Cluster, g.Missing
				names = append(names, onlyPort)
			}
			_, host, _ := cutLast(w.Cluster, "|")
			_, other, _ := cutLast(g.Cluster, "|")
			switch {
			case w.Missing && p.External(other):
				w.Cluster, w.Missing = g.Cluster, g.Missing
				names = append(names, external)
			case w.Missing && host != other && p.Alias(host):
				w.Cluster, w.Missing = g.Cluster, g.Missing
				names = append(names, onlyPort)
			}
			if _, declared := p.Ports(host); w.Missing && !g.Missing && !declared {
				w.Missing = false
				names = append(names, undeclared)
			}
		}
	}
	if len(want.Mirrors) == len(got.Mirrors) {
		for i := range want.Mirrors {
			w, g := &want.Mirrors[i], &got.Mirrors[i]
			if sidecarPort(p, m, r, w.Cluster, g.Cluster) {
				w.Cluster = g.Cluster
				names = append(names, onlyPort)
			}
		}
	}
	return names
}

// ruleAlone is the host of a virtual host that a rule makes without a service; empty if there is none.
func ruleAlone(p *istio.Proxy, m *ours.Client, r world.Request) string {
	host, anyPort := m.RuleHost(r)
	if _, declared := p.Ports(host); declared && !anyPort {
		return ""
	}
	return host
}

// sidecarPort tells whether two clusters differ in that Istio takes the request's port where the service has one other.
func sidecarPort(p *istio.Proxy, m *ours.Client, r world.Request, want, got string) bool {
	w, g := strings.Split(want, "|"), strings.Split(got, "|")
	if m.IsGateway() || want == got || len(w) != 4 || len(g) != 4 || w[2] != g[2] || w[3] != g[3] || w[1] != strconv.Itoa(r.Port) {
		return false
	}
	ports, _ := p.Ports(w[3])
	return slices.ContainsFunc(ports, func(n int) bool { return g[1] == strconv.Itoa(n) })
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
