// Package coverage is the account of Istio's API: for every field of every kind, whether it is honoured, refused,
// or reported as not obeyed. No field is silently ignored, and a test proves that the account is complete and true.
//
// The account is also what findings about fields that are not obeyed are made from: see [NotObeyed]. So whoever
// teaches the library a field changes its line here, and the finding, the test and docs/fields.md follow.
package coverage

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	networking "istio.io/api/networking/v1"
	networkingbeta "istio.io/api/networking/v1beta1"
	security "istio.io/api/security/v1"
	telemetry "istio.io/api/telemetry/v1"
)

// Status says what becomes of a field.
type Status string

// The four states of a field.
const (
	// Honoured fields do what Istio's reference says.
	Honoured Status = "honoured"
	// Refused fields are an error wherever they are set.
	Refused Status = "refused"
	// Warned fields are read and validated, and a finding says that nothing more comes of them.
	Warned Status = "warned"
	// Metadata fields name or describe, and ask for nothing that a library could do or leave undone.
	Metadata Status = "metadata"
)

// Field is one line of the account.
type Field struct {
	// Path leads to the field from the spec, with "[]" for the items of a list and "[*]" for the values of a map:
	// "http[].match[].headers[*].exact".
	Path   string
	Status Status
	// Note says more, in one line. For fields that are warned of or refused it is the finding's reason.
	Note string
	// Where is the file or folder that does it, from the repository's root. For fields that are warned of or
	// refused it is the package that says so; empty means that [NotObeyed] does.
	Where string
	// With names a field beside this one whose own finding is enough where both are set.
	With string
	// But tells what is not obeyed of some values of an honoured field; its text is empty for the others. It gets
	// the message that the field stands in, and the field's value.
	But func(in protoreflect.Message, v protoreflect.Value) string
}

// Kind is one kind of Istio's objects.
type Kind struct {
	Name string
	// New makes an empty spec.
	New func() proto.Message
	// Unobeyed is why nothing of the kind is obeyed; empty for kinds that are.
	Unobeyed string
	Fields   []Field
}

// Kinds is the whole account.
func Kinds() []Kind {
	return []Kind{
		{"VirtualService", func() proto.Message { return new(networking.VirtualService) }, "", virtualService()},
		{"DestinationRule", func() proto.Message { return new(networking.DestinationRule) }, "", destinationRule()},
		{"Gateway", func() proto.Message { return new(networking.Gateway) }, "", gateway()},
		{"ServiceEntry", func() proto.Message { return new(networking.ServiceEntry) }, "", serviceEntry()},
		{"WorkloadEntry", func() proto.Message { return new(networking.WorkloadEntry) }, "", workloadEntry("")},
		{"WorkloadGroup", func() proto.Message { return new(networking.WorkloadGroup) }, whyWorkloadGroup, workloadGroup()},
		{"Sidecar", func() proto.Message { return new(networking.Sidecar) }, "", sidecar()},
		{"ProxyConfig", func() proto.Message { return new(networkingbeta.ProxyConfig) }, whyProxyConfig, proxyConfig()},
		{"PeerAuthentication", func() proto.Message { return new(security.PeerAuthentication) }, whyPeer, peerAuthentication()},
		{"RequestAuthentication", func() proto.Message { return new(security.RequestAuthentication) }, "", requestAuthentication()},
		{"AuthorizationPolicy", func() proto.Message { return new(security.AuthorizationPolicy) }, "", authorizationPolicy()},
		{"Telemetry", func() proto.Message { return new(telemetry.Telemetry) }, whyTelemetry, telemetrySpec()},
	}
}

// under puts the fields below a path.
func under(path string, fields ...[]Field) []Field {
	var out []Field
	for _, list := range fields {
		for _, f := range list {
			f.Path = join(path, f.Path)
			out = append(out, f)
		}
	}
	return out
}

// all gives several fields below a path the same line.
func all(path string, status Status, note, where string, names ...string) []Field {
	out := make([]Field, 0, len(names))
	for _, n := range names {
		out = append(out, Field{Path: join(path, n), Status: status, Note: note, Where: where})
	}
	return out
}

// list puts lists in a row.
func list(lists ...[]Field) []Field {
	var out []Field
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

func join(path, field string) string {
	if path == "" || field == "" {
		return path + field
	}
	return path + "." + field
}
