package validate

import (
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// serverTLS judges the TLS settings of a gateway's or sidecar's server.
func serverTLS(fs *finding.Faults, path string, t *networking.ServerTLSSettings) {
	if t == nil {
		return
	}
	for _, e := range []struct {
		name string
		is   bool
	}{
		{"tlsCertificates", len(t.TlsCertificates) > 2},
		{"credentialNames", len(t.CredentialNames) > 2},
	} {
		if e.is {
			fs.Errorf(finding.Join(path, e.name), "more than 2 entries")
		}
	}
	enum(fs, finding.Join(path, "mode"), t.Mode)
	enum(fs, finding.Join(path, "minProtocolVersion"), t.MinProtocolVersion)
	enum(fs, finding.Join(path, "maxProtocolVersion"), t.MaxProtocolVersion)
	if v := t.MinProtocolVersion; len(t.CipherSuites) == 0 &&
		(v == networking.ServerTLSSettings_TLSV1_0 || v == networking.ServerTLSSettings_TLSV1_1) {
		fs.Warnf(finding.Join(path, "minProtocolVersion"), codeSchema, "%v without cipherSuites: the default ones are for TLSV1_2 and later", v)
	}
	ciphers(fs, finding.Join(path, "cipherSuites"), t.CipherSuites)

	certs := certSources(t)
	if t.Mode == networking.ServerTLSSettings_ISTIO_MUTUAL {
		for _, name := range certs.fields {
			if name != "caCrl" {
				fs.Errorf(finding.Join(path, name), "set while mode is ISTIO_MUTUAL, which brings its own certificates")
			}
		}
		return
	}
	if passThrough(t) {
		for _, name := range certs.fields {
			fs.Warnf(finding.Join(path, name), codeSchema, "not used, for mode is %v", t.Mode)
		}
	}
	if len(certs.sources) > 1 {
		fs.Errorf(path, "certificates come from %s, want one source", strings.Join(certs.sources, " and "))
	}
	terminates(fs, path, t)
}

// terminates judges the modes in which the server shows a certificate of its own.
func terminates(fs *finding.Faults, path string, t *networking.ServerTLSSettings) {
	mutual := t.Mode == networking.ServerTLSSettings_MUTUAL || t.Mode == networking.ServerTLSSettings_OPTIONAL_MUTUAL
	simple := t.Mode == networking.ServerTLSSettings_SIMPLE
	if (mutual || simple) && (t.CredentialName != "" || len(t.CredentialNames) > 0) {
		return // all comes from the secret
	}
	if mutual && t.CaCertificates == "" {
		fs.Errorf(finding.Join(path, "caCertificates"), "missing, while mode is %v", t.Mode)
	}
	if mutual || simple {
		if len(t.TlsCertificates) == 0 {
			certPair(fs, path, t.ServerCertificate, t.PrivateKey)
		}
		for i, c := range t.TlsCertificates {
			certPair(fs, finding.Index(finding.Join(path, "tlsCertificates"), i), c.GetServerCertificate(), c.GetPrivateKey())
		}
	}
	if t.CaCrl != "" && simple {
		fs.Errorf(finding.Join(path, "caCrl"), "set while mode is SIMPLE, which looks at no client certificate")
	}
	if t.CaCrl != "" && t.CredentialName != "" {
		fs.Errorf(finding.Join(path, "caCrl"), "set together with credentialName, want the list in the secret")
	}
}

func certPair(fs *finding.Faults, path, cert, key string) {
	if cert == "" {
		fs.Errorf(finding.Join(path, "serverCertificate"), "missing")
	}
	if key == "" {
		fs.Errorf(finding.Join(path, "privateKey"), "missing")
	}
}

// certificates are where a server's certificates are said to come from.
type certificates struct {
	fields  []string // that are set
	sources []string // that each make a whole
}

func certSources(t *networking.ServerTLSSettings) (c certificates) {
	for _, f := range []struct {
		name        string
		set, source bool
	}{
		{"serverCertificate", t.ServerCertificate != "", t.PrivateKey != ""},
		{"privateKey", t.PrivateKey != "", false},
		{"caCertificates", t.CaCertificates != "", false},
		{"caCrl", t.CaCrl != "", false},
		{"credentialName", t.CredentialName != "", true},
		{"credentialNames", len(t.CredentialNames) > 0, true},
		{"tlsCertificates", len(t.TlsCertificates) > 0, true},
	} {
		if f.set {
			c.fields = append(c.fields, f.name)
		}
		if f.set && f.source {
			c.sources = append(c.sources, f.name)
		}
	}
	return c
}

// ciphers warns of suites that the server will not use.
func ciphers(fs *finding.Faults, path string, suites []string) {
	for i, s := range suites {
		switch {
		case !isCipher(s):
			fs.Warnf(finding.Index(path, i), codeSchema, "%q is not a cipher suite that is known, and is left out", s)
		case slices.Contains(suites[:min(i, 100)], s):
			fs.Warnf(finding.Index(path, i), codeSchema, "%q stands in the list twice", s)
		}
	}
}

func isCipher(s string) bool {
	switch s {
	case "", "ALL",
		"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
		"ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
		"ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA",
		"AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "AES256-SHA", "DES-CBC3-SHA":
		return true
	}
	return !alnum(s[0]) && s[0] < 0x80 // an operator of OpenSSL's language, such as -RC4
}
