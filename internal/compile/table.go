package compile

import (
	"cmp"
	"slices"
	"strings"

	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/registry"
)

// Table finds the virtual host of a request that leaves the workload. It is immutable and safe for concurrent
// use; lookups do not allocate.
type Table struct {
	exact    map[string]*entry
	suffix   map[string]*entry // of wildcards, without the star
	partial  []int             // lengths of suffixes that do not begin with a dot
	all      *entry            // "*"
	registry *registry.Registry
	client   string // our namespace
}

// entry is what is known of one name: virtual hosts for some ports, and for all others.
type entry struct {
	ports []*VirtualHost // sorted by port
	any   []anyPortHost  // the first that takes the port answers
	// service is true where the name is a service's, seen what lets it in. On ports where nothing does, no
	// wildcard's rule answers, and a rule that names the service does on port 80 only: such a host is to Istio
	// one without a service.
	service bool
	seen    []*listener
}

func (e *entry) closed(port int) bool {
	return e != nil && e.service && !slices.ContainsFunc(e.seen, func(l *listener) bool { return l.takes(port) })
}

// anyPortHost is a virtual host that a rule makes without a service, for the ports where the rule acts.
type anyPortHost struct {
	host     *VirtualHost
	program  *program
	listener *listener
}

// Lookup is the virtual host for a name, in lower case, without port and brackets, and a port: by exact name,
// else by the longest wildcard, else "*". Nil means that no rule and no service names it.
func (t *Table) Lookup(name string, port int) *VirtualHost {
	e := t.exact[name]
	if vh := e.at(port); vh != nil || e.closed(port) {
		return vh
	}
	if len(t.suffix) > 0 {
		for i := 1; i < len(name); i++ {
			if name[i] == '.' || len(t.partial) > 0 && slices.Contains(t.partial, len(name)-i) {
				if vh := t.suffix[name[i:]].at(port); vh != nil {
					return vh
				}
			}
		}
	}
	if vh := t.all.at(port); vh != nil {
		return vh
	}
	if t.registry != nil && host.IsIP(name) {
		// A service may have a range of addresses.
		if s := t.registry.ByAddress(name, t.client); s != nil && s.Hostname != name {
			return t.exact[s.Hostname].at(port)
		}
	}
	return nil
}

func (e *entry) at(port int) *VirtualHost {
	if e == nil {
		return nil
	}
	for _, vh := range e.ports {
		if vh.Port == port {
			return vh
		}
	}
	if len(e.any) == 0 || port != 80 && e.closed(port) {
		return nil
	}
	for i := range e.any {
		if a := &e.any[i]; a.listener.takes(port) && a.program.live(port) {
			return a.host
		}
	}
	return nil
}

// VirtualHosts are all virtual hosts, each once, sorted by name.
func (t *Table) VirtualHosts() []*VirtualHost {
	seen := map[*VirtualHost]bool{}
	var out []*VirtualHost
	add := func(vh *VirtualHost) {
		if !seen[vh] {
			seen[vh] = true
			out = append(out, vh)
		}
	}
	each := func(e *entry) {
		for _, vh := range e.ports {
			add(vh)
		}
		for _, a := range e.any {
			add(a.host)
		}
	}
	for _, e := range t.exact {
		each(e)
	}
	for _, e := range t.suffix {
		each(e)
	}
	if t.all != nil {
		each(t.all)
	}
	slices.SortFunc(out, func(a, b *VirtualHost) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// entry is the place of a name or wildcard, made where there is none.
func (t *Table) entry(pattern string) *entry {
	switch {
	case pattern == "*":
		if t.all == nil {
			t.all = &entry{}
		}
		return t.all
	case host.IsWildcard(pattern):
		return t.under(t.suffix, t.wild(pattern))
	}
	return t.under(t.exact, pattern)
}

func (t *Table) wild(pattern string) string {
	key := pattern[1:]
	if !strings.HasPrefix(key, ".") && !slices.Contains(t.partial, len(key)) {
		t.partial = append(t.partial, len(key))
	}
	return key
}

func (*Table) under(m map[string]*entry, key string) *entry {
	e := m[key]
	if e == nil {
		e = &entry{}
		m[key] = e
	}
	return e
}

// alias lets another name stand for the entry, unless it has one of its own.
func (t *Table) alias(name string, e *entry) {
	if _, taken := t.exact[name]; !taken {
		t.exact[name] = e
	}
}
