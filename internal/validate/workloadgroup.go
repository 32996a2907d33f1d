package validate

import (
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// workloadGroup judges https://istio.io/latest/docs/reference/config/networking/workload-group/.
func workloadGroup(fs *finding.Faults, g *networking.WorkloadGroup) {
	if g == nil {
		return
	}
	if g.Template == nil {
		fs.Errorf("template", "no template")
	} else {
		if socket, ok := strings.CutPrefix(g.Template.Address, unixPrefix); ok {
			unixPath(fs, "template.address", socket)
		}
		workload(fs, "template", g.Template)
	}
	atMost(fs, "metadata.labels", len(g.Metadata.GetLabels()), 256)
	atMost(fs, "metadata.annotations", len(g.Metadata.GetAnnotations()), 256)
	labelMap(fs, "metadata.labels", g.Metadata.GetLabels())
	probe(fs, "probe", g.Probe)
}

func probe(fs *finding.Faults, path string, p *networking.ReadinessProbe) {
	if p == nil {
		return
	}
	notNegative(fs, finding.Join(path, "initialDelaySeconds"), p.InitialDelaySeconds)
	notNegative(fs, finding.Join(path, "timeoutSeconds"), p.TimeoutSeconds)
	notNegative(fs, finding.Join(path, "periodSeconds"), p.PeriodSeconds)
	notNegative(fs, finding.Join(path, "successThreshold"), p.SuccessThreshold)
	notNegative(fs, finding.Join(path, "failureThreshold"), p.FailureThreshold)
	switch m := p.HealthCheckMethod.(type) {
	case *networking.ReadinessProbe_HttpGet:
		httpGet(fs, finding.Join(path, "httpGet"), m.HttpGet)
	case *networking.ReadinessProbe_TcpSocket:
		port(fs, finding.Join(path, "tcpSocket.port"), m.TcpSocket.GetPort())
	case *networking.ReadinessProbe_Exec:
		command := m.Exec.GetCommand()
		if len(command) == 0 {
			fs.Errorf(finding.Join(path, "exec.command"), "no command")
		}
		for i, c := range command {
			if c == "" {
				fs.Errorf(finding.Index(finding.Join(path, "exec.command"), i), "the argument is empty")
			}
		}
	default:
		fs.Errorf(path, "no way to probe that Istio accepts, want httpGet, tcpSocket or exec")
	}
}

func httpGet(fs *finding.Faults, path string, h *networking.HTTPHealthCheckConfig) {
	port(fs, finding.Join(path, "port"), h.GetPort())
	if s := h.GetScheme(); s != "" && s != "HTTP" && s != "HTTPS" {
		fs.Errorf(finding.Join(path, "scheme"), "%q is not HTTP or HTTPS", s)
	}
	for i, header := range h.GetHttpHeaders() {
		if name := header.GetName(); name == "" || strings.ContainsFunc(name, func(r rune) bool {
			return r >= 0x80 || !alnum(byte(r)) && r != '-'
		}) {
			fs.Errorf(finding.Index(finding.Join(path, "httpHeaders"), i), "%q is not a header name of letters, digits and -", name)
		}
	}
}
