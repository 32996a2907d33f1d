package validate

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// topology are the labels that tell where a workload runs, which failover already looks at.
var topology = []string{"topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"}

func locality(fs *finding.Faults, path string, l *networking.LocalityLoadBalancerSetting, outlier bool) {
	if l == nil {
		return
	}
	if len(l.Distribute) > 0 && len(l.Failover) > 0 {
		fs.Errorf(finding.Join(path, "failover"), "distribute and failover are set together")
		return
	}
	for i, label := range l.FailoverPriority {
		if len(l.Failover) > 0 && slices.Contains(topology, label) {
			fs.Errorf(finding.Index(finding.Join(path, "failoverPriority"), i), "%q is set together with failover", label)
		}
	}
	distribute(fs, finding.Join(path, "distribute"), l.Distribute)
	noOutlier(fs, path, len(l.Failover) > 0 || len(l.FailoverPriority) > 0, outlier)
	for i, f := range l.Failover {
		failover(fs, finding.Index(finding.Join(path, "failover"), i), f.GetFrom(), f.GetTo())
	}
}

func zoneAware(fs *finding.Faults, path string, z *networking.ZoneAwareLoadBalancerSetting, outlier bool) {
	if z == nil {
		return
	}
	for i, label := range z.FailoverPriority {
		if slices.Contains(topology, label) {
			fs.Errorf(finding.Index(finding.Join(path, "failoverPriority"), i), "%q is looked at anyway", label)
		}
	}
	noOutlier(fs, path, len(z.Failover) > 0 || len(z.FailoverPriority) > 0, outlier)
	for i, f := range z.Failover {
		failover(fs, finding.Index(finding.Join(path, "failover"), i), f.GetFrom(), f.GetTo())
	}
	if m := z.MinClusterSize; m != nil && m.Value < 1 {
		fs.Errorf(finding.Join(path, "minClusterSize"), "%d is less than 1", m.Value)
	}
}

func noOutlier(fs *finding.Faults, path string, failover, outlier bool) {
	if failover && !outlier {
		fs.Warnf(path, finding.CodeFailover, "there is no outlierDetection, without which nothing fails over")
	}
}

func failover(fs *finding.Faults, path, from, to string) {
	switch {
	case from == to:
		fs.Errorf(path, "from and to are both %q, want two regions", from)
	case strings.ContainsAny(from+to, "/*"):
		fs.Errorf(path, "from %q to %q, want regions alone, without / and *", from, to)
	}
}

// distribute wants weights that sum to 100 for each origin, and localities that do not overlap.
func distribute(fs *finding.Faults, path string, list []*networking.LocalityLoadBalancerSetting_Distribute) {
	var from localities
	for i, d := range list {
		at := finding.Index(path, i)
		var sum uint64
		var to localities
		for _, l := range sorted(d.GetTo()) {
			w := d.To[l]
			key := finding.Key(finding.Join(at, "to"), l)
			if w < 1 || w > 100 {
				fs.Errorf(key, "the weight %d is not in 1..100", w)
			}
			sum += uint64(w)
			to.add(fs, key, l)
		}
		if sum != 100 {
			fs.Errorf(finding.Join(at, "to"), "the weights sum to %d, want 100", sum)
		}
		from.add(fs, finding.Join(at, "from"), d.GetFrom())
	}
}

// localities are those of one list: "region", "region/zone" or "region/zone/subzone", the last part perhaps "*". The
// zero value is ready to use.
type localities struct {
	areas map[string]bool // "" for all, "region/", "region/zone/"…
	above map[string]bool // all areas that some area lies in
}

// add wants a well-formed locality that no earlier one covers. One with a wildcard may cover earlier ones.
func (ls *localities) add(fs *finding.Faults, path, l string) {
	if n := strings.Count(l, "*"); n > 1 || n == 1 && !strings.HasSuffix(l, "*") {
		fs.Errorf(path, "%q has a wildcard that is not its end", l)
		return
	}
	if slices.Contains(strings.SplitN(l, "/", 3), "") {
		fs.Errorf(path, "%q is not region, region/zone or region/zone/subzone", l)
		return
	}
	area := strings.TrimSuffix(l, "/*") + "/"
	if l == "*" {
		area = ""
	}
	overlaps := ls.areas[area] || !strings.HasSuffix(l, "*") && ls.above[area]
	parents := []string{""}
	for i := range len(area) - 1 {
		if area[i] == '/' {
			parents = append(parents, area[:i+1])
		}
	}
	for _, p := range parents {
		overlaps = overlaps || ls.areas[p]
	}
	if overlaps {
		fs.Errorf(path, "%q overlaps with an earlier locality", l)
		return
	}
	if ls.areas == nil {
		ls.areas, ls.above = map[string]bool{}, map[string]bool{}
	}
	ls.areas[area] = true
	for _, p := range parents {
		ls.above[p] = true
	}
}
