package registry

import (
	"maps"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/host"
	"github.com/go-inmesh/inmesh/internal/kube"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// Labels that Kubernetes and Istio give a meaning.
const (
	labelRegion       = "topology.kubernetes.io/region"
	labelZone         = "topology.kubernetes.io/zone"
	labelSubzone      = "topology.istio.io/subzone"
	labelLocality     = "topology.istio.io/locality"
	labelOldLocality  = "istio-locality"
	labelNetwork      = "topology.istio.io/network"
	labelNode         = "kubernetes.io/hostname"
	labelTLSMode      = "security.istio.io/tlsMode"
	labelWorkload     = "service.istio.io/workload-name"
	labelTemplateHash = "pod-template-hash"
	labelStatefulPod  = "statefulset.kubernetes.io/pod-name"

	annotationGroup = "istio.io/autoRegistrationGroup"

	unixPrefix = "unix://"
)

// workload is a pod or a WorkloadEntry: an endpoint still without a port.
type workload struct {
	Endpoint
	ports map[string]int // by name: a pod's container ports, an entry's ports
	pod   bool
	ready bool
	// name is true where the address is a DNS name or a socket, which only a ServiceEntry can use.
	name bool
}

// workloads finds the workloads of one namespace by their labels.
type workloads struct {
	all  []*workload
	with map[[2]string][]*workload // by each label and its value
}

// selected are the workloads that carry all the labels, in order; all of them where there are no labels.
func (ws *workloads) selected(labels map[string]string) []*workload {
	if ws == nil || len(labels) == 0 {
		if ws == nil {
			return nil
		}
		return ws.all
	}
	var rarest []*workload
	first := true
	for k, v := range labels {
		list := ws.with[[2]string{k, v}]
		if len(list) == 0 {
			return nil
		}
		if first || len(list) < len(rarest) {
			rarest, first = list, false
		}
	}
	if len(labels) == 1 {
		return rarest
	}
	var out []*workload
	for _, w := range rarest {
		if Carries(w.Labels, labels) {
			out = append(out, w)
		}
	}
	return out
}

func (ws *workloads) add(w *workload) {
	ws.all = append(ws.all, w)
	for k, v := range w.Labels {
		ws.with[[2]string{k, v}] = append(ws.with[[2]string{k, v}], w)
	}
}

// Carries tells whether the labels have every pair of the selector. An empty selector asks for nothing.
func Carries(labels, selector map[string]string) bool {
	for k, v := range selector {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

func podWorkload(o *rule.Object, p *kube.Pod) *workload {
	w := &workload{pod: true, ready: p.Ready && p.Phase != "Succeeded" && p.Phase != "Failed"}
	w.Endpoint = Endpoint{
		Locality: LocalityOf(o.Labels), Network: o.Labels[labelNetwork], ServiceAccount: p.ServiceAccount,
		Workload: podOwner(o), Namespace: o.Namespace, MTLS: o.Labels[labelTLSMode] == "istio",
	}
	if len(p.IPs) > 0 {
		w.Address = p.IPs[0]
	}
	w.Labels = WithPlace(o.Labels, w.Locality, w.Network, p.NodeName)
	if len(p.Ports) > 0 {
		w.ports = make(map[string]int, len(p.Ports))
		for _, c := range p.Ports {
			if c.Name != "" {
				w.ports[c.Name] = c.Port
			}
		}
	}
	return w
}

// podOwner is the name of what made the pod, as its name tells it: a Deployment's pods are called
// name-hash-xxxxx, a StatefulSet's name-0.
func podOwner(o *rule.Object) string {
	if w := o.Labels[labelWorkload]; w != "" {
		return w
	}
	if h := o.Labels[labelTemplateHash]; h != "" {
		if i := strings.LastIndex(o.Name, "-"+h+"-"); i > 0 {
			return o.Name[:i]
		}
	}
	if o.Labels[labelStatefulPod] != "" {
		if i := strings.LastIndexByte(o.Name, '-'); i > 0 {
			return o.Name[:i]
		}
	}
	return o.Name
}

// entryWorkload reads a WorkloadEntry. The object's own labels win over those of the spec.
func entryWorkload(o *rule.Object, e *networking.WorkloadEntry) *workload {
	labels := o.Labels
	if len(e.Labels) > 0 {
		labels = maps.Clone(e.Labels)
		maps.Copy(labels, o.Labels)
	}
	name := o.Name
	if g := o.Annotations[annotationGroup]; g != "" {
		name = g
	} else if n := o.Labels[labelWorkload]; n != "" {
		name = n
	}
	return newEntry(e, labels, name, o.Namespace)
}

// newEntry is a WorkloadEntry of its own, or one that stands in a ServiceEntry.
func newEntry(e *networking.WorkloadEntry, labels map[string]string, name, namespace string) *workload {
	w := &workload{ready: true}
	w.Endpoint = Endpoint{
		Address: e.Address, Locality: e.Locality, Weight: int(e.Weight), ServiceAccount: e.ServiceAccount,
		Network: e.Network, Workload: name, Namespace: namespace, MTLS: e.ServiceAccount != "",
	}
	if mode, ok := labels[labelTLSMode]; ok {
		w.MTLS = mode == "istio"
	}
	if w.Locality == "" {
		w.Locality = LocalityOf(labels)
	}
	if w.Network == "" {
		w.Network = labels[labelNetwork]
	}
	w.Labels = WithPlace(labels, w.Locality, w.Network, "")
	switch {
	case strings.HasPrefix(e.Address, unixPrefix):
		w.name = true
	case e.Address != "" && !host.IsIP(e.Address):
		w.name, w.Address = true, host.Normal(e.Address)
	}
	if len(e.Ports) > 0 {
		w.ports = make(map[string]int, len(e.Ports))
		for name, port := range e.Ports {
			w.ports[name] = int(port)
		}
	}
	return w
}

// LocalityOf reads the locality from labels: Istio's own, where dots stand for slashes, else Kubernetes'.
func LocalityOf(labels map[string]string) string {
	for _, key := range [...]string{labelLocality, labelOldLocality} {
		if l, ok := labels[key]; ok {
			if !strings.Contains(l, "/") {
				l = strings.ReplaceAll(l, ".", "/")
			}
			return l
		}
	}
	return joinLocality(labels[labelRegion], labels[labelZone], labels[labelSubzone])
}

func joinLocality(region, zone, subzone string) string {
	return strings.TrimRight(region+"/"+zone+"/"+subzone, "/")
}

// WithPlace adds the labels that tell where the workload is, for rules that compare them.
func WithPlace(labels map[string]string, locality, network, node string) map[string]string {
	if locality == "" && network == "" && node == "" {
		return labels
	}
	out := make(map[string]string, len(labels)+5)
	maps.Copy(out, labels)
	parts := strings.SplitN(locality, "/", 4)
	for i, key := range [...]string{labelRegion, labelZone, labelSubzone} {
		if i < len(parts) && parts[i] != "" {
			out[key] = parts[i]
		}
	}
	if network != "" && out[labelNetwork] == "" {
		out[labelNetwork] = network
	}
	if node != "" {
		out[labelNode] = node
	}
	return out
}
