// Package validate says what Istio's admission would say of a rule: what it rejects, and why, is an error;
// what it warns of is a warning. Every fault names its field.
//
// [Object] judges a whole object with its metadata, [Spec] a bare spec. The other functions judge one part each,
// for a room that was given only that part: they append to fs the faults of the part that stands at path. Nil
// parts have no faults. All of them are safe for concurrent use.
//
// The facts are Istio's: its webhook (https://github.com/istio/istio/tree/master/pkg/config/validation) and the
// schema of its custom resource definitions, taken together, for a user sees an object accepted only if both accept it.
package validate

import (
	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1"
	networkingbeta "istio.io/api/networking/v1beta1"
	security "istio.io/api/security/v1"
	telemetry "istio.io/api/telemetry/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// Codes of Istio's analyzers for what its admission warns of.
const (
	codeUnreachable = "IST0130" // a rule that no request reaches
	codeIneffective = "IST0131" // a match that an earlier one covers
	codeSchema      = "IST0133" // every other warning of the schema
	codeAddresses   = "IST0134" // a ServiceEntry that needs addresses
)

// scope is what a spec is judged with beside itself: its object's metadata. Zero for a spec that stands alone.
type scope struct {
	namespace           string
	labels, annotations map[string]string
}

// Object judges the object: its spec, and its metadata. An object of a kind that is not Istio's has findings
// about its metadata only.
func Object(o *rule.Object) []finding.Finding {
	if o == nil {
		return nil
	}
	var fs finding.Faults
	metadata(&fs, o)
	spec(&fs, scope{o.Namespace, o.Labels, o.Annotations}, o.Spec)
	presence(&fs, o)
	if len(fs) == 0 {
		return nil
	}
	out := make([]finding.Finding, 0, min(len(fs), 2*most))
	count := map[finding.Severity]int{}
	for _, f := range fs {
		if count[f.Severity]++; count[f.Severity] <= most {
			out = append(out, o.Finding(f))
		}
	}
	return out
}

// most is how many errors, and how many warnings, are told of one object: one more than are shown of a file, so that
// it shows that there are more.
const most = 1001

// Spec judges a spec that stands alone, as one built in Go: a pointer to one of Istio's API types. Other types
// have no faults.
func Spec(m proto.Message) finding.Faults {
	var fs finding.Faults
	spec(&fs, scope{}, m)
	return fs
}

func spec(fs *finding.Faults, in scope, s any) {
	switch s := s.(type) {
	case *networking.VirtualService:
		virtualService(fs, in, s)
	case *networking.DestinationRule:
		destinationRule(fs, in, s)
	case *networking.Gateway:
		gateway(fs, s)
	case *networking.ServiceEntry:
		serviceEntry(fs, in, s)
	case *networking.WorkloadEntry:
		workloadEntry(fs, s)
	case *networking.WorkloadGroup:
		workloadGroup(fs, s)
	case *networking.Sidecar:
		sidecar(fs, in, s)
	case *networkingbeta.ProxyConfig:
		proxyConfig(fs, s)
	case *security.PeerAuthentication:
		peerAuthentication(fs, s)
	case *security.RequestAuthentication:
		requestAuthentication(fs, s)
	case *security.AuthorizationPolicy:
		authorizationPolicy(fs, s)
	case *telemetry.Telemetry:
		telemetrySpec(fs, s)
	}
}
