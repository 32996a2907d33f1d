package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	networking "istio.io/api/networking/v1"
)

// Client says how a client speaks TLS to a cluster.
type Client struct {
	// Settings are a DestinationRule's tls. See https://istio.io/latest/docs/reference/config/networking/destination-rule/#ClientTLSSettings
	Settings *networking.ClientTLSSettings
	// Source is who we are; needed by ISTIO_MUTUAL alone.
	Source Source
	// Host is the name that SIMPLE and MUTUAL verify where the settings name none, and the SNI; an IP has no SNI.
	Host string
	// SNI is what ISTIO_MUTUAL sends where the settings name none: outbound_.PORT_.SUBSET_.FQDN.
	SNI string
	// SubjectAltNames are the names that the server may have where the settings list none: a ServiceEntry's
	// subjectAltNames. Empty means Host; for ISTIO_MUTUAL, what Accounts says.
	SubjectAltNames []string
	// Accounts are the SPIFFE IDs that an ISTIO_MUTUAL server may have where nothing else names them: those of the
	// endpoints' service accounts. It is asked at each handshake, for endpoints come and go. Where it is nil or
	// knows none, every workload that the bundles vouch for is taken.
	Accounts func() []string
}

// ErrNoSource is the error of ISTIO_MUTUAL without an identity: there is nobody that we could say to be.
var ErrNoSource = errors.New("identity: tls.mode ISTIO_MUTUAL needs an identity source, found none")

// Config makes the TLS configuration, nil for mode DISABLE. The peer is verified on every connection, resumed ones
// included.
func (c Client) Config() (*tls.Config, error) {
	s := c.Settings
	switch s.GetMode() {
	case networking.ClientTLSSettings_DISABLE:
		return nil, nil
	case networking.ClientTLSSettings_ISTIO_MUTUAL:
		return c.mesh()
	}
	if s.GetCredentialName() != "" {
		return nil, fmt.Errorf("identity: tls.credentialName: %q is a Kubernetes secret, which a process cannot read: mount it and name the files", s.GetCredentialName())
	}
	if s.GetCaCrl() != "" {
		return nil, fmt.Errorf("identity: tls.caCrl: %q: revocation lists are not supported", s.GetCaCrl())
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.serverName(), InsecureSkipVerify: true} // verified below
	roots, err := readRoots(s.GetCaCertificates())
	if err != nil {
		return nil, err
	}
	if s.GetMode() == networking.ClientTLSSettings_MUTUAL {
		cert, key := s.GetClientCertificate(), s.GetPrivateKey()
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			return nil, fmt.Errorf("identity: tls.clientCertificate: %w", err)
		}
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(cert, key) // read afresh: files rotate
			return &pair, err
		}
	}
	if s.GetInsecureSkipVerify().GetValue() {
		return conf, nil
	}
	names := s.GetSubjectAltNames()
	if len(names) == 0 {
		names = c.SubjectAltNames
	}
	host := c.Host
	conf.VerifyConnection = func(cs tls.ConnectionState) error {
		leaf, err := verifyChain(cs, roots)
		switch {
		case err != nil:
		case len(names) > 0:
			err = matchNames(leaf, names)
		case host != "":
			err = leaf.VerifyHostname(host)
		}
		return unverified(cs, err)
	}
	return conf, nil
}

// unverified gives an error the type that crypto/tls's own verification has, so that callers know it for what it is.
func unverified(cs tls.ConnectionState, err error) error {
	if err == nil {
		return nil
	}
	return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
}

func (c Client) serverName() string {
	name := c.Settings.GetSni()
	if name == "" {
		name = c.Host
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return ""
	}
	return name
}

// mesh is ISTIO_MUTUAL: our SVID against theirs, under the trust domains' bundles.
func (c Client) mesh() (*tls.Config, error) {
	if c.Source == nil {
		return nil, ErrNoSource
	}
	src, names := c.Source, c.Settings.GetSubjectAltNames()
	if len(names) == 0 {
		names = c.SubjectAltNames
	}
	conf := &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, // verified below
		NextProtos: []string{"istio-peer-exchange", "istio", "h2", "http/1.1"},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			svid, err := src.GetX509SVID()
			if err != nil {
				return nil, fmt.Errorf("identity: no SVID: %w", err)
			}
			return certificate(svid), nil
		},
		VerifyConnection: func(cs tls.ConnectionState) error {
			names := names
			if len(names) == 0 && c.Accounts != nil {
				names = c.Accounts()
			}
			id, _, err := x509svid.Verify(cs.PeerCertificates, src)
			if err != nil {
				err = fmt.Errorf("identity: %w", err)
			} else if len(names) > 0 && !slices.Contains(names, id.String()) {
				err = fmt.Errorf("identity: the server is %s, expected one of %q", id, names)
			}
			return unverified(cs, err)
		},
	}
	conf.ServerName = c.Settings.GetSni()
	if conf.ServerName == "" {
		conf.ServerName = c.SNI
	}
	return conf, nil
}

func certificate(svid *x509svid.SVID) *tls.Certificate {
	cert := &tls.Certificate{PrivateKey: svid.PrivateKey, Leaf: svid.Certificates[0]}
	for _, c := range svid.Certificates {
		cert.Certificate = append(cert.Certificate, c.Raw)
	}
	return cert
}

// readRoots reads a bundle; nil means the system's roots.
func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("identity: tls.caCertificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("identity: tls.caCertificates: %s holds no certificate", file)
	}
	return pool, nil
}

func verifyChain(cs tls.ConnectionState, roots *x509.CertPool) (*x509.Certificate, error) {
	if len(cs.PeerCertificates) == 0 {
		return nil, errors.New("identity: the server sent no certificate")
	}
	leaf, inter := cs.PeerCertificates[0], x509.NewCertPool()
	for _, c := range cs.PeerCertificates[1:] {
		inter.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: inter, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return leaf, err
}

// matchNames compares exactly, as Envoy does: DNS names, URIs, addresses and mail addresses.
func matchNames(leaf *x509.Certificate, names []string) error {
	have := slices.Concat(leaf.DNSNames, leaf.EmailAddresses)
	for _, u := range leaf.URIs {
		have = append(have, u.String())
	}
	for _, ip := range leaf.IPAddresses {
		have = append(have, ip.String())
	}
	for _, n := range names {
		if slices.Contains(have, n) {
			return nil
		}
	}
	return fmt.Errorf("identity: the server's names are %q, expected one of %q", have, names)
}

// ServiceAccount is the SPIFFE ID of a Kubernetes service account, as Istio forms it.
func ServiceAccount(trustDomain, namespace, name string) (spiffeid.ID, error) {
	td, err := spiffeid.TrustDomainFromString(trustDomain)
	if err != nil {
		return spiffeid.ID{}, fmt.Errorf("identity: trust domain %q: %w", trustDomain, err)
	}
	return spiffeid.FromSegments(td, "ns", namespace, "sa", name)
}
