package mesh

import (
	"encoding/json"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/internal/compile"
	"github.com/go-inmesh/inmesh/observe"
)

// DebugHandler serves what the mesh knows, as JSON, read-only. Mount it with a slash at the end, where only operators
// reach it:
//
//	http.Handle("/debug/mesh/", m.DebugHandler())
//
// The last part of the path chooses: "rules" (every object, with its place), "findings", "hosts" (virtual hosts with
// their routes), "clusters" (endpoints, requests in flight, limits, ejections), "mirrors" (what became of copies of
// requests), "reloads", "graph" (who called whom), or "explain" (with url, method, gateway and header as query
// parameters). Everything else lists these.
// "limits" tells what the limits of Options.Extensions have counted.
func (m *Mesh) DebugHandler() http.Handler {
	pages := map[string]func(*http.Request) (any, error){
		"rules":    func(*http.Request) (any, error) { return m.debugRules(), nil },
		"findings": func(*http.Request) (any, error) { return m.debugFindings(), nil },
		"hosts":    func(*http.Request) (any, error) { return m.debugHosts(), nil },
		"clusters": func(*http.Request) (any, error) { return m.debugClusters(), nil },
		"reloads":  func(*http.Request) (any, error) { return m.debugReloads(), nil },
		"mirrors":  func(*http.Request) (any, error) { return m.Mirrors(), nil },
		"graph":    func(*http.Request) (any, error) { return m.observer.Graph(), nil },
		"explain":  m.debugExplain,
		"limits":   func(*http.Request) (any, error) { return m.debugExtensions(), nil },
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "read-only", http.StatusMethodNotAllowed)
			return
		}
		page := pages[path.Base(r.URL.Path)]
		if page == nil {
			writeJSON(w, debugIndex(r.URL.Path, pages))
			return
		}
		v, err := page(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		writeJSON(w, v)
	})
}

func debugIndex[V any](at string, pages map[string]V) map[string][]string {
	if !strings.HasSuffix(at, "/") {
		at += "/"
	}
	var list []string
	for name := range pages {
		list = append(list, at+name)
	}
	slices.Sort(list)
	return map[string][]string{"pages": list}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the client has gone if this fails
}

type debugRule struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	File       string `json:"file,omitempty"`
	Line       int    `json:"line,omitempty"`
}

func (m *Mesh) debugRules() []debugRule {
	list := []debugRule{}
	for _, o := range m.current.Load().rules.Objects() {
		list = append(list, debugRule{o.Kind, o.APIVersion, o.Namespace, o.Name, o.Position.File, o.Position.Line})
	}
	return list
}

func (m *Mesh) debugFindings() []Finding {
	return append([]Finding{}, m.current.Load().told()...)
}

type debugHost struct {
	Name           string       `json:"name"`
	Gateway        string       `json:"gateway,omitempty"`
	VirtualService string       `json:"virtualService,omitempty"`
	Routes         []debugRoute `json:"routes"`
}

type debugRoute struct {
	Index    int      `json:"index"`
	Name     string   `json:"name,omitempty"`
	Action   string   `json:"action"`
	Clusters []string `json:"clusters,omitempty"`
	Place    string   `json:"place,omitempty"`
}

func (m *Mesh) debugHosts() []debugHost {
	s := m.current.Load()
	list := []debugHost{}
	for _, vh := range s.out.Mesh.VirtualHosts() {
		list = append(list, describeHost("", vh))
	}
	for _, name := range slices.Sorted(maps.Keys(s.out.Gateways)) {
		for _, vh := range s.out.Gateways[name].VirtualHosts() {
			list = append(list, describeHost(name, vh))
		}
	}
	return list
}

func describeHost(gateway string, vh *compile.VirtualHost) debugHost {
	d := debugHost{Name: vh.Name, Gateway: gateway, Routes: []debugRoute{}}
	if vh.Object != nil {
		d.VirtualService = vh.Object.Ref()
	}
	places := &compile.Places{}
	for i := range vh.Routes {
		at, r := &vh.Routes[i], vh.Router.Route(i)
		dr := debugRoute{Index: at.Index, Name: r.Name(), Action: r.Action().String(), Place: places.Of(at).String()}
		for _, ref := range at.Clusters {
			dr.Clusters = append(dr.Clusters, ref.At(vh.Port).Name)
		}
		d.Routes = append(d.Routes, dr)
	}
	return d
}

