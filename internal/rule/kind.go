package rule

import (
	"fmt"
	"slices"
	"strings"

	networkingbeta "istio.io/api/networking/v1beta1"

	networking "istio.io/api/networking/v1"
	security "istio.io/api/security/v1"
	telemetry "istio.io/api/telemetry/v1"

	"github.com/go-inmesh/inmesh/internal/kube"
)

// kind is one kind of object that is read.
type kind struct {
	name, group string
	versions    []string // of the group, the preferred one first
	newSpec     func() any
}

// istio tells whether the kind is one of Istio's: its spec is a protobuf message.
func (k *kind) istio() bool { return strings.HasSuffix(k.group, ".istio.io") }

// apiVersion is the preferred one.
func (k *kind) apiVersion() string { return joinVersion(k.group, k.versions[0]) }

// kinds are all kinds that are read.
func kinds() []kind {
	net, sec := []string{"v1", "v1beta1", "v1alpha3"}, []string{"v1", "v1beta1"}
	return []kind{
		{"VirtualService", "networking.istio.io", net, func() any { return new(networking.VirtualService) }},
		{"DestinationRule", "networking.istio.io", net, func() any { return new(networking.DestinationRule) }},
		{"Gateway", "networking.istio.io", net, func() any { return new(networking.Gateway) }},
		{"ServiceEntry", "networking.istio.io", net, func() any { return new(networking.ServiceEntry) }},
		{"WorkloadEntry", "networking.istio.io", net, func() any { return new(networking.WorkloadEntry) }},
		{"WorkloadGroup", "networking.istio.io", net, func() any { return new(networking.WorkloadGroup) }},
		{"Sidecar", "networking.istio.io", net, func() any { return new(networking.Sidecar) }},
		{"ProxyConfig", "networking.istio.io", []string{"v1beta1"}, func() any { return new(networkingbeta.ProxyConfig) }},
		{"PeerAuthentication", "security.istio.io", sec, func() any { return new(security.PeerAuthentication) }},
		{"RequestAuthentication", "security.istio.io", sec, func() any { return new(security.RequestAuthentication) }},
		{"AuthorizationPolicy", "security.istio.io", sec, func() any { return new(security.AuthorizationPolicy) }},
		{"Telemetry", "telemetry.istio.io", []string{"v1", "v1alpha1"}, func() any { return new(telemetry.Telemetry) }},
		{"Service", "", []string{"v1"}, func() any { return new(kube.Service) }},
		{"Endpoints", "", []string{"v1"}, func() any { return new(kube.Endpoints) }},
		{"Pod", "", []string{"v1"}, func() any { return new(kube.Pod) }},
		{"EndpointSlice", "discovery.k8s.io", []string{"v1", "v1beta1"}, func() any { return new(kube.EndpointSlice) }},
		{"Ingress", "networking.k8s.io", []string{"v1", "v1beta1"}, func() any { return new(kube.Ingress) }},
		{"Ingress", "extensions", []string{"v1beta1"}, func() any { return new(kube.Ingress) }},
	}
}

// verdict says what becomes of a document of some apiVersion and kind. Exactly one field is set.
type verdict struct {
	kind    *kind  // it is read
	wrong   string // an error: no such kind
	refused string // a warning: Istio has it, we do not
	unused  string // an information: not for us
}

// judge finds the kind of a document among the known ones.
func judge(known []kind, apiVersion, name string) verdict {
	group, version := groupOf(apiVersion), apiVersion[strings.LastIndexByte(apiVersion, '/')+1:]
	for i := range known {
		k := &known[i]
		if k.name != name || k.group != group {
			continue
		}
		if !slices.Contains(k.versions, version) {
			return verdict{wrong: fmt.Sprintf("%s has no version %q, expected apiVersion %s", name, version, k.apiVersion())}
		}
		return verdict{kind: k}
	}
	if reason := refusedKind(group, name); reason != "" {
		return verdict{refused: fmt.Sprintf("%s is not supported; %s", name, reason)}
	}
	for i := range known {
		if k := &known[i]; k.name == name && (!foreign(group) || k.istio() && strings.Contains(group, "istio")) {
			return verdict{wrong: fmt.Sprintf("apiVersion %s has no kind %s, expected apiVersion %s", apiVersion, name, k.apiVersion())}
		}
	}
	if !ours(group) && (group != "" || slices.Contains(coreKinds(), name)) {
		return verdict{unused: name + " is not read: only services, endpoints and rules are"}
	}
	names := make([]string, 0, len(known))
	for _, k := range known {
		names = append(names, k.name)
	}
	names = append(names, "EnvoyFilter", "WasmPlugin")
	return verdict{wrong: fmt.Sprintf("apiVersion %s has no kind %s%s", apiVersion, name, suggest(name, names))}
}

// ours tells whether the group is one of Istio's.
func ours(group string) bool { return group == "istio.io" || strings.HasSuffix(group, ".istio.io") }

// foreign tells whether the group belongs to others who may have a kind of any name.
func foreign(group string) bool {
	return strings.Contains(group, ".") && !ours(group) && !strings.HasSuffix(group, ".k8s.io")
}

// refusedKind is why a kind that Istio acts on is not obeyed; empty for all others.
func refusedKind(group, name string) string {
	switch {
	case group == "networking.istio.io" && name == "EnvoyFilter":
		return "there is no Envoy to patch: write the rule as a VirtualService, or an aspect in Go"
	case group == "extensions.istio.io":
		return "there is no Envoy to extend: write the aspect in Go"
	case group == "gateway.networking.k8s.io" || group == "inference.networking.k8s.io":
		return "write it as a VirtualService and a Gateway of networking.istio.io/v1"
	case group == "install.istio.io" || group == "operator.istio.io":
		return "there is no control plane to install: mesh-wide settings are options in Go"
	case group == "config.istio.io":
		return "Mixer is gone since Istio 1.8: use AuthorizationPolicy and Telemetry"
	}
	return ""
}

// coreKinds are Kubernetes' own kinds of apiVersion v1 that are not read.
func coreKinds() []string {
	return []string{
		"Binding", "ComponentStatus", "ConfigMap", "Event", "LimitRange", "Namespace", "Node", "PersistentVolume",
		"PersistentVolumeClaim", "PodTemplate", "ReplicationController", "ResourceQuota", "Secret", "ServiceAccount",
	}
}

// groupOf is the group of an apiVersion, empty for the core group.
func groupOf(apiVersion string) string {
	return apiVersion[:max(0, strings.LastIndexByte(apiVersion, '/'))]
}

func joinVersion(group, version string) string {
	if group == "" {
		return version
	}
	return group + "/" + version
}
