package kube

import "strconv"

// Service is the part of a core/v1 Service's spec that says where a host is and which ports it has.
// See https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/.
type Service struct {
	// Type is ClusterIP where the document gives none; ExternalName services have no ports of their own need.
	Type string
	// Selector picks the pods; empty means that endpoints are declared apart.
	Selector map[string]string
	Ports    []ServicePort
	// ClusterIPs are the virtual addresses; "None" marks a headless service.
	ClusterIPs []string
	// ExternalIPs are further addresses at which the service is reached.
	ExternalIPs []string
	// ExternalName is the DNS name behind a service of type ExternalName.
	ExternalName string
	// PublishNotReady asks for endpoints before they are ready.
	PublishNotReady bool
}

// Headless tells whether the service has no virtual address: its names resolve to its endpoints.
func (s *Service) Headless() bool { return len(s.ClusterIPs) > 0 && s.ClusterIPs[0] == "None" }

// ServicePort is one port of a [Service].
type ServicePort struct {
	Name string
	Port int
	// TargetPort is the endpoints' port, TargetName its name; both empty mean Port.
	TargetPort int
	TargetName string
	// Protocol is TCP where the document gives none. AppProtocol says what is spoken on it ("http", "grpc").
	Protocol, AppProtocol string
}

func (s *Service) decode(o object) {
	s.Type = o.textOr("type", "ClusterIP")
	s.Selector = o.labels("selector")
	s.ExternalName = o.text("externalName")
	s.ExternalIPs = o.texts("externalIPs")
	s.PublishNotReady = o.truth("publishNotReadyAddresses", false)
	if s.ClusterIPs = o.texts("clusterIPs"); s.ClusterIPs == nil {
		if ip := o.text("clusterIP"); ip != "" {
			s.ClusterIPs = []string{ip}
		}
	}
	names, numbers := map[string]bool{}, map[string]bool{}
	ports := o.objects("ports")
	for _, p := range ports {
		port := ServicePort{
			Name: p.text("name"), Port: p.port("port"),
			Protocol: p.textOr("protocol", "TCP"), AppProtocol: p.text("appProtocol"),
		}
		port.TargetPort, port.TargetName = p.portOrName("targetPort")
		number := port.Protocol + " " + strconv.Itoa(port.Port)
		switch {
		case p.get("port") == nil:
			p.invalid("port", "absent, expected a port number")
		case port.Port != 0 && numbers[number]:
			p.invalid("port", "%d stands twice", port.Port)
		}
		switch {
		case port.Name == "" && len(ports) > 1:
			p.invalid("name", "empty, expected a name: the service has %d ports", len(ports))
		case port.Name != "" && names[port.Name]:
			p.invalid("name", "%q stands twice", port.Name)
		}
		names[port.Name], numbers[number] = true, true
		s.Ports = append(s.Ports, port)
	}
	switch {
	case s.Type == "ExternalName":
		if s.ExternalName == "" {
			o.invalid("externalName", "empty, expected a DNS name for type ExternalName")
		}
	case len(s.Ports) == 0 && !s.Headless() && o.get("ports") == nil:
		o.invalid("ports", "absent, expected a port")
	}
}