// debugCluster is one cluster as it is now.
type debugCluster struct {
	Name      string                 `json:"name"`
	Algorithm string                 `json:"algorithm"`
	Limits    breaker.Limits         `json:"limits"`
	Counts    breaker.Counts         `json:"counts"`
	Outlier   *breaker.OutlierStatus `json:"outlierDetection,omitempty"`
	Health    *breaker.HealthStatus  `json:"healthCheck,omitempty"`
	Balancing *ExplainedBalancing    `json:"balancing,omitempty"` // where a hash, localities or warmup have a say
	Endpoints []debugEndpoint        `json:"endpoints"`
}

type debugEndpoint struct {
	Address  string            `json:"address"`
	Labels   map[string]string `json:"labels,omitempty"`
	Locality string            `json:"locality,omitempty"`
	Priority int               `json:"priority"`
	Weight   int               `json:"weight,omitempty"`
	Active   int64             `json:"active"`
	Ejected  bool              `json:"ejected"`
	Failing  bool              `json:"failing,omitempty"` // its health checks
}

func (m *Mesh) debugClusters() []debugCluster {
	list := []debugCluster{}
	m.current.Load().eachCluster(func(c *cluster) {
		g := c.members()
		d := debugCluster{Name: c.name, Algorithm: string(g.balancer.Algorithm()), Limits: c.pool.Limits(), Counts: c.pool.Counts(),
			Balancing: c.explainBalancing(), Endpoints: []debugEndpoint{}}
		if c.policy.GetOutlierDetection() != nil {
			status := g.outlier.Status()
			d.Outlier = &status
		}
		if g.health != nil {
			status := g.health.Status()
			d.Health = &status
		}
		for _, e := range g.balancer.Endpoints() {
			d.Endpoints = append(d.Endpoints, debugEndpoint{e.Address, e.Labels, e.Locality, e.Priority(), e.Weight, e.Active(), e.Ejected(), e.Failing()})
		}
		list = append(list, d)
	})
	slices.SortFunc(list, func(a, b debugCluster) int { return strings.Compare(a.Name, b.Name) })
	return list
}

type debugReload struct {
	Time    time.Time `json:"time"`
	Took    string    `json:"took"`
	Objects int       `json:"objects"`
	Error   string    `json:"error,omitempty"`
}

func (m *Mesh) debugReloads() []debugReload {
	list := []debugReload{}
	for _, r := range m.Reloads() {
		d := debugReload{Time: r.Time, Took: r.Took.String(), Objects: r.Objects}
		if r.Err != nil {
			d.Error = r.Err.Error()
		}
		list = append(list, d)
	}
	return list
}

// debugExplain explains the request that the query describes.
func (m *Mesh) debugExplain(r *http.Request) (any, error) {
	q := r.URL.Query()
	req, err := http.NewRequestWithContext(r.Context(), q.Get("method"), q.Get("url"), nil)
	if err != nil {
		return nil, err
	}
	for _, h := range q["header"] {
		k, v, _ := strings.Cut(h, ":")
		if k, v = strings.TrimSpace(k), strings.TrimSpace(v); strings.EqualFold(k, "host") {
			req.Host = v
		} else {
			req.Header.Add(k, v)
		}
	}
	if g := q.Get("gateway"); g != "" {
		return m.ExplainGateway(g, req)
	}
	return m.Explain(req)
}

// clusterStats is what metrics tell of the clusters.
func (m *Mesh) clusterStats() []observe.ClusterStats {
	var list []observe.ClusterStats
	m.current.Load().eachCluster(func(c *cluster) {
		g, counts := c.members(), c.pool.Counts()
		s := observe.ClusterStats{Cluster: c.name, Pending: counts.Pending, Active: counts.Active, Connections: counts.Connections,
			PendingOverflow: counts.Overflow, Requests: c.requests.Load(), Retries: c.retries.Load(), ConnectFailures: c.connectFailures.Load(),
			RetrySuccess: c.retrySuccess.Load(), RetryOverflow: c.retryOverflow.Load(), RetryExhausted: c.retryExhausted.Load(),
			Timeouts: c.timeouts.Load(), PerTryTimeouts: c.perTryTimeouts.Load()}
		for _, e := range g.balancer.Endpoints() {
			s.Members++
			if e.Healthy() {
				s.Healthy++
			}
		}
		if c.policy.GetOutlierDetection() != nil {
			o := g.outlier.Status()
			s.Ejected, s.Ejections, s.EjectionsOverflow = int64(o.Ejected), o.Enforced, o.Capped
		}
		list = append(list, s)
	})
	return list
}
