package validate

import (
	"net"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

func ingress(fs *finding.Faults, path string, l *networking.IstioIngressListener) {
	ConnectionPool(fs, finding.Join(path, "connectionPool"), l.ConnectionPool)
	if l.Port == nil {
		fs.Errorf(path, "no port")
		return
	}
	sidecarPort(fs, finding.Join(path, "port"), l.Port)
	port(fs, finding.Join(path, "port.number"), l.Port.Number)
	if l.Bind != "" {
		address(fs, finding.Join(path, "bind"), l.Bind)
	}
	enum(fs, finding.Join(path, "captureMode"), l.CaptureMode)
	if l.DefaultEndpoint != "" {
		defaultEndpoint(fs, finding.Join(path, "defaultEndpoint"), l.DefaultEndpoint)
	}
	p := protocolOf(l.Port.Protocol)
	if t := l.Tls; t != nil {
		ingressTLS(fs, finding.Join(path, "tls"), t)
		if !p.tls() {
			fs.Errorf(finding.Join(path, "tls"), "the protocol %q has no tls, want TLS or HTTPS", l.Port.Protocol)
		}
	}
	if l.ConnectionPool.GetHttp() != nil && !p.http() {
		fs.Warnf(finding.Join(path, "connectionPool.http"), codeSchema, "the protocol %q is not HTTP, so that only tcp counts", l.Port.Protocol)
	}
}

func ingressTLS(fs *finding.Faults, path string, t *networking.ServerTLSSettings) {
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"subjectAltNames", len(t.SubjectAltNames) > 0},
		{"httpsRedirect", t.HttpsRedirect},
		{"credentialName", t.CredentialName != ""},
		{"credentialNames", len(t.CredentialNames) > 0},
		{"tlsCertificates", len(t.TlsCertificates) > 0},
	} {
		if f.set {
			fs.Errorf(finding.Join(path, f.name), "set on a sidecar, which does not support it")
		}
	}
	if t.Mode == networking.ServerTLSSettings_ISTIO_MUTUAL || t.Mode == networking.ServerTLSSettings_AUTO_PASSTHROUGH {
		fs.Errorf(finding.Join(path, "mode"), "%v is for gateways", t.Mode)
	}
	serverTLS(fs, path, t)
}

// defaultEndpoint wants a port of this machine, or a socket.
func defaultEndpoint(fs *finding.Faults, path, s string) {
	if socket, ok := strings.CutPrefix(s, unixPrefix); ok {
		unixPath(fs, path, socket)
		return
	}
	host, number, err := net.SplitHostPort(s)
	if err == nil {
		switch host {
		case "", "127.0.0.1", "0.0.0.0", "::1", "::":
			if n, err := strconv.Atoi(number); err == nil && n >= 1 && n <= 65535 {
				return
			}
		}
	}
	fs.Errorf(path, "%q is not 127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT or unix://PATH", s)
}

// sidecarPort judges what ports of both directions have in common.
func sidecarPort(fs *finding.Faults, path string, p *networking.SidecarPort) {
	if p.Name != "" {
		portName(fs, finding.Join(path, "name"), p.Name)
	}
	optionalProtocol(fs, finding.Join(path, "protocol"), p.Protocol)
	if p.TargetPort > 0 { // refused
		fs.Errorf(finding.Join(path, "targetPort"), "a sidecar's port has no targetPort")
	}
}

func egressPort(fs *finding.Faults, path string, l *networking.IstioEgressListener) {
	sidecarPort(fs, finding.Join(path, "port"), l.Port)
	enum(fs, finding.Join(path, "captureMode"), l.CaptureMode)
	at := finding.Join(path, "bind")
	if l.Port.Number != 0 {
		port(fs, finding.Join(path, "port.number"), l.Port.Number)
		if l.Bind != "" {
			address(fs, at, l.Bind)
		}
		return
	}
	if socket, ok := strings.CutPrefix(l.Bind, unixPrefix); ok {
		unixPath(fs, at, socket)
	} else {
		fs.Errorf(finding.Join(path, "port.number"), "0, which needs a bind of unix://PATH")
	}
	if l.CaptureMode != networking.CaptureMode_DEFAULT && l.CaptureMode != networking.CaptureMode_NONE {
		fs.Errorf(finding.Join(path, "captureMode"), "%v, want DEFAULT or NONE for a socket", l.CaptureMode)
	}
}
