package observe

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
)

// isTLS tells whether an error is that of a TLS handshake.
func isTLS(err error) bool {
	var (
		record  tls.RecordHeaderError
		alert   tls.AlertError
		verify  *tls.CertificateVerificationError
		host    x509.HostnameError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
	)
	return errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &verify) || errors.As(err, &host) ||
		errors.As(err, &unknown) || errors.As(err, &invalid)
}
