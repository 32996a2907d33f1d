package validate

import (
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// Destination judges a destination. Nil is fine: who needs one says so.
func Destination(fs *finding.Faults, path string, d *networking.Destination) {
	if d == nil {
		return
	}
	if d.Host == "*" {
		fs.Errorf(finding.Join(path, "host"), `"*" is no destination, want a host`)
	} else {
		host(fs, finding.Join(path, "host"), d.Host)
	}
	if d.Subset != "" && !isLabel(d.Subset) {
		fs.Errorf(finding.Join(path, "subset"), "%q is not a DNS label: letters, digits and -, at most 63", d.Subset)
	}
	if d.Port != nil {
		port(fs, finding.Join(path, "port.number"), d.Port.Number)
	}
}

// weighted judges one entry of a list of destinations.
func weighted(fs *finding.Faults, path string, d *networking.Destination, weight int32) {
	if d == nil {
		fs.Errorf(path, "no destination")
	}
	Destination(fs, finding.Join(path, "destination"), d)
	notNegative(fs, finding.Join(path, "weight"), weight)
}

// weightSum wants weights of which at least one can be drawn. A lone destination needs no weight.
func weightSum(fs *finding.Faults, path string, n int, weights []int32) {
	var sum int64
	for _, w := range weights {
		sum += int64(w)
	}
	if n > 1 && sum == 0 {
		fs.Errorf(path, "the weights sum to 0, so that no destination can be drawn")
	}
}
