package analyze

import (
	"fmt"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/registry"
)

// cluster is a part of a rule's traffic, with as many endpoints as are known.
type cluster struct {
	name      string // "reviews.default.svc.cluster.local", or its subset
	endpoints int
}

// detection is one outlierDetection of a rule, with the clusters that it acts on.
type detection struct {
	path     string
	spec     *networking.OutlierDetection
	clusters []cluster
}

// outliers looks at a rule's outlier detection: whether it can ever eject.
func (a *analysis) outliers(d *destinationRule, services []*registry.Service) {
	for _, o := range a.detections(d, services) {
		a.canEject(d, o)
	}
}

// detections are all blocks of outlier detection, each with the clusters of known endpoints that it is for.
func (a *analysis) detections(d *destinationRule, services []*registry.Service) []*detection {
	var out []*detection
	at := map[string]*detection{}
	add := func(path string, p policy, name string, endpoints []registry.Endpoint) {
		if p.outlier == nil || len(endpoints) == 0 {
			return
		}
		o := at[path]
		if o == nil {
			o = &detection{path: path, spec: p.outlier}
			at[path] = o
			out = append(out, o)
		}
		o.clusters = append(o.clusters, cluster{name, len(endpoints)})
	}
	for _, s := range services {
		if s.Resolution != registry.Static {
			continue // how many addresses a name has is not known
		}
		for _, port := range s.Ports {
			endpoints := a.registry.Endpoints(s, port.Number)
			top := policyOf("trafficPolicy", d.Spec.TrafficPolicy, port.Number)
			add(top.path, top, s.Hostname, endpoints)
			if len(endpoints)*len(d.Spec.Subsets) > maxEndpoints {
				continue
			}
			for i, sub := range d.Spec.Subsets {
				own := policyOf(finding.Index("subsets", i)+".trafficPolicy", sub.GetTrafficPolicy(), port.Number)
				p := own
				if own.outlier == nil && !own.ported {
					p.path, p.outlier = top.path, top.outlier
				}
				add(p.path, p, "subset "+sub.GetName()+" of "+s.Hostname, registry.Subset(endpoints, sub.GetLabels()))
			}
		}
	}
	return out
}

// policy is what counts for one port.
type policy struct {
	path    string // of the outlierDetection
	outlier *networking.OutlierDetection
	ported  bool // from portLevelSettings, which replace all else
}

func policyOf(path string, p *networking.TrafficPolicy, port int) policy {
	for i, s := range p.GetPortLevelSettings() {
		if int(s.GetPort().GetNumber()) == port {
			return policy{finding.Index(path+".portLevelSettings", i) + ".outlierDetection", s.GetOutlierDetection(), true}
		}
	}
	return policy{path + ".outlierDetection", p.GetOutlierDetection(), false}
}

// canEject warns where the share that may be ejected is less than one endpoint.
func (a *analysis) canEject(d *destinationRule, o *detection) {
	percent, path, text := int(o.spec.MaxEjectionPercent), o.path+".maxEjectionPercent", ""
	if percent == 0 {
		percent, path, text = 10, o.path, "by default, "
	}
	if off(o.spec) {
		return
	}
	var never []string
	for _, c := range o.clusters {
		if percent*c.endpoints < 100 {
			never = append(never, fmt.Sprintf("%s has %d", c.name, c.endpoints))
		}
	}
	if len(never) == 0 {
		return
	}
	a.warn(d.Object, path, finding.CodeEjection, "never ejects: %s%d %% of the endpoints may be out, which is less than one of fewer than %d (%s)",
		text, percent, (100+percent-1)/percent, some(distinct(never)))
}

// off tells whether no error counts at all.
func off(o *networking.OutlierDetection) bool {
	return o.Consecutive_5XxErrors != nil && o.Consecutive_5XxErrors.Value == 0 &&
		o.ConsecutiveGatewayErrors.GetValue() == 0 && !o.SplitExternalLocalOriginErrors
}

func distinct(words []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, w := range words {
		if !seen[w] {
			seen[w] = true
			out = append(out, w)
		}
	}
	return out
}
