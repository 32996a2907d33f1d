package coverage

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// gateway accounts for https://istio.io/latest/docs/reference/config/networking/gateway/.
func gateway() []Field {
	return list(
		[]Field{
			{Path: "selector[*]", Status: Metadata, Note: "which proxies are the gateway; here the program is, by mesh.Gateway(name)"},
			{Path: "servers[]", Status: Honoured, Where: "internal/compile"},
			{Path: "servers[].port", Status: Honoured, Where: "internal/compile"},
			{Path: "servers[].port.number", Status: Honoured, Note: "finds the server of a connection; a process may listen on another port", Where: "internal/compile"},
			{Path: "servers[].port.protocol", Status: Honoured, Note: "of HTTP, and HTTPS that ends here; servers of others are left out, with a warning", Where: "internal/compile"},
			{Path: "servers[].port.name", Status: Metadata, Note: "must be there and be used once"},
			{Path: "servers[].port.targetPort", Status: Refused, Note: "as in Istio", Where: "internal/validate"},
			{Path: "servers[].bind", Status: Warned, Note: "the program that listens chooses the address"},
			{Path: "servers[].hosts[]", Status: Honoured, Note: "host, or namespace/host", Where: "internal/compile"},
			{Path: "servers[].defaultEndpoint", Status: Warned, Note: "only VirtualServices lead on"},
			{Path: "servers[].name", Status: Metadata},
			{Path: "servers[].tls", Status: Honoured, Where: "internal/compile"},
			{Path: "servers[].tls.httpsRedirect", Status: Honoured, Note: "301", Where: "internal/compile"},
			{Path: "servers[].tls.mode", Status: Honoured, Note: "SIMPLE; servers that pass TLS through are left out, client certificates are not asked for: both with a warning",
				Where: "internal/compile", But: asksForCertificates},
		},
		under("servers[].tls", serverTLS("certificates and TLS settings are those of the program that listens")),
	)
}

// asksForCertificates is what is not obeyed of a server's TLS mode.
func asksForCertificates(_ protoreflect.Message, v protoreflect.Value) string {
	switch v.Enum() {
	case 2, 4, 5: // MUTUAL, ISTIO_MUTUAL, OPTIONAL_MUTUAL
		return "whether clients need a certificate is up to the program that listens"
	}
	return ""
}

// serverTLS accounts for what a server's TLS has beside mode and httpsRedirect.
func serverTLS(why string) []Field {
	out := all("", Warned, why, "", "serverCertificate", "caCertificates", "caCrl", "credentialName", "credentialNames[]",
		"caCertCredentialName", "tlsCertificates[]", "tlsCertificates[].serverCertificate", "tlsCertificates[].privateKey",
		"tlsCertificates[].caCertificates", "subjectAltNames[]", "verifyCertificateSpki[]", "verifyCertificateHash[]",
		"minProtocolVersion", "maxProtocolVersion", "cipherSuites[]", "insecureSkipVerify")
	return append(out, Field{Path: "privateKey", Status: Warned, Note: why, With: "serverCertificate"})
}
