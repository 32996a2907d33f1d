// Package istio asks Istio's own code: what its admission says of an object, and what a proxy configured by its control
// plane does with a request. Istio builds the configuration; what Envoy makes of that is in this package, written from
// Envoy's API reference.
package istio

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/go-inmesh/inmesh/conformance/quiet" // before Istio's test environment

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/networking/util"
	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pilot/test/xdstest"
	"istio.io/istio/pkg/config/host"
	"istio.io/istio/pkg/config/mesh"
	istiolog "istio.io/istio/pkg/log"
	"istio.io/istio/pkg/test"
	"istio.io/istio/pkg/test/env"

	"github.com/go-inmesh/inmesh/conformance/world"
)

// Root is the folder of the istio module, with its samples and test inputs.
func Root() string { return filepath.Clean(env.Root) }

// Version is the version of the istio module, as in its folder's name.
func Version() string {
	_, v, _ := strings.Cut(filepath.Base(Root()), "@")
	return v
}

// silence turns Istio's logging off, once.
var silence = sync.OnceFunc(func() {
	o := istiolog.DefaultOptions()
	o.OutputPaths = []string{os.DevNull}
	o.ErrorOutputPaths = []string{os.DevNull}
	o.SetDefaultOutputLevel(istiolog.OverrideScopeName, istiolog.NoneLevel)
	_ = istiolog.Configure(o)
})

// kubernetesKinds are those that Istio's registry of services reads.
var kubernetesKinds = map[string]bool{
	"Service": true, "Secret": true, "Namespace": true, "ConfigMap": true, "Pod": true, "Endpoints": true, "EndpointSlice": true,
}

// sort puts documents into the hands of those who read them. A Service without an address gets one, as in a cluster.
func sort(objects []world.Object) (istio, kube string) {
	var i, k []world.Object
	ip := 0
	for _, o := range objects {
		switch {
		case world.IsIstio(o):
			i = append(i, o)
		case kubernetesKinds[world.Kind(o)]:
			o = world.Clone(o)
			if spec, ok := o["spec"].(map[string]any); ok && world.Kind(o) == "Service" && spec["clusterIP"] == nil && spec["type"] != "ExternalName" {
				ip++
				spec["clusterIP"] = fmt.Sprintf("10.96.%d.%d", ip/250, ip%250+1)
			}
			k = append(k, o)
		}
	}
	return world.YAML(i...), world.YAML(k...)
}

// Proxy is a client's proxy, configured.
type Proxy struct {
	server *xds.FakeDiscoveryServer
	proxy  *model.Proxy
	sim    *simulation.Simulation
	mode   simulation.CallMode
}

// With runs f with a control plane that has the objects. What f gets makes a proxy for a client.
func With(c *world.Case, f func(func(world.Client) *Proxy)) error {
	silence()
	istioYAML, kubeYAML := sort(c.Objects)
	configs, _, err := crd.ParseInputs(istioYAML)
	if err != nil {
		return err
	}
	now := time.Now().Truncate(time.Second)
	for i := range configs {
		configs[i].Domain = "cluster.local" // short names do not resolve without it
		if configs[i].CreationTimestamp.IsZero() {
			configs[i].CreationTimestamp = now.Add(time.Duration(i) * time.Second)
		}
	}
	m := mesh.DefaultMeshConfig()
	if c.RegistryOnly {
		m.OutboundTrafficPolicy = &meshconfig.MeshConfig_OutboundTrafficPolicy{Mode: meshconfig.MeshConfig_OutboundTrafficPolicy_REGISTRY_ONLY}
	}
	var panicked error
	err = test.Wrap(func(t test.Failer) {
		defer func() {
			if e := recover(); e != nil {
				panicked = fmt.Errorf("panic: %v\n%s", e, debug.Stack())
			}
		}()
		s := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{Configs: configs, KubernetesObjectString: kubeYAML, MeshConfig: m})
		f(func(cl world.Client) *Proxy { return newProxy(s, cl) })
	})
	return errors.Join(err, panicked)
}

func newProxy(s *xds.FakeDiscoveryServer, cl world.Client) *Proxy {
	p := &model.Proxy{
		Type: model.SidecarProxy, ConfigNamespace: cl.Namespace, Labels: cl.Labels,
		Metadata: &model.NodeMetadata{Labels: cl.Labels, Namespace: cl.Namespace},
	}
	out := &Proxy{server: s, mode: simulation.CallModeOutbound}
	if cl.Gateway != "" {
		p.Type, out.mode = model.Router, simulation.CallModeGateway
	}
	p.Locality = util.ConvertLocality(cl.Locality) // never nil: Istio panics where it is, and a rule says failover
	out.proxy = s.SetupProxy(p)
	out.sim = simulation.NewSimulation(&testing.T{}, s, out.proxy)
	return out
}

