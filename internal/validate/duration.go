package validate

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// Duration wants a duration of at least a millisecond, in whole milliseconds. Nil is fine.
func Duration(fs *finding.Faults, path string, d *durationpb.Duration) {
	if d == nil {
		return
	}
	switch v := d.AsDuration(); {
	case v < time.Millisecond:
		fs.Errorf(path, "%v is shorter than 1ms", v)
	case v%time.Millisecond != 0:
		fs.Errorf(path, "%v is not in whole milliseconds", v)
	}
}

// Percent wants 0, or 0.0001 to 100. Nil is fine.
func Percent(fs *finding.Faults, path string, p *networking.Percent) {
	if p == nil {
		return
	}
	if v := p.Value; v != 0 && !(v >= 0.0001 && v <= 100) {
		fs.Errorf(finding.Join(path, "value"), "%v is not 0 or in 0.0001..100", v)
	}
}

// mirrorPercent wants 0 to 100, with no least step.
func mirrorPercent(fs *finding.Faults, path string, p *networking.Percent) {
	if p != nil && !(p.Value >= 0 && p.Value <= 100) {
		fs.Errorf(finding.Join(path, "value"), "%v is not in 0..100", p.Value)
	}
}

// wholePercent wants 0 to 100.
func wholePercent(fs *finding.Faults, path string, v int32) {
	if v < 0 || v > 100 {
		fs.Errorf(path, "%d is not in 0..100", v)
	}
}

// notNegative wants 0 or more.
func notNegative(fs *finding.Faults, path string, v int32) {
	if v < 0 {
		fs.Errorf(path, "%d is negative", v)
	}
}
