package coverage

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// sidecar accounts for https://istio.io/latest/docs/reference/config/networking/sidecar/.
func sidecar() []Field {
	const server, pool, proxy = "the server's listener is the program's own", "limits of the server's side are not kept",
		"unknown hosts are passed through directly"
	return list(
		[]Field{
			{Path: "workloadSelector", Status: Honoured, Where: "internal/compile"},
			{Path: "workloadSelector.labels[*]", Status: Honoured, Where: "internal/compile"},
			{Path: "egress[]", Status: Honoured, Note: "what the workload sees; one that opens a socket or a proxy port is left out, with a warning", Where: "internal/compile"},
			{Path: "egress[].port", Status: Honoured, Where: "internal/compile"},
			{Path: "egress[].port.number", Status: Honoured, Note: "the hosts are seen on this port alone", Where: "internal/compile"},
			{Path: "egress[].port.protocol", Status: Honoured, Note: "HTTP_PROXY leaves the listener out, with a warning", Where: "internal/compile", But: proxyPort},
			{Path: "egress[].port.name", Status: Metadata},
			{Path: "egress[].port.targetPort", Status: Refused, Note: "as in Istio", Where: "internal/validate"},
			{Path: "egress[].bind", Status: Warned, Note: "no listener is opened, and the hosts count for every address", But: address},
			{Path: "egress[].captureMode", Status: Warned, Note: "traffic is not captured: the mesh is in the process"},
			{Path: "egress[].hosts[]", Status: Honoured, Where: "internal/compile"},
			{Path: "outboundTrafficPolicy", Status: Honoured, Note: "{} is REGISTRY_ONLY", Where: "internal/compile"},
			{Path: "outboundTrafficPolicy.mode", Status: Honoured, Where: "internal/compile"},
		},
		all("outboundTrafficPolicy.egressProxy", Warned, proxy, "", "", "host", "subset", "port", "port.number"),
		all("ingress[]", Warned, server, "", "", "port", "port.number", "port.protocol", "port.name", "port.targetPort", "bind",
			"captureMode", "defaultEndpoint", "tls", "tls.httpsRedirect", "tls.mode"),
		under("ingress[].tls", serverTLS(server)),
		pools("ingress[].connectionPool", server),
		pools("inboundConnectionPool", pool),
	)
}

// proxyPort is what is not obeyed of a port's protocol.
func proxyPort(_ protoreflect.Message, v protoreflect.Value) string {
	if v.String() == "HTTP_PROXY" || v.String() == "http_proxy" {
		return "a proxy port is not opened, and the listener is left out"
	}
	return ""
}

// address is what is not obeyed of the address that a listener is bound to.
func address(in protoreflect.Message, _ protoreflect.Value) string {
	port := in.Descriptor().Fields().ByName("port")
	if p := in.Get(port).Message(); in.Has(port) && p.Get(p.Descriptor().Fields().ByName("number")).Uint() == 0 {
		return "no socket is opened, and the listener is left out"
	}
	return "no listener is opened, and the hosts count for every address"
}

// pools accounts for connection pool settings that nothing comes of.
func pools(path, why string) []Field {
	out := connectionPool()
	for i := range out {
		out[i] = Field{Path: join(path, out[i].Path), Status: Warned, Note: why}
	}
	return out
}

const whyProxyConfig = "there is no proxy: what a program needs stands in its own options"

// proxyConfig accounts for https://istio.io/latest/docs/reference/config/networking/proxy-config/.
func proxyConfig() []Field {
	return all("", Warned, whyProxyConfig, "", "selector", "selector.matchLabels[*]", "concurrency", "environmentVariables[*]",
		"image", "image.imageType")
}
