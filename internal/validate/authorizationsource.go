package validate

import (
	"strconv"
	"strings"

	security "istio.io/api/security/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// source judges where a request comes from. A CUSTOM policy knows addresses only.
func source(fs *finding.Faults, path string, s *security.Source, custom bool) {
	set := false
	for _, f := range []struct {
		values
		check   func(*finding.Faults, string, []string)
		peer    bool // not supported with CUSTOM
		account bool // not together with service accounts
	}{
		{values{"principals", s.Principals}, noEmpty, true, true},
		{values{"notPrincipals", s.NotPrincipals}, noEmpty, true, true},
		{values{"requestPrincipals", s.RequestPrincipals}, noEmpty, true, false},
		{values{"notRequestPrincipals", s.NotRequestPrincipals}, noEmpty, true, false},
		{values{"namespaces", s.Namespaces}, noEmpty, true, true},
		{values{"notNamespaces", s.NotNamespaces}, noEmpty, true, true},
		{values{"serviceAccounts", s.ServiceAccounts}, serviceAccounts, true, false},
		{values{"notServiceAccounts", s.NotServiceAccounts}, serviceAccounts, true, false},
		{values{"trustDomains", s.TrustDomains}, trustDomains, true, false},
		{values{"notTrustDomains", s.NotTrustDomains}, trustDomains, true, false},
		{values{"ipBlocks", s.IpBlocks}, blocks, false, false},
		{values{"notIpBlocks", s.NotIpBlocks}, blocks, false, false},
		{values{"remoteIpBlocks", s.RemoteIpBlocks}, blocks, false, false},
		{values{"notRemoteIpBlocks", s.NotRemoteIpBlocks}, blocks, false, false},
	} {
		if len(f.list) == 0 {
			continue
		}
		set = true
		at := finding.Join(path, f.name)
		if custom && f.peer {
			fs.Errorf(at, "%s is not supported with CUSTOM", f.name)
		}
		if f.account && len(s.ServiceAccounts)+len(s.NotServiceAccounts) > 0 {
			fs.Errorf(at, "%s is set together with service accounts", f.name)
		}
		f.check(fs, at, f.list)
	}
	if !set {
		fs.Errorf(path, "the source is empty")
	}
}

// operation judges what a request asks for.
func operation(fs *finding.Faults, path string, o *security.Operation) {
	set := false
	for _, f := range []struct {
		values
		check func(*finding.Faults, string, []string)
	}{
		{values{"hosts", o.Hosts}, noEmpty},
		{values{"notHosts", o.NotHosts}, noEmpty},
		{values{"ports", o.Ports}, portList},
		{values{"notPorts", o.NotPorts}, portList},
		{values{"methods", o.Methods}, noEmpty},
		{values{"notMethods", o.NotMethods}, noEmpty},
		{values{"paths", o.Paths}, pathTemplates},
		{values{"notPaths", o.NotPaths}, pathTemplates},
	} {
		if len(f.list) > 0 {
			set = true
			f.check(fs, finding.Join(path, f.name), f.list)
		}
	}
	if !set {
		fs.Errorf(path, "the operation is empty")
	}
}

// blocks wants IP addresses and CIDR blocks.
func blocks(fs *finding.Faults, path string, list []string) {
	for i, s := range list {
		subnet(fs, finding.Index(path, i), s)
	}
}

// portList wants numbers up to 65535.
func portList(fs *finding.Faults, path string, list []string) {
	for i, s := range list {
		if _, err := strconv.ParseUint(s, 10, 16); err != nil {
			fs.Errorf(finding.Index(path, i), "%q is not in 0..65535", s)
		}
	}
}

// serviceAccounts wants "name" or "namespace/name", without wildcard.
func serviceAccounts(fs *finding.Faults, path string, list []string) {
	atMost(fs, path, len(list), 16)
	for i, s := range list {
		ns, name, ok := strings.Cut(s, "/")
		if s == "" || len(s) > 320 || strings.ContainsAny(s, "*") || ok && (ns == "" || name == "" || strings.Contains(name, "/")) {
			fs.Errorf(finding.Index(path, i), "%q is not ACCOUNT or NAMESPACE/ACCOUNT, without wildcard", s)
		}
	}
}

// wildcards wants at most one wildcard, at an end.
func wildcards(fs *finding.Faults, path string, list []string) {
	for i, s := range list {
		if n := strings.Count(s, "*"); n > 1 || n == 1 && !strings.HasPrefix(s, "*") && !strings.HasSuffix(s, "*") {
			fs.Errorf(finding.Index(path, i), "%q has a wildcard that is not alone at an end", s)
		}
	}
}

func trustDomains(fs *finding.Faults, path string, list []string) {
	noEmpty(fs, path, list)
	wildcards(fs, path, list)
	for i, s := range list {
		if strings.Contains(s, "/") {
			fs.Errorf(finding.Index(path, i), "%q has a /, want a trust domain alone", s)
		}
	}
}

// pathTemplates wants paths in which braces stand for whole segments: {*} for one, {**} for all that follow.
func pathTemplates(fs *finding.Faults, path string, list []string) {
	noEmpty(fs, path, list)
	for i, s := range list {
		if p := templateProblem(s); p != "" {
			fs.Errorf(finding.Index(path, i), "%q %s", s, p)
		}
	}
}

func templateProblem(s string) string {
	template, rest := strings.Contains(s, "{*}") || strings.Contains(s, "{**}"), false
	for seg := range strings.SplitSeq(strings.Trim(s, "/"), "/") {
		switch {
		case seg == "{*}" || seg == "{**}":
			if rest {
				return "has a template after {**}, which must be the last"
			}
			rest = seg == "{**}"
		case strings.ContainsAny(seg, "{}"):
			return "has braces that are neither {*} nor {**} as a whole segment"
		case template && !isPathLiteral(seg):
			return "has the segment " + strconv.Quote(seg) + ", which cannot stand beside a template"
		}
	}
	return ""
}

// isPathLiteral tells whether the segment is of characters that RFC 3986 allows in one, the star left out.
func isPathLiteral(s string) bool {
	for i := range len(s) {
		if !alnum(s[i]) && strings.IndexByte("-._~%!$&'()+,;:@=", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}