// clusters are the proxy's clusters by name.
func (p *Proxy) clusters() map[string]*cluster.Cluster {
	out := make(map[string]*cluster.Cluster, len(p.sim.Clusters))
	for _, c := range p.sim.Clusters {
		out[c.Name] = c
	}
	return out
}

// endpoints are the proxy's endpoints by cluster.
func (p *Proxy) endpoints() map[string]*endpoint.ClusterLoadAssignment {
	out := map[string]*endpoint.ClusterLoadAssignment{}
	for _, la := range p.server.Endpoints(p.proxy) {
		out[la.ClusterName] = la
	}
	for _, c := range p.sim.Clusters {
		if c.LoadAssignment != nil {
			out[c.Name] = c.LoadAssignment
		}
	}
	return out
}

// Ports are those of the service of that host, and whether any object declares it, visible or not.
func (p *Proxy) Ports(hostname string) (ports []int, declared bool) {
	for _, s := range p.server.Env().ServiceDiscovery.Services() {
		if string(s.Hostname) == hostname {
			declared = true
			for _, x := range s.Ports {
				ports = append(ports, x.Port)
			}
		}
	}
	return ports, declared
}

// fullNames are what a client may mean by a name.
func (p *Proxy) fullNames(authority string) []string {
	name := strings.TrimSuffix(Hostname(authority), ".")
	return []string{name, name + "." + p.proxy.ConfigNamespace + ".svc.cluster.local", name + ".svc.cluster.local", name + ".cluster.local"}
}

// Hidden tells whether an object declares the host, and the client does not see it.
func (p *Proxy) Hidden(authority string) bool {
	for _, name := range p.fullNames(authority) {
		if p.proxy.SidecarScope.GetService(host.Name(name)) != nil {
			return false
		}
	}
	return slices.ContainsFunc(p.fullNames(authority), func(name string) bool {
		_, declared := p.Ports(name)
		return declared
	})
}

// Alias tells whether the host is an ExternalName service.
func (p *Proxy) Alias(hostname string) bool {
	return slices.ContainsFunc(p.server.Env().ServiceDiscovery.Services(), func(s *model.Service) bool {
		return string(s.Hostname) == hostname && s.Attributes.K8sAttributes.ExternalName != ""
	})
}

// Secure tells whether the port of the service speaks TLS.
func (p *Proxy) Secure(authority string, port int) bool {
	for _, name := range p.fullNames(authority) {
		if s := p.proxy.SidecarScope.GetService(host.Name(name)); s != nil {
			if x, ok := s.Ports.GetByPort(port); ok {
				return x.Protocol.IsTLS()
			}
		}
	}
	return false
}

// External tells whether the host is an ExternalName service that leads to no other service.
func (p *Proxy) External(authority string) bool {
	for _, s := range p.server.Env().ServiceDiscovery.Services() {
		if to := s.Attributes.K8sAttributes.ExternalName; to != "" && slices.Contains(p.fullNames(authority), string(s.Hostname)) {
			_, declared := p.Ports(to)
			return !declared
		}
	}
	return false
}

// Listens tells whether the sidecar has one listener for all HTTP on the port: it has, if a service says that its port
// speaks HTTP.
func (p *Proxy) Listens(port int) bool {
	return xdstest.ExtractRouteConfigurations(p.sim.Routes)[strconv.Itoa(port)] != nil
}

// QualifiedRedirect tells whether the gateway has a server that redirects to https, with a host that names a namespace.
func (p *Proxy) QualifiedRedirect() bool {
	for _, servers := range p.proxy.MergedGateway.ServersByRouteName {
		for _, s := range servers {
			if s.GetTls().GetHttpsRedirect() && slices.ContainsFunc(s.Hosts, func(h string) bool { return strings.Contains(h, "/") }) {
				return true
			}
		}
	}
	return false
}

// Endpoints are the addresses of a cluster, and whether they are known: those that DNS finds, and those that the caller
// dials, are not.
func (p *Proxy) Endpoints(name string) (addresses []string, known bool) {
	c := p.clusters()[name]
	if c == nil || c.GetType() != cluster.Cluster_EDS && c.GetType() != cluster.Cluster_STATIC {
		return nil, false
	}
	for _, l := range p.endpoints()[name].GetEndpoints() {
		for _, e := range l.LbEndpoints {
			a := e.GetEndpoint().GetAddress().GetSocketAddress()
			addresses = append(addresses, net.JoinHostPort(a.GetAddress(), strconv.Itoa(int(a.GetPortValue()))))
		}
	}
	return addresses, true
}

// Has tells whether there is such a cluster.
func (p *Proxy) Has(name string) bool { return p.clusters()[name] != nil }

// TLS tells whether the cluster's connections are TLS.
func (p *Proxy) TLS(name string) bool { return p.clusters()[name].GetTransportSocket() != nil }
