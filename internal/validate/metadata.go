package validate

import (
	"strconv"

	networking "istio.io/api/networking/v1"
	security "istio.io/api/security/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// dryRun is the annotation that lets an AuthorizationPolicy be evaluated and not enforced.
const dryRun = "istio.io/dry-run"

// reserved annotations are Istio's own, and no user may write them.
var reserved = []string{
	"internal.istio.io/webhook-always-reject",
	"internal.istio.io/parent-namespace",
	"internal.istio.io/parents",
}

func metadata(fs *finding.Faults, o *rule.Object) {
	switch {
	case o.Name == "":
		fs.Errorf("/metadata.name", "the object has no name")
	case !isSubdomain(o.Name):
		fs.Errorf("/metadata.name", "%q is not a DNS name: lower case letters, digits, - and ., at most 253", o.Name)
	}
	if _, ok := o.Spec.(*networking.Gateway); ok && isSubdomain(o.Name) && !isLabel(o.Name) {
		fs.Errorf("/metadata.name", "%q is not a DNS label, as a gateway's name must be: no dots, at most 63", o.Name)
	}
	if o.Namespace != "" && !isLowerLabel(o.Namespace) {
		fs.Errorf("/metadata.namespace", "%q is not a DNS label: lower case letters, digits and -, at most 63", o.Namespace)
	}
	for _, k := range sorted(o.Labels) {
		labelPair(fs, finding.Key("/metadata.labels", k), k, o.Labels[k])
	}
	for _, k := range sorted(o.Annotations) {
		if !isLabelKey(k) {
			fs.Errorf(finding.Key("/metadata.annotations", k), "%q is not a valid annotation key", k)
		}
	}
	for _, k := range reserved {
		if _, ok := o.Annotations[k]; ok {
			fs.Errorf(finding.Key("/metadata.annotations", k), "the annotation is for Istio's own use")
		}
	}
	if v, ok := o.Annotations[dryRun]; ok {
		dryRunOf(fs, finding.Key("/metadata.annotations", dryRun), v, o.Spec)
	}
}

func dryRunOf(fs *finding.Faults, path, value string, spec any) {
	switch p := spec.(type) {
	case *security.AuthorizationPolicy:
		if a := p.GetAction(); a != security.AuthorizationPolicy_ALLOW && a != security.AuthorizationPolicy_DENY {
			fs.Errorf(path, "the action is %v, want ALLOW or DENY for a dry run", a)
		} else if _, err := strconv.ParseBool(value); err != nil {
			fs.Errorf(path, "%q is not true or false", value)
		}
	default:
		if isIstio(spec) {
			fs.Errorf(path, "only an AuthorizationPolicy can be run dry")
		}
	}
}
