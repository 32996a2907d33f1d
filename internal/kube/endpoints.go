package kube

// ServiceNameLabel on an [EndpointSlice] names its service.
const ServiceNameLabel = "kubernetes.io/service-name"

// EndpointSlice is a discovery.k8s.io EndpointSlice.
// See https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/.
type EndpointSlice struct {
	// AddressType is IPv4, IPv6 or FQDN.
	AddressType string
	Endpoints   []Endpoint
	Ports       []EndpointPort
}

// Endpoint is one backend of an [EndpointSlice].
type Endpoint struct {
	Addresses []string
	// Ready is true where the document does not say otherwise.
	Ready                    bool
	Terminating              bool
	Hostname, NodeName, Zone string
	Target                   Reference
}

// EndpointPort is a port that all endpoints beside it have. A port without a number means every port: 0.
type EndpointPort struct {
	Name                  string
	Port                  int
	Protocol, AppProtocol string
}

// Endpoints is the older core/v1 form of an [EndpointSlice]; its own name is that of the service.
type Endpoints struct {
	Subsets []EndpointSubset
}

// EndpointSubset is a group of addresses that share their ports.
type EndpointSubset struct {
	Addresses, NotReady []EndpointAddress
	Ports               []EndpointPort
}

// EndpointAddress is one address of an [EndpointSubset].
type EndpointAddress struct {
	IP, Hostname, NodeName string
	Target                 Reference
}

// Reference names another object, mostly the pod behind an endpoint. Its zero value names none.
type Reference struct {
	Kind, Namespace, Name string
}

func (s *EndpointSlice) decode(o object) {
	s.AddressType = o.textOr("addressType", "IPv4")
	s.Ports = endpointPorts(o)
	for _, e := range o.objects("endpoints") {
		conditions := e.object("conditions")
		end := Endpoint{
			Addresses:   e.texts("addresses"),
			Ready:       conditions.truth("ready", true),
			Terminating: conditions.truth("terminating", false),
			Hostname:    e.text("hostname"), NodeName: e.text("nodeName"), Zone: e.text("zone"),
			Target: reference(e.object("targetRef")),
		}
		if topology := e.object("topology"); topology.n != nil { // v1beta1
			if end.Zone == "" {
				end.Zone = topology.text("topology.kubernetes.io/zone")
			}
			if end.NodeName == "" {
				end.NodeName = topology.text("kubernetes.io/hostname")
			}
		}
		if len(end.Addresses) == 0 {
			e.invalid("addresses", "empty, expected an address")
		}
		s.Endpoints = append(s.Endpoints, end)
	}
}

func (s *Endpoints) decode(o object) {
	for _, sub := range o.objects("subsets") {
		s.Subsets = append(s.Subsets, EndpointSubset{
			Addresses: addresses(sub, "addresses"), NotReady: addresses(sub, "notReadyAddresses"), Ports: endpointPorts(sub),
		})
	}
}

func addresses(o object, key string) []EndpointAddress {
	var list []EndpointAddress
	for _, a := range o.objects(key) {
		address := EndpointAddress{
			IP: a.text("ip"), Hostname: a.text("hostname"), NodeName: a.text("nodeName"), Target: reference(a.object("targetRef")),
		}
		if address.IP == "" {
			a.invalid("ip", "empty, expected an IP address")
		}
		list = append(list, address)
	}
	return list
}

func endpointPorts(o object) []EndpointPort {
	var list []EndpointPort
	for _, p := range o.objects("ports") {
		list = append(list, EndpointPort{
			Name: p.text("name"), Port: p.port("port"),
			Protocol: p.textOr("protocol", "TCP"), AppProtocol: p.text("appProtocol"),
		})
	}
	return list
}

func reference(o object) Reference {
	return Reference{Kind: o.text("kind"), Namespace: o.text("namespace"), Name: o.text("name")}
}
