package validate

import (
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// OutlierDetection judges outlier detection.
func OutlierDetection(fs *finding.Faults, path string, o *networking.OutlierDetection) {
	if o == nil {
		return
	}
	Duration(fs, finding.Join(path, "interval"), o.Interval)
	Duration(fs, finding.Join(path, "baseEjectionTime"), o.BaseEjectionTime)
	wholePercent(fs, finding.Join(path, "maxEjectionPercent"), o.MaxEjectionPercent)
	wholePercent(fs, finding.Join(path, "minHealthPercent"), o.MinHealthPercent)
	if n := o.ConsecutiveLocalOriginFailures.GetValue(); n > 0 && !o.SplitExternalLocalOriginErrors {
		fs.Errorf(finding.Join(path, "consecutiveLocalOriginFailures"), "%d while splitExternalLocalOriginErrors is false, want true", n)
	}
	for i, code := range o.OutlierDetectionHttpErrorCodes {
		if code < 100 || code > 599 {
			fs.Errorf(finding.Index(finding.Join(path, "outlierDetectionHttpErrorCodes"), i), "%d is not in 100..599", code)
		}
	}
}
