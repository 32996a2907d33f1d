package kube

// Pod is the part of a core/v1 Pod that makes it an endpoint; its labels stand in the object's metadata.
// See https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/.
type Pod struct {
	// ServiceAccount is "default" where the document gives none.
	ServiceAccount string
	NodeName       string
	Ports          []ContainerPort
	// IPs are the pod's addresses, the first one its own.
	IPs []string
	// Phase is Pending, Running, Succeeded, Failed, Unknown, or empty.
	Phase string
	// Ready tells whether the pod takes requests. A document without conditions and phase counts as ready.
	Ready bool
}

// ContainerPort is a port that one of a [Pod]'s containers names.
type ContainerPort struct {
	Name     string
	Port     int
	Protocol string
}

func (p *Pod) decode(spec, status object) {
	p.ServiceAccount = spec.textOr("serviceAccountName", spec.textOr("serviceAccount", "default"))
	p.NodeName = spec.text("nodeName")
	for _, c := range spec.objects("containers") {
		for _, port := range c.objects("ports") {
			number := port.port("containerPort")
			if port.get("containerPort") == nil {
				port.invalid("containerPort", "absent, expected a port number")
			}
			p.Ports = append(p.Ports, ContainerPort{Name: port.text("name"), Port: number, Protocol: port.textOr("protocol", "TCP")})
		}
	}
	for _, ip := range status.objects("podIPs") {
		if s := ip.text("ip"); s != "" {
			p.IPs = append(p.IPs, s)
		}
	}
	if ip := status.text("podIP"); ip != "" && len(p.IPs) == 0 {
		p.IPs = []string{ip}
	}
	p.Phase = status.text("phase")
	p.Ready = p.Phase == "" || p.Phase == "Running"
	for _, c := range status.objects("conditions") {
		if c.text("type") == "Ready" {
			p.Ready = c.text("status") == "True"
		}
	}
}
