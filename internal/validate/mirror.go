package validate

import (
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// mirrors judges both ways to ask for copies of the requests.
func mirrors(fs *finding.Faults, path string, r *networking.HTTPRoute) {
	Destination(fs, finding.Join(path, "mirror"), r.Mirror)
	mirrorPercent(fs, finding.Join(path, "mirrorPercentage"), r.MirrorPercentage)
	if p := r.MirrorPercent.GetValue(); p > 100 { // still honoured
		fs.Errorf(finding.Join(path, "mirrorPercent"), "%d is not in 0..100", p)
	}
	for i, m := range r.Mirrors {
		at := finding.Index(finding.Join(path, "mirrors"), i)
		if m == nil {
			fs.Errorf(at, "null, want a mirror")
			continue
		}
		Mirror(fs, at, m)
	}
}

// Mirror judges one entry of a route's mirrors.
func Mirror(fs *finding.Faults, path string, m *networking.HTTPMirrorPolicy) {
	if m == nil {
		return
	}
	if m.Destination == nil {
		fs.Errorf(path, "no destination")
	}
	Destination(fs, finding.Join(path, "destination"), m.Destination)
	mirrorPercent(fs, finding.Join(path, "percentage"), m.Percentage)
}
