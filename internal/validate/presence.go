package validate

import (
	"strings"

	networking "istio.io/api/networking/v1"
	security "istio.io/api/security/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// presence judges fields that are written and empty, or that must be written although they may be zero: in the
// decoded spec they look like those that are absent. An object built in Go has no such fields.
func presence(fs *finding.Faults, o *rule.Object) {
	switch s := o.Spec.(type) {
	case *networking.Gateway:
		for i, server := range s.GetServers() {
			path := finding.Join(finding.Index("servers", i), "port")
			if strings.HasPrefix(server.GetBind(), unixPrefix) && server.GetPort().GetNumber() == 0 &&
				written(o, path, "") && !written(o, path, "number") {
				fs.Errorf(path, "no number, want 0 for a Unix domain socket")
			}
		}
	case *networking.ServiceEntry:
		if len(s.GetEndpoints()) == 0 && written(o, "", "endpoints") &&
			(s.GetResolution() == networking.ServiceEntry_NONE || s.GetWorkloadSelector() != nil) {
			fs.Errorf("endpoints", "written, though empty, want none with resolution NONE or a workloadSelector")
		}
		for i, p := range s.GetPorts() {
			path := finding.Index("ports", i)
			if p != nil && p.TargetPort == 0 && written(o, path, "targetPort") {
				fs.Errorf(finding.Join(path, "targetPort"), "0 is not in 1..65535")
			}
		}
		for i, e := range s.GetEndpoints() {
			socketPorts(fs, o, finding.Index("endpoints", i), e)
		}
	case *networking.WorkloadEntry:
		socketPorts(fs, o, "", s)
	case *networking.WorkloadGroup:
		socketPorts(fs, o, "template", s.GetTemplate())
	case *security.AuthorizationPolicy:
		for i, r := range s.GetRules() {
			for j, f := range r.GetFrom() {
				accounts(fs, o, finding.Join(finding.Index("rules", i), finding.Join(finding.Index("from", j), "source")), f.GetSource())
			}
		}
	case *security.PeerAuthentication:
		if s != nil && s.PortLevelMtls == nil && written(o, "", "portLevelMtls") {
			fs.Errorf("portLevelMtls", "no ports, want at least one")
		}
	case *security.RequestAuthentication:
		for i, r := range s.GetJwtRules() {
			path := finding.Index("jwtRules", i)
			for _, f := range []struct{ name, value string }{{"issuer", r.GetIssuer()}, {"jwksUri", r.GetJwksUri()}} {
				if f.value == "" && written(o, path, f.name) {
					fs.Errorf(finding.Join(path, f.name), "written, though empty")
				}
			}
		}
	}
}

// socketPorts refuses ports beside a Unix domain socket, even if there are none.
func socketPorts(fs *finding.Faults, o *rule.Object, path string, e *networking.WorkloadEntry) {
	if strings.HasPrefix(e.GetAddress(), unixPrefix) && len(e.GetPorts()) == 0 && written(o, path, "ports") {
		fs.Errorf(finding.Join(path, "ports"), "written, though empty, want none with a Unix domain socket")
	}
}

// accounts refuses service accounts beside principals or namespaces, even if one of the lists is empty.
func accounts(fs *finding.Faults, o *rule.Object, path string, s *security.Source) {
	here := len(s.GetServiceAccounts()) + len(s.GetNotServiceAccounts())
	there := len(s.GetPrincipals()) + len(s.GetNotPrincipals()) + len(s.GetNamespaces()) + len(s.GetNotNamespaces())
	empty := []string{"serviceAccounts", "notServiceAccounts"}
	switch {
	case here > 0 && there == 0:
		empty = []string{"principals", "notPrincipals", "namespaces", "notNamespaces"}
	case here > 0 || there == 0:
		return // told already, or nothing to tell
	}
	for _, field := range empty {
		if written(o, path, field) {
			fs.Errorf(finding.Join(path, field), "written, though empty, want serviceAccounts without principals and namespaces")
		}
	}
}

// written tells whether the document has the field of the spec's part at path; of the part itself for field "".
func written(o *rule.Object, path, field string) bool {
	at := finding.Join("spec", path)
	if path == "" {
		at = "spec"
	}
	if field == "" {
		return o.At(at) != o.At("spec")
	}
	return o.At(finding.Join(at, field)) != o.At(at)
}
