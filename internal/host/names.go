package host

import "strings"

// Names appends all names by which a client in the namespace may call the hostname, the shortest first. For one that
// ends in ".svc." and the domain these are "a" (in its own namespace only), "a.ns", "a.ns.svc" and the hostname; other
// hostnames have no short forms. The hostname with a trailing dot comes last, unless it is an IP.
func Names(to []string, hostname, clientNamespace, domain string) []string {
	if IsIP(hostname) {
		return append(to, hostname)
	}
	if domain == "" {
		domain = DefaultDomain
	}
	if short, ok := strings.CutSuffix(hostname, ".svc."+domain); ok {
		name, namespace, dotted := strings.Cut(short, ".")
		if dotted && namespace == clientNamespace {
			to = append(to, name)
		}
		if dotted {
			to = append(to, short, short+".svc")
		}
	}
	return append(to, hostname, hostname+".")
}
