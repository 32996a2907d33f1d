package identity

import (
	"cmp"
	"slices"
	"strings"
)

// ruleSet are the rules of one action, in the order of their names, as Envoy tries them. Rules that can hold only for
// some paths, peers or hosts are found by hash, so that many cost little more than few.
type ruleSet struct {
	rules []*policyRule
	rest  []int32 // places of rules that must always be tried
	by    [keys]map[string][]int32
}

// What a rule can be found by.
const (
	byPath      = iota // the whole path
	byDirectory        // the path up to one of its slashes
	byPrincipal
	byNamespace // of the peer
	byHost
	keys
)

func newRuleSet(rules []*policyRule) *ruleSet {
	s := &ruleSet{rules: rules}
	slices.SortStableFunc(rules, func(a, b *policyRule) int { return cmp.Compare(a.name, b.name) })
	options := make([][keys][]string, len(rules))
	var count [keys]map[string]int
	for k := range count {
		count[k] = map[string]int{}
	}
	for i, r := range rules {
		options[i] = r.keys()
		for k, list := range options[i] {
			for _, key := range list {
				count[k][key]++
			}
		}
	}
	for i := range rules {
		best, least := -1, 0
		for k, list := range options[i] {
			n := 0
			for _, key := range list {
				n = max(n, count[k][key])
			}
			if n > 0 && (best < 0 || n < least) {
				best, least = k, n
			}
		}
		if best < 0 {
			s.rest = append(s.rest, int32(i))
			continue
		}
		if s.by[best] == nil {
			s.by[best] = map[string][]int32{}
		}
		for _, key := range options[i][best] {
			s.by[best][key] = append(s.by[best][key], int32(i))
		}
	}
	return s
}

// find is the first rule in order that holds; nil for none, and for a nil set.
func (s *ruleSet) find(q *Request) *policyRule {
	if s == nil || len(s.rules) == 0 {
		return nil
	}
	q.readings()
	found := s.first(s.rest, q, int32(len(s.rules)))
	if m := s.by[byPath]; m != nil {
		found = s.first(m[q.Path], q, found)
		if q.other != "" {
			found = s.first(m[q.other], q, found)
		}
	}
	if m := s.by[byDirectory]; m != nil {
		found = s.directories(m, q.Path, q, found)
		if q.other != "" {
			found = s.directories(m, q.other, q, found)
		}
	}
	if q.peer != "" {
		if m := s.by[byPrincipal]; m != nil {
			found = s.first(m[q.peer], q, found)
		}
		if m := s.by[byNamespace]; m != nil {
			for rest := q.peer; ; {
				i := strings.Index(rest, "/ns/")
				if i < 0 {
					break
				}
				rest = rest[i+1:]
				if name, _, ok := strings.Cut(rest[3:], "/"); ok {
					found = s.first(m[name], q, found)
				}
			}
		}
	}
	if m := s.by[byHost]; m != nil {
		found = s.first(m[q.host], q, found)
		if strings.Contains(q.host, ".:") || strings.HasSuffix(q.host, ".") {
			found = s.first(m[strings.TrimSuffix(strings.Replace(q.host, ".:", ":", 1), ".")], q, found)
		}
	}
	if int(found) == len(s.rules) {
		return nil
	}
	return s.rules[found]
}

// first is the first of the places whose rule holds, if it is before another one.
func (s *ruleSet) first(places []int32, q *Request, before int32) int32 {
	for _, i := range places {
		if i >= before {
			break
		}
		if s.rules[i].holds(q) {
			return i
		}
	}
	return before
}

// directories looks at every slash of the path.
func (s *ruleSet) directories(m map[string][]int32, path string, q *Request, before int32) int32 {
	for i := range len(path) {
		if path[i] == '/' {
			before = s.first(m[path[:i+1]], q, before)
		}
	}
	return before
}

// keys are the ways in which the rule can be found: for each, all the keys under which it must stand. A way that
// does not find it always has none.
func (r *policyRule) keys() (out [keys][]string) {
	join := func(lists [][]condition, keysOf func(*condition) ([]string, bool)) (all []string) {
		for _, list := range lists {
			var one []string
			for i := range list {
				if k, ok := keysOf(&list[i]); ok {
					one = k
					break
				}
			}
			if one == nil {
				return nil
			}
			all = append(all, one...)
		}
		return all
	}
	out[byPath] = unique(join(r.to, exactPaths))
	out[byDirectory] = unique(join(r.to, directoryKeys))
	out[byHost] = unique(join(r.to, exactHosts))
	out[byPrincipal] = unique(join(r.from, exactPrincipals))
	out[byNamespace] = unique(join(r.from, exactNamespaces))
	if out[byPrincipal] == nil {
		out[byPrincipal] = unique(join([][]condition{r.when}, exactPrincipals))
	}
	if out[byNamespace] == nil {
		out[byNamespace] = unique(join([][]condition{r.when}, exactNamespaces))
	}
	return out
}

func unique(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

func exactPaths(c *condition) ([]string, bool) {
	t, ok := c.values.(*pathPatterns)
	if !ok || len(t.templates) > 0 {
		return nil, false
	}
	return t.texts.literals()
}

func exactHosts(c *condition) ([]string, bool) {
	t, ok := c.values.(hostTest)
	if !ok {
		return nil, false
	}
	return t.literals()
}

func exactPrincipals(c *condition) ([]string, bool) {
	t, ok := c.values.(principalTest)
	if !ok {
		return nil, false
	}
	return t.literals()
}

func exactNamespaces(c *condition) (out []string, ok bool) {
	switch t := c.values.(type) {
	case *peerTest[namespacePattern]:
		for _, p := range t.list {
			if len(p.parts) > 1 {
				return nil, false
			}
			name := p.parts[0][len("/ns/"):]
			if name = name[:len(name)-1]; strings.Contains(name, "/") {
				return nil, false
			}
			out = append(out, name)
		}
	case *peerTest[accountPattern]:
		for _, p := range t.list {
			out = append(out, strings.Trim(strings.TrimPrefix(p.namespace, "/ns"), "/"))
		}
	}
	return out, len(out) > 0
}

// directoryKeys cuts every path at the last slash before which nothing is open. The root says nothing.
func directoryKeys(c *condition) (out []string, ok bool) {
	t, is := c.values.(*pathPatterns)
	if !is || len(t.texts.exact) > 0 {
		return nil, false
	}
	cut := func(literal string) bool {
		i := strings.LastIndexByte(literal, '/')
		if i > 0 {
			out = append(out, literal[:i+1])
		}
		return i > 0
	}
	for _, p := range t.texts.list {
		if p.kind != exact && p.kind != prefix || !cut(p.text) {
			return nil, false
		}
	}
	for _, tp := range t.templates {
		if !cut(tp.literals[0]) {
			return nil, false
		}
	}
	return out, len(out) > 0
}
