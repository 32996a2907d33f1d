package validate

import (
	"github.com/go-inmesh/inmesh/internal/finding"
)

// exportTo judges the list of namespaces that see an object of the namespace: ".", "*" or a name. Only services
// may be seen by no one, "~". An object that selects workloads stays in its own namespace.
func exportTo(fs *finding.Faults, namespace string, list []string, service, selects bool) {
	const path = "exportTo"
	seen := map[string]bool{}
	for i, e := range list {
		at, key := finding.Index(path, i), e
		if e == "." && namespace != "" {
			key = namespace
		}
		switch {
		case seen[key]:
			fs.Errorf(at, "%q names the namespace a second time", e)
		case key == "." || key == "*" || key == "~" && service || isLabel(key):
			seen[key] = true
		case key == "~":
			fs.Errorf(at, `"~" is for a ServiceEntry only, want ., * or a namespace`)
		default:
			fs.Errorf(at, "%q is not ., * or a namespace", e)
		}
	}
	if len(list) > 1 && seen["*"] {
		fs.Errorf(path, `"*" stands beside other entries, want it alone`)
	}
	if len(list) > 1 && seen["~"] {
		fs.Errorf(path, `"~" stands beside other entries, want it alone`)
	}
	if selects && len(seen) > 0 && (len(seen) > 1 || !seen[namespace] && !seen["."]) {
		fs.Errorf(path, "an object with a workloadSelector is seen in its own namespace only")
	}
}
