package validate

import (
	"strings"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// port wants 1..65535.
func port(fs *finding.Faults, path string, n uint32) {
	if n < 1 || n > 65535 {
		fs.Errorf(path, "%d is not in 1..65535", n)
	}
}

// portName wants a DNS label.
func portName(fs *finding.Faults, path, name string) {
	if !isLabel(name) {
		fs.Errorf(path, "%q is not a DNS label: letters, digits and -, at most 63", name)
	}
}

// protocol is what a port carries, in lower case; "" is one that Istio does not have.
type protocol string

const protocols = "TCP, UDP, TLS, HTTP, HTTPS, HTTP2, HTTP_PROXY, GRPC, GRPC-WEB, MONGO, REDIS or MYSQL"

func protocolOf(s string) protocol {
	switch p := strings.ToLower(s); p {
	case "tcp", "udp", "tls", "http", "https", "http2", "http_proxy", "grpc", "grpc-web", "mongo", "redis", "mysql":
		return protocol(p)
	}
	return ""
}

func (p protocol) http() bool {
	return p == "http" || p == "http2" || p == "http_proxy" || p == "grpc" || p == "grpc-web"
}

func (p protocol) tls() bool { return p == "https" || p == "tls" }

// tcp tells whether the port is routed as bytes, encrypted ones among them.
func (p protocol) tcp() bool {
	return p.tls() || p == "tcp" || p == "mongo" || p == "redis" || p == "mysql"
}

// optionalProtocol wants a known protocol, or none, which asks for detection.
func optionalProtocol(fs *finding.Faults, path, s string) {
	if s != "" && protocolOf(s) == "" {
		fs.Errorf(path, "%q is not %s", s, protocols)
	}
}
