package validate

import (
	"strings"

	networking "istio.io/api/networking/v1"
	typebeta "istio.io/api/type/v1beta1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// selector judges the workload selector that stands at path.
func selector(fs *finding.Faults, path string, s *typebeta.WorkloadSelector) {
	if s == nil {
		return
	}
	labels := s.GetMatchLabels()
	selectorLabels(fs, finding.Join(path, "matchLabels"), labels, 4096)
	if len(labels) == 0 {
		fs.Warnf(path, codeSchema, "the selector has no labels, so that it selects every workload of the namespace")
	}
}

// networkingSelector is selector for the older type, which ServiceEntry and Sidecar have.
func networkingSelector(fs *finding.Faults, path string, s *networking.WorkloadSelector) {
	if s == nil {
		return
	}
	selectorLabels(fs, finding.Join(path, "labels"), s.Labels, 256)
	if len(s.Labels) == 0 {
		fs.Warnf(path, codeSchema, "the selector has no labels, so that it selects every workload of the namespace")
	}
}

func selectorLabels(fs *finding.Faults, path string, labels map[string]string, most int) {
	if len(labels) > most {
		fs.Errorf(path, "%d labels are more than %d", len(labels), most)
	}
	for _, k := range sorted(labels) {
		v, at := labels[k], finding.Key(path, k)
		if k == "" {
			fs.Errorf(at, "a label has an empty key")
		}
		if strings.Contains(k, "*") || strings.Contains(v, "*") {
			fs.Errorf(at, "%q has a wildcard, which selectors do not have", k+"="+v)
		}
		if len(v) > maxLabel {
			fs.Errorf(at, "the value has %d characters, more than 63", len(v))
		}
	}
}

// targets judges what a policy is attached to: a selector, or references to what stands behind a gateway or waypoint.
func targets(fs *finding.Faults, s *typebeta.WorkloadSelector, ref *typebeta.PolicyTargetReference, refs []*typebeta.PolicyTargetReference) {
	set := 0
	for _, is := range []bool{s != nil, ref != nil, len(refs) > 0} {
		if is {
			set++
		}
	}
	if set > 1 {
		fs.Errorf("", "selector, targetRef and targetRefs are set together, want one of them")
	}
	selector(fs, "selector", s)
	targetRef(fs, "targetRef", ref)
	if len(refs) > 16 {
		fs.Errorf("targetRefs", "%d references are more than 16", len(refs))
	}
	for i, r := range refs {
		if r == nil {
			fs.Errorf(finding.Index("targetRefs", i), "null, want a reference")
			continue
		}
		targetRef(fs, finding.Index("targetRefs", i), r)
	}
}

func targetRef(fs *finding.Faults, path string, r *typebeta.PolicyTargetReference) {
	if r == nil {
		return
	}
	if r.Name == "" || len(r.Name) > 253 {
		fs.Errorf(finding.Join(path, "name"), "%q is not a name of 1 to 253 characters", r.Name)
	}
	if r.Namespace != "" {
		fs.Errorf(finding.Join(path, "namespace"), "%q is set, but a reference stays in its own namespace", r.Namespace)
	}
	switch group, kind := r.Group, r.Kind; {
	case (group == "" || group == "core") && kind == "Service",
		group == "networking.istio.io" && kind == "ServiceEntry",
		group == "gateway.networking.k8s.io" && (kind == "Gateway" || kind == "GatewayClass"):
	default:
		fs.Errorf(path, "%q is not Service, networking.istio.io/ServiceEntry, gateway.networking.k8s.io/Gateway or GatewayClass",
			strings.TrimPrefix(group+"/"+kind, "/"))
	}
}
