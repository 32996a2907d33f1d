// Package registry knows which services there are and where they run: from Kubernetes objects, ServiceEntries
// and WorkloadEntries. A registry is immutable; endpoints that change alone go straight to their cluster.
package registry

import "github.com/go-inmesh/inmesh/internal/rule"

// Resolution says how a service's endpoints are found.
type Resolution int

// The resolutions of a ServiceEntry; a Kubernetes service is Static.
const (
	Passthrough   Resolution = iota // NONE: the address that the caller dialled
	Static                          // the endpoints that are listed
	DNS                             // every address that the names resolve to
	DNSRoundRobin                   // the first address, afresh for each connection
)

// Port is one port of a service.
type Port struct {
	Number   int
	Name     string
	Protocol Protocol
	// Target is the endpoints' port, 0 where it is Number or has a name. With resolution Passthrough it replaces
	// the port that the caller dialled.
	Target     int
	TargetName string
}

// Protocol is what is spoken on a port.
type Protocol string

// The protocols that matter to routing. Auto means that it is sniffed.
const (
	Auto  Protocol = ""
	HTTP  Protocol = "HTTP"
	HTTP2 Protocol = "HTTP2"
	GRPC  Protocol = "GRPC" // also GRPC-WEB
	HTTPS Protocol = "HTTPS"
	TLS   Protocol = "TLS"
	TCP   Protocol = "TCP" // also MONGO, REDIS, MYSQL, UDP
)

// IsHTTP tells whether HTTP rules apply to the port: HTTP, HTTP2, gRPC and sniffed ports.
func (p Protocol) IsHTTP() bool { return p == Auto || p == HTTP || p == HTTP2 || p == GRPC }

// Service is a host that requests may name, with its ports and endpoints.
type Service struct {
	// Hostname is the FQDN of a Kubernetes service, or a ServiceEntry's host, wildcards included. Lower case.
	Hostname  string
	Name      string // the object's name
	Namespace string
	Ports     []Port
	// Addresses are the service's virtual IPs; empty or CIDRs too, as written.
	Addresses  []string
	Resolution Resolution
	// External is true for MESH_EXTERNAL.
	External bool
	// Kubernetes is true where the service is a Kubernetes Service.
	Kubernetes bool
	// Headless is true for a Kubernetes service without a virtual IP. Its resolution is Static all the same: where
	// its endpoints are known, DNS would give one of them.
	Headless bool
	// ExternalName is the target of a Kubernetes ExternalName service that leads out of the mesh, resolved by DNS.
	ExternalName string
	// Aliases are the hostnames of ExternalName services that lead here.
	Aliases  []string
	ExportTo []string // as written; empty means public
	// SubjectAltNames are names that the server's certificate may have, besides those of its endpoints' accounts.
	SubjectAltNames []string
	Labels          map[string]string
	// Object is the document that declares the service, the oldest one where several do.
	Object *rule.Object

	index int // in Registry.services
}

// Port finds a port by number.
func (s *Service) Port(number int) (Port, bool) {
	for _, p := range s.Ports {
		if p.Number == number {
			return p, true
		}
	}
	return Port{}, false
}

// Endpoint is one place where a service runs, for one service port.
type Endpoint struct {
	// Address is an IP, a DNS name (resolution DNS) or "unix:///path".
	Address string
	// Port is the port to connect to; 0 for unix sockets.
	Port int
	// Labels are the workload's, with those that tell its locality, network and node. Shared: they must not be changed.
	Labels         map[string]string
	Locality       string // region/zone/subzone; the last parts, or all, may be missing
	Weight         int    // 0 means 1
	ServiceAccount string // name in Namespace, without "spiffe://"
	Network        string
	// Workload and Namespace name the pod's or entry's workload.
	Workload, Namespace string
	// MTLS is true where the endpoint announces that it speaks mTLS: by label security.istio.io/tlsMode, else, for
	// entries, by having a ServiceAccount.
	MTLS bool
}
