package route

import (
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/validate"
)

// Refused lists what [New] refuses in a route though Istio's admission lets it pass, such as a formatter that is not
// known here; paths start at the route. There is one fault at most. A route that admission rejects has none.
func Refused(spec *networking.HTTPRoute) finding.Faults {
	var fs finding.Faults
	if spec == nil {
		return nil
	}
	if validate.HTTPRoute(&fs, "", spec); fs.Err("") != nil {
		return nil
	}
	c := compiler{expect: max(1, len(spec.Match))}
	_, err := c.compile(nil, 0, spec)
	if err == nil {
		return nil
	}
	f := asFieldError(err)
	return finding.Faults{{Path: f.path, Severity: finding.Error, Code: finding.CodeRefused, Message: f.err.Error()}}
}
