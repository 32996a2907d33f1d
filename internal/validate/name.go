package validate

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/go-inmesh/inmesh/internal/finding"
)

const (
	maxLabel = 63  // bytes in one label of a DNS name
	maxHost  = 255 // bytes in a host name
)

func alnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// isLabel tells whether s is one label of a DNS name. Istio lets letters be of either case.
func isLabel(s string) bool {
	if s == "" || len(s) > maxLabel || !alnum(s[0]) || !alnum(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if !alnum(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

// isLowerLabel is isLabel as Kubernetes has it.
func isLowerLabel(s string) bool { return isLabel(s) && s == strings.ToLower(s) }

// isSubdomain tells whether s can name a Kubernetes object.
func isSubdomain(s string) bool {
	if s == "" || len(s) > 253 || s != strings.ToLower(s) {
		return false
	}
	for l := range strings.SplitSeq(s, ".") {
		if l == "" || !alnum(l[0]) || !alnum(l[len(l)-1]) || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

// isWildLabel allows the ways in which a first label can be a wildcard: "*", "*-x" and "*x".
func isWildLabel(s string) bool {
	if len(s) > maxLabel {
		return false
	}
	if rest, ok := strings.CutPrefix(s, "*"); ok {
		return rest == "" || isLabel(rest) || isLabel(strings.TrimPrefix(rest, "-"))
	}
	return isLabel(s)
}

// labelsProblem says what is wrong with the labels of a domain; "" means nothing.
func labelsProblem(domain string) string {
	last := domain[strings.LastIndexByte(domain, '.')+1:]
	if _, err := strconv.Atoi(last); err == nil {
		return "its last label is a number"
	}
	for l := range strings.SplitSeq(strings.TrimSuffix(domain, "."), ".") {
		if domain != "" && !isLabel(l) {
			return "the label " + strconv.Quote(l) + " is not of letters, digits and -, at most 63"
		}
	}
	return ""
}

// fqdnProblem says why the name is not a domain name without wildcard; "" means that it is one.
func fqdnProblem(name string) string {
	return cmp.Or(lengthProblem(name), labelsProblem(name))
}

// hostProblem is fqdnProblem for a name whose first label may be a wildcard.
func hostProblem(name string) string {
	if p := lengthProblem(name); p != "" {
		return p
	}
	first, rest, more := strings.Cut(name, ".")
	if !isWildLabel(first) {
		return "the label " + strconv.Quote(first) + " is not of letters, digits and -, at most 63"
	}
	if more {
		return labelsProblem(rest)
	}
	return ""
}

func lengthProblem(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > maxHost:
		return "it has more than 255 characters"
	}
	return ""
}

// partialWildcard tells whether the host has a wildcard that is not a whole first label.
func partialWildcard(host string) bool {
	return strings.Contains(host, "*") && host != "*" && !strings.HasPrefix(host, "*.")
}

// host wants a host name whose first label may be a wildcard.
func host(fs *finding.Faults, path, name string) {
	if p := hostProblem(name); p != "" {
		fs.Errorf(path, "%q is not a host name: %s", name, p)
	}
}

func isIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// address wants an IP address.
func address(fs *finding.Faults, path, s string) {
	if !isIP(s) {
		fs.Errorf(path, "%q is not an IP address", s)
	}
}

// subnet wants an IP address or a CIDR block.
func subnet(fs *finding.Faults, path, s string) {
	if strings.Contains(s, "/") {
		if _, err := netip.ParsePrefix(s); err != nil {
			fs.Errorf(path, "%q is not a CIDR block, such as 10.0.0.0/8", s)
		}
		return
	}
	address(fs, path, s)
}

// unixPrefix marks the address of a Unix domain socket.
const unixPrefix = "unix://"

// unixPath wants the path of a Unix domain socket, or the name of an abstract one.
func unixPath(fs *finding.Faults, path, s string) {
	if strings.HasPrefix(s, "@") {
		return
	}
	if !strings.HasPrefix(s, "/") || strings.HasSuffix(s, "/") {
		fs.Errorf(path, "%q is not the absolute path of a socket", s)
	}
}

// sorted are the map's keys in order, so that findings come in the same order every time.
func sorted[V any](m map[string]V) []string {
	if len(m) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(m))
}
