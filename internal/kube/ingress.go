package kube

// ClassAnnotation is how an [Ingress] named its class before there was a field for it.
const ClassAnnotation = "kubernetes.io/ingress.class"

// Ingress is an Ingress of networking.k8s.io/v1, v1beta1 or extensions/v1beta1, in one shape.
// See https://kubernetes.io/docs/reference/kubernetes-api/service-resources/ingress-v1/.
type Ingress struct {
	// Class is spec.ingressClassName, else the annotation of [ClassAnnotation], else empty.
	Class string
	// Default takes what no rule matches; nil if there is none.
	Default *IngressBackend
	Rules   []IngressRule
	TLS     []IngressTLS
}

// IngressRule holds the paths of one host; an empty host means every host.
type IngressRule struct {
	Host  string
	Paths []IngressPath
}

// IngressPath sends one path to one backend.
type IngressPath struct {
	Path string
	// Type is Exact, Prefix or ImplementationSpecific, which an absent type means too.
	Type    string
	Backend IngressBackend
}

// IngressBackend is a port, by number or by name, of a service in the Ingress's namespace.
type IngressBackend struct {
	Service  string
	Port     int
	PortName string
}

// IngressTLS names the secret with the certificate for some hosts.
type IngressTLS struct {
	Hosts  []string
	Secret string
}

func (i *Ingress) decode(o object, v1 bool) {
	i.Class = o.text("ingressClassName")
	key := "backend"
	if v1 {
		key = "defaultBackend"
	}
	if d := o.object(key); d.n != nil {
		b := backend(d, v1)
		i.Default = &b
	}
	for _, r := range o.objects("rules") {
		rule := IngressRule{Host: r.text("host")}
		for _, p := range r.object("http").objects("paths") {
			path := IngressPath{Path: p.text("path"), Type: p.textOr("pathType", "ImplementationSpecific")}
			switch path.Type {
			case "Exact", "Prefix", "ImplementationSpecific":
			default:
				p.invalid("pathType", "%q, expected Exact, Prefix or ImplementationSpecific", path.Type)
			}
			if b := p.object("backend"); b.n == nil {
				p.invalid("backend", "absent, expected a service")
			} else {
				path.Backend = backend(b, v1)
			}
			rule.Paths = append(rule.Paths, path)
		}
		i.Rules = append(i.Rules, rule)
	}
	for _, t := range o.objects("tls") {
		i.TLS = append(i.TLS, IngressTLS{Hosts: t.texts("hosts"), Secret: t.text("secretName")})
	}
}

// backend reads both forms: service: {name, port: {number or name}}, and the older serviceName and servicePort.
func backend(o object, v1 bool) (b IngressBackend) {
	if !v1 {
		b.Service = o.text("serviceName")
		b.Port, b.PortName = o.portOrName("servicePort")
		if b.Service == "" {
			o.invalid("serviceName", "empty, expected a service")
		}
		return b
	}
	service := o.object("service")
	if service.n == nil {
		if o.get("resource") != nil {
			o.invalid("resource", "a backend that is no service is not supported")
		} else {
			o.invalid("service", "absent, expected {name, port}%s", olderBackend(o))
		}
		return b
	}
	port := service.object("port")
	b.Service, b.Port, b.PortName = service.text("name"), port.port("number"), port.text("name")
	if b.Service == "" {
		service.invalid("name", "empty, expected a service")
	}
	if b.Port == 0 && b.PortName == "" {
		service.invalid("port", "absent, expected {number: 80} or {name: http}")
	}
	return b
}

// olderBackend is the hint for a backend in the form of v1beta1.
func olderBackend(o object) string {
	if o.get("serviceName") == nil {
		return ""
	}
	return ": serviceName and servicePort are the form of v1beta1"
}
