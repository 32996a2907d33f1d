package compile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/internal/rule"
	"github.com/go-inmesh/inmesh/route"
)

// mesh is the name that stands for the sidecars among a rule's gateways.
const mesh = "mesh"

// Istio's analyzer codes for what this package finds.
const (
	codeUnresolved = "IST0101" // ReferencedResourceNotFound
	codeDuplicate  = "IST0109" // ConflictingMeshGatewayVirtualServiceHosts
)

// Compile builds the tables of one workload. The rules are taken to be valid; where one cannot be compiled all
// the same, a finding of severity error says so, and the output must not be used.
func Compile(in Input) (*Output, []finding.Finding) {
	c := newCompiler(in)
	c.read()
	c.compileMesh()
	c.compileGateways()
	finding.Sort(c.findings)
	return c.out, c.findings
}

// compiler is the state of one compilation.
type compiler struct {
	in       Input
	domain   string
	out      *Output
	findings []finding.Finding

	rules     []*virtualService // with hosts, the nearest to the client first, then the oldest
	delegates map[string]*virtualService
	hosted    map[string]bool              // names of VirtualServices with hosts
	declared  map[string]bool              // hostnames of all services, visible or not
	own       map[string]*registry.Service // of our namespace: rules may lead there even if it is not exported
	imported  map[string]*registry.Service // by hostname, after the Sidecar

	targets  map[string]*target
	clusters map[clusterKey]*Cluster
	open     map[clusterKey]*openCluster

	fallback *route.Router // of every default route
}

// virtualService is a rule with its names completed.
type virtualService struct {
	object   *rule.Object
	spec     *networking.VirtualService
	hosts    []string
	gateways []string
	rank     int

	expanded bool
	sources  []source
	programs map[string]*program
}

// program is a VirtualService as one client or gateway sees it.
type program struct {
	key    string
	routes []source
	ports  []int // on which anything can match; nil means all
	router *route.Router
	linked []Route
}

func (p *program) live(port int) bool {
	return len(p.routes) > 0 && (p.ports == nil || slices.Contains(p.ports, port))
}

func newCompiler(in Input) *compiler {
	if in.RootNamespace == "" {
		in.RootNamespace = "istio-system"
	}
	in.Domain = cmp.Or(strings.ToLower(in.Domain), host.DefaultDomain)
	if in.Workload.Namespace == "" {
		in.Workload.Namespace = "default"
	}
	c := &compiler{
		in: in, domain: in.Domain,
		out: &Output{
			Gateways: map[string]*Gateway{}, Clusters: map[string]*Cluster{}, AllowAny: in.AllowAny,
			workload: in.Workload, domain: in.Domain, routers: map[string]*route.Router{},
		},
		delegates: map[string]*virtualService{}, hosted: map[string]bool{}, declared: map[string]bool{},
		own: map[string]*registry.Service{}, imported: map[string]*registry.Service{}, targets: map[string]*target{},
		clusters: map[clusterKey]*Cluster{}, open: map[clusterKey]*openCluster{},
	}
	if p := in.Previous; p != nil && (p.domain != in.Domain || !sameWorkload(p.workload, in.Workload)) {
		c.in.Previous = nil
	}
	return c
}

func sameWorkload(a, b Workload) bool {
	return a.Name == b.Name && a.Namespace == b.Namespace && maps.Equal(a.Labels, b.Labels)
}

// read collects the VirtualServices that this workload may see, and all delegates.
func (c *compiler) read() {
	for _, s := range c.in.Registry.Services() {
		c.declared[s.Hostname] = true
		if s.Namespace == c.in.Workload.Namespace && c.own[s.Hostname] == nil {
			c.own[s.Hostname] = s
		}
	}
	for _, t := range rule.All[*networking.VirtualService](c.in.Set) {
		v := &virtualService{object: t.Object, spec: t.Spec}
		c.notHTTP(v)
		if len(v.spec.Hosts) == 0 {
			c.delegates[v.object.Ref()] = v
			continue
		}
		c.hosted[v.object.Ref()] = true
		if v.rank = rank(v.spec.ExportTo, v.object.Namespace, c.in.Workload.Namespace); v.rank < 0 {
			continue
		}
		for _, h := range v.spec.Hosts {
			v.hosts = append(v.hosts, host.Resolve(h, v.object.Namespace, c.domain))
		}
		for _, g := range v.spec.Gateways {
			v.gateways = append(v.gateways, gatewayRef(g, v.object.Namespace))
		}
		if len(v.gateways) == 0 {
			v.gateways = []string{mesh}
		}
		c.rules = append(c.rules, v)
	}
	slices.SortStableFunc(c.rules, func(a, b *virtualService) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), rule.Older(a.object, b.object))
	})
}

