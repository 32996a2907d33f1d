package validate

import (
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// destinationRule judges https://istio.io/latest/docs/reference/config/networking/destination-rule/.
func destinationRule(fs *finding.Faults, in scope, d *networking.DestinationRule) {
	if d == nil {
		return
	}
	host(fs, "host", d.Host)
	trafficPolicy(fs, "trafficPolicy", in.namespace, d.TrafficPolicy)
	names := map[string]bool{}
	for i, s := range d.Subsets {
		path := finding.Index("subsets", i)
		if s == nil {
			fs.Errorf(path, "null, want a subset")
			continue
		}
		switch {
		case !isLabel(s.Name):
			fs.Errorf(finding.Join(path, "name"), "%q is not a DNS label: letters, digits and -, at most 63", s.Name)
		case names[s.Name]:
			fs.Errorf(finding.Join(path, "name"), "%q is the name of an earlier subset", s.Name)
		}
		names[s.Name] = true
		labelMap(fs, finding.Join(path, "labels"), s.Labels)
		trafficPolicy(fs, finding.Join(path, "trafficPolicy"), in.namespace, s.TrafficPolicy)
	}
	exportTo(fs, in.namespace, d.ExportTo, false, d.WorkloadSelector != nil)
	selector(fs, "workloadSelector", d.WorkloadSelector)
}
