package validate

import (
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// workloadEntry judges https://istio.io/latest/docs/reference/config/networking/workload-entry/.
func workloadEntry(fs *finding.Faults, w *networking.WorkloadEntry) {
	if w != nil {
		endpoint(fs, "", w, true)
	}
}

// endpoint judges a WorkloadEntry, on its own or within a ServiceEntry. Names are for who resolves them.
func endpoint(fs *finding.Faults, path string, w *networking.WorkloadEntry, names bool) {
	at := finding.Join(path, "address")
	switch socket, unix := strings.CutPrefix(w.Address, unixPrefix); {
	case w.Address == "" && w.Network == "":
		fs.Errorf(at, "no address and no network, want one")
	case w.Address == "" && names && path != "":
		fs.Errorf(at, "no address that could be resolved")
	case w.Address == "":
		fs.Warnf(at, codeSchema, "no address, so that the workload is reached through the gateway of network %q", w.Network)
	case unix && names && path != "":
		fs.Errorf(at, "a Unix domain socket is for resolution STATIC")
	case unix:
		unixPath(fs, at, socket)
	case isIP(w.Address):
	case !names:
		fs.Errorf(at, "%q is not an IP address, want one or resolution DNS", w.Address)
	default:
		if p := fqdnProblem(w.Address); p != "" {
			fs.Errorf(at, "%q is not an IP address or a domain name: %s", w.Address, p)
		}
	}
	labelMap(fs, finding.Join(path, "labels"), w.Labels)
	workload(fs, path, w)
}

// workload judges what a template has too.
func workload(fs *finding.Faults, path string, w *networking.WorkloadEntry) {
	unix := strings.HasPrefix(w.Address, unixPrefix)
	ports := finding.Join(path, "ports")
	if unix && len(w.Ports) > 0 {
		fs.Errorf(ports, "a Unix domain socket has no ports")
	}
	atMost(fs, ports, len(w.Ports), 128)
	for _, name := range sorted(w.Ports) {
		key := finding.Key(ports, name)
		if !isLabel(name) || len(name) == maxLabel {
			fs.Errorf(key, "%q is not a port's name: letters, digits and -, at most 62", name)
		}
		port(fs, key, w.Ports[name])
	}
	atMost(fs, finding.Join(path, "labels"), len(w.Labels), 256)
	for _, f := range []struct {
		name, value string
		most        int
	}{
		{"address", w.Address, 256}, {"locality", w.Locality, 2048}, {"network", w.Network, 2048},
		{"serviceAccount", w.ServiceAccount, 253},
	} {
		if len(f.value) > f.most {
			fs.Errorf(finding.Join(path, f.name), "%d characters are more than %d", len(f.value), f.most)
		}
	}
}
