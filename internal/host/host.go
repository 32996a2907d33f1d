// Package host reads the names that rules and requests use for services: it splits off ports, completes short
// names, matches wildcards, and finds in one step the most specific of many patterns.
//
//	host.Resolve("reviews", "default", "cluster.local") // reviews.default.svc.cluster.local
//	host.Match("*.foo.com", "a.foo.com")                // true
//
// Names are compared in lower case and without a trailing dot; [Normal] makes them so.
package host

import (
	"net/netip"
	"strings"
)

// DefaultDomain is the domain that Kubernetes gives to services where nobody says otherwise.
const DefaultDomain = "cluster.local"

// Normal is the name in lower case and without the trailing dot of an absolute name. It does not allocate where
// the name is normal already.
func Normal(name string) string {
	if n := len(name); n > 1 && name[n-1] == '.' {
		name = name[:n-1]
	}
	return strings.ToLower(name)
}

// Resolve completes a name as a rule in the namespace means it: a name without a dot becomes
// name.namespace.svc.domain; names with any dot, "*" and IPs stay as they are. An empty domain is
// [DefaultDomain], an empty namespace leaves the name short. The result is normal.
//
// See https://istio.io/latest/docs/reference/config/networking/virtual-service/#Destination.
func Resolve(name, namespace, domain string) string {
	if name == "" || name == "*" || namespace == "" || strings.ContainsAny(name, ".:") {
		return Normal(name)
	}
	if domain == "" {
		domain = DefaultDomain
	}
	return strings.ToLower(name + "." + namespace + ".svc." + domain)
}

// IsIP tells whether the name is an IP address, with or without the brackets of an IPv6 address in a URL.
func IsIP(name string) bool {
	name = unbracket(name)
	// Almost every name is ruled out by its first and last byte: parsing one that fails allocates an error.
	if name == "" || strings.IndexByte(name, ':') < 0 && (!digit(name[0]) || !digit(name[len(name)-1])) {
		return false
	}
	_, err := netip.ParseAddr(name)
	return err == nil
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

func unbracket(name string) string {
	if n := len(name); n > 1 && name[0] == '[' && name[n-1] == ']' {
		return name[1 : n-1]
	}
	return name
}

// Split takes a Host header or a URL's host apart: "a.com:80" is a.com and 80, "[::1]:80" is ::1 and 80. The port
// is 0 where there is none, or none that is a number in 1..65535; a bare IPv6 address has none. The name keeps its
// case.
func Split(hostport string) (name string, port int) {
	if strings.HasPrefix(hostport, "[") {
		end := strings.IndexByte(hostport, ']')
		if end < 0 {
			return hostport, 0
		}
		if rest := hostport[end+1:]; strings.HasPrefix(rest, ":") {
			port = number(rest[1:])
		}
		return hostport[1:end], port
	}
	i := strings.IndexByte(hostport, ':')
	if i < 0 || strings.IndexByte(hostport[i+1:], ':') >= 0 {
		return hostport, 0
	}
	return hostport[:i], number(hostport[i+1:])
}

func number(s string) int {
	if s == "" || len(s) > 5 {
		return 0
	}
	n := 0
	for i := 0; i < len(s); i++ {
		if !digit(s[i]) {
			return 0
		}
		n = n*10 + int(s[i]-'0')
	}
	if n > 65535 {
		return 0
	}
	return n
}