// notHTTP reports the routes of a VirtualService that are not for HTTP.
func (c *compiler) notHTTP(v *virtualService) {
	for i := range v.spec.Tls {
		c.warn(v.object, finding.Index("tls", i), finding.CodeNotObeyed, "routing by SNI is not supported: only http routes act")
	}
	for i := range v.spec.Tcp {
		c.warn(v.object, finding.Index("tcp", i), finding.CodeNotObeyed, "routing of TCP connections is not supported: only http routes act")
	}
}

// program is the VirtualService's routes for a client, filtered once.
func (c *compiler) program(v *virtualService, cl *client) *program {
	if !v.expanded {
		v.expanded = true
		v.sources = c.expand(v)
	}
	key := cl.gateway
	if cl.port != 0 && slices.ContainsFunc(v.sources, func(s source) bool { return ports([]source{s}) != nil || anyPort(s) }) {
		key = fmt.Sprint(cl.gateway, ":", cl.port)
	}
	if p := v.programs[key]; p != nil {
		return p
	}
	p := &program{key: v.key() + "@" + key, routes: cl.filter(v.sources, v.object.Namespace)}
	p.ports = ports(p.routes)
	if v.programs == nil {
		v.programs = map[string]*program{}
	}
	v.programs[key] = p
	return p
}

// anyPort tells whether any match of the route is for one port.
func anyPort(s source) bool {
	return slices.ContainsFunc(s.spec.Match, func(m *networking.HTTPMatchRequest) bool { return m.GetPort() != 0 })
}

// key names the documents that the rule's routes come from.
func (v *virtualService) key() string {
	key := objectKey(nil, v.object)
	var last *rule.Object
	for _, s := range v.sources {
		if s.delegate != nil && s.delegate != last {
			last = s.delegate
			key = objectKey(key, last)
		}
	}
	return string(key)
}

func objectKey(key []byte, o *rule.Object) []byte {
	key = append(append(append(append(key, o.Namespace...), '/'), o.Name...), '#')
	return append(strconv.AppendUint(key, o.Hash(), 16), ';')
}

// finish compiles the program, once, when a host needs it.
func (c *compiler) finish(p *program) {
	if p.router == nil {
		p.router = c.router(p.key, p.routes)
		p.linked = make([]Route, len(p.routes))
		for i, s := range p.routes {
			p.linked[i] = c.link(s)
		}
	}
}

// router compiles the routes, or takes them over from the previous output.
func (c *compiler) router(key string, routes []source) *route.Router {
	reusable := key != ""
	if reusable {
		if r := c.out.routers[key]; r != nil {
			return r
		}
		if p := c.in.Previous; p != nil && p.routers[key] != nil {
			c.out.routers[key] = p.routers[key]
			return p.routers[key]
		}
	}
	specs := make([]*networking.HTTPRoute, len(routes))
	for i, s := range routes {
		specs[i] = s.spec
	}
	r, err := route.Compile(specs...)
	if err != nil {
		c.errorf(routes[0].object, "", finding.CodeInvalid, "%v", err)
		r, _ = route.New()
	}
	if reusable && err == nil {
		c.out.routers[key] = r
	}
	return r
}

func (c *compiler) warn(o *rule.Object, path, code, format string, args ...any) {
	c.findings = append(c.findings, o.Finding(finding.Fault{
		Path: path, Severity: finding.Warning, Code: code, Message: fmt.Sprintf(format, args...)}))
}

func (c *compiler) errorf(o *rule.Object, path, code, format string, args ...any) {
	c.findings = append(c.findings, o.Finding(finding.Fault{
		Path: path, Severity: finding.Error, Code: code, Message: fmt.Sprintf(format, args...)}))
}
