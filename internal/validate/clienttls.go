package validate

import (
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// ClientTLS judges the TLS settings of a client whose namespace is not known.
func ClientTLS(fs *finding.Faults, path string, t *networking.ClientTLSSettings) {
	clientTLS(fs, path, "", t)
}

func clientTLS(fs *finding.Faults, path, namespace string, t *networking.ClientTLSSettings) {
	if t == nil {
		return
	}
	enum(fs, finding.Join(path, "mode"), t.Mode)
	if rest, ok := strings.CutPrefix(t.CredentialName, "configmap://"); ok {
		ns, name, _ := strings.Cut(rest, "/")
		if ns == "" || name == "" || name[0] == '/' || namespace != "" && ns != namespace {
			fs.Errorf(finding.Join(path, "credentialName"), "%q is not configmap://%s/NAME, in the namespace of the rule", t.CredentialName, namespace)
		}
	}
	simple, mutual := t.Mode == networking.ClientTLSSettings_SIMPLE, t.Mode == networking.ClientTLSSettings_MUTUAL
	if t.InsecureSkipVerify.GetValue() && (simple || mutual) {
		for _, f := range []struct {
			name string
			set  bool
		}{
			{"caCertificates", t.CaCertificates != ""},
			{"subjectAltNames", t.SubjectAltNames != nil},
			{"credentialName", simple && t.CredentialName != ""},
		} {
			if f.set {
				fs.Errorf(finding.Join(path, f.name), "set while insecureSkipVerify is true, which verifies nothing")
			}
		}
	}
	switch {
	case (simple || mutual) && t.CredentialName != "":
		for _, f := range []struct{ name, value string }{
			{"clientCertificate", t.ClientCertificate}, {"privateKey", t.PrivateKey},
			{"caCertificates", t.CaCertificates}, {"caCrl", t.CaCrl},
		} {
			if f.value != "" {
				fs.Errorf(finding.Join(path, f.name), "set together with credentialName")
			}
		}
	case mutual:
		if t.ClientCertificate == "" {
			fs.Errorf(finding.Join(path, "clientCertificate"), "missing, while mode is MUTUAL")
		}
		if t.PrivateKey == "" {
			fs.Errorf(finding.Join(path, "privateKey"), "missing, while mode is MUTUAL")
		}
	}
}
