package registry

import "strings"

// protocols by the names that port names, appProtocol and ServiceEntries give them, in lower case.
var protocols = map[string]Protocol{
	"http": HTTP, "http_proxy": HTTP, "http2": HTTP2, "grpc": GRPC, "grpc-web": GRPC, "https": HTTPS, "tls": TLS,
	"tcp": TCP, "udp": TCP, "mongo": TCP, "redis": TCP, "mysql": TCP,
}

// entryProtocol reads the protocol of a ServiceEntry's port: one of the names, in any case, else sniffed.
func entryProtocol(name string) Protocol { return protocols[strings.ToLower(name)] }

// serviceProtocol works out what a Kubernetes port speaks: appProtocol, else the port's name up to the first dash.
//
// See https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/.
func serviceProtocol(port int, name, transport, app string) Protocol {
	if strings.EqualFold(transport, "UDP") {
		return TCP
	}
	if app != "" {
		switch name = app; app {
		case "kubernetes.io/h2c":
			return HTTP2
		case "kubernetes.io/ws":
			return HTTP
		case "kubernetes.io/wss":
			return HTTPS
		}
	}
	if name = strings.ToLower(name); strings.HasPrefix(name, "grpc-web") {
		return GRPC
	}
	name, _, _ = strings.Cut(name, "-")
	if p, ok := protocols[name]; ok {
		return p
	}
	switch port {
	case 25, 53, 3306, 27017: // the server speaks first there, so nothing can be sniffed
		return TCP
	}
	return Auto
}
