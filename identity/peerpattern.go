package identity

import (
	"slices"
	"strings"
)

// What a policy says of the peer's SPIFFE ID, all on its text. Without an ID nothing of it matches.

const scheme = "spiffe://"

// principalPatterns are values without the scheme: "cluster.local/ns/foo/sa/bar", "*/sa/bar", "*".
func principalPatterns(values, domains []string) *patterns {
	var list []pattern
	for _, v := range withAliases(values, domains) {
		p := newPattern(v, some)
		if p.kind == exact || p.kind == prefix {
			p.text = scheme + p.text
		}
		list = append(list, p)
	}
	return patternsOf(list)
}

// withAliases says of principals of our own trust domain that they may be of its aliases too, and the other way round:
// a trust domain can be renamed while policies stay. "cluster.local" always means our own.
func withAliases(values, domains []string) []string {
	var out []string
	for _, v := range values {
		td, rest, _ := strings.Cut(v, "/")
		if strings.Count(v, "/") != 4 || td == "*" || td != "cluster.local" && !slices.ContainsFunc(domains, func(d string) bool { return domainLike(td, d) }) {
			out = append(out, v)
			continue
		}
		for _, d := range domains {
			one := d + "/" + rest
			if strings.HasPrefix(td, "*") && strings.HasSuffix(d, td[1:]) {
				one = v
			}
			if !slices.Contains(out, one) {
				out = append(out, one)
			}
		}
	}
	return out
}

// domainLike compares two trust domains, each of which may have a star at an end.
func domainLike(a, b string) bool {
	like := func(pattern, s string) bool {
		return strings.HasPrefix(pattern, "*") && strings.HasSuffix(s, pattern[1:]) ||
			strings.HasSuffix(pattern, "*") && strings.HasPrefix(s, pattern[:len(pattern)-1])
	}
	return a == b || like(a, b) || like(b, a)
}

// withDomainAliases is withAliases for trust domains alone.
func withDomainAliases(values, domains []string) []string {
	var out []string
	for _, v := range values {
		if slices.Contains(domains, v) {
			out = append(out, domains...)
		} else {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// namespacePattern matches an ID that has "/ns/", the value and "/" in it; a star in the value stands for anything.
type namespacePattern struct{ parts []string }

func newNamespacePattern(value string) namespacePattern {
	return namespacePattern{strings.Split("/ns/"+value+"/", "*")}
}

func (p namespacePattern) match(id string) bool {
	for _, part := range p.parts {
		i := strings.Index(id, part)
		if i < 0 {
			return false
		}
		id = id[i+len(part):]
	}
	return true
}

// accountPattern matches an ID that has "/ns/NAMESPACE/" in it, and behind that "sa/ACCOUNT" as whole segments.
type accountPattern struct{ namespace, account string }

// newAccountPattern reads "account" or "namespace/account"; the first is of the policy's own namespace.
func newAccountPattern(value, own string) accountPattern {
	ns, account, ok := strings.Cut(value, "/")
	if !ok {
		ns, account = own, value
	}
	return accountPattern{"/ns/" + ns + "/", "sa/" + account}
}

func (p accountPattern) match(id string) bool {
	rest, ok := strings.CutPrefix(id, scheme)
	i := strings.Index(rest, p.namespace)
	if !ok || i < 1 {
		return false
	}
	rest = rest[i+len(p.namespace):]
	for at := 0; ; {
		i := strings.Index(rest[at:], p.account)
		if i < 0 {
			return false
		}
		i += at
		end := rest[i+len(p.account):]
		if (i == 0 || i > 1 && rest[i-1] == '/') && (end == "" || end[0] == '/' && len(end) > 1) {
			return true
		}
		at = i + 1
	}
}

// domainPattern matches the ID's trust domain.
type domainPattern struct{ pattern }

func newDomainPattern(value string) domainPattern { return domainPattern{newPattern(value, present)} }

func (p domainPattern) match(id string) bool {
	rest, ok := strings.CutPrefix(id, scheme)
	if !ok || p.kind == present {
		return ok
	}
	td, _, path := strings.Cut(rest, "/")
	return path && p.pattern.match(td)
}
