package route

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// HeaderEnv is what the formatters in header values can tell besides the header itself. What is left zero
// formats to nothing. A nil *HeaderEnv is an empty one.
type HeaderEnv struct {
	// Request answers REQ(:method), REQ(:authority), REQ(:path) and REQ(:scheme). For response headers its
	// Header answers REQ(x) too: it is then the request's as it was sent.
	Request Request
	// RemoteAddr is the caller's address with port, LocalAddr the one that it connected to.
	RemoteAddr, LocalAddr string
	// TLS is the caller's connection, nil for plain text.
	TLS *tls.ConnectionState
	// LocalCertificate is what we showed the caller, nil for none.
	LocalCertificate *x509.Certificate
	// Protocol is "HTTP/1.1" or "HTTP/2".
	Protocol string
	// Start is when the request came in.
	Start time.Time
	// Upstream is the endpoint's address with port, Cluster its cluster.
	Upstream, Cluster string
	// Route is the matched route's name.
	Route string
	// ResponseCode, ResponseFlags and ResponseDetails are known for response headers only.
	ResponseCode                   int
	ResponseFlags, ResponseDetails string
}

// operatorOf finds an operator by name.
func operatorOf(name, arg string, hasArg bool) (operator, error) {
	switch name {
	case "REQ", "RESP":
		return headerOperator(name, arg)
	case "START_TIME":
		return timeOperator(arg)
	case "ENVIRONMENT":
		if arg == "" {
			return nil, fmt.Errorf("%%ENVIRONMENT%% needs the name of a variable")
		}
		v := os.Getenv(arg)
		return func(*scene) string { return v }, nil
	case "HOSTNAME":
		if hasArg {
			break
		}
		v, err := os.Hostname()
		if err != nil {
			v = "" // formats to nothing, as in a proxy that cannot tell
		}
		return func(*scene) string { return v }, nil
	}
	op, ok := plainOperator(name)
	switch {
	case !ok:
		return nil, fmt.Errorf("%%%s%% is not an operator that is known here", name)
	case hasArg:
		return nil, fmt.Errorf("%%%s%% takes no argument: %q", name, arg)
	}
	return op, nil
}

// plainOperator finds an operator that takes no argument.
func plainOperator(name string) (operator, bool) {
	switch name {
	case "PROTOCOL":
		return func(s *scene) string { return s.env.Protocol }, true
	case "DOWNSTREAM_REMOTE_ADDRESS", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS":
		return func(s *scene) string { return s.env.RemoteAddr }, true
	case "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT":
		return func(s *scene) string { return hostOf(s.env.RemoteAddr) }, true
	case "DOWNSTREAM_REMOTE_PORT", "DOWNSTREAM_DIRECT_REMOTE_PORT":
		return func(s *scene) string { return portText(s.env.RemoteAddr) }, true
	case "DOWNSTREAM_LOCAL_ADDRESS":
		return func(s *scene) string { return s.env.LocalAddr }, true
	case "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT":
		return func(s *scene) string { return hostOf(s.env.LocalAddr) }, true
	case "DOWNSTREAM_LOCAL_PORT":
		return func(s *scene) string { return portText(s.env.LocalAddr) }, true
	case "UPSTREAM_HOST", "UPSTREAM_REMOTE_ADDRESS":
		return func(s *scene) string { return s.env.Upstream }, true
	case "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT":
		return func(s *scene) string { return hostOf(s.env.Upstream) }, true
	case "UPSTREAM_REMOTE_PORT":
		return func(s *scene) string { return portText(s.env.Upstream) }, true
	case "UPSTREAM_CLUSTER":
		return func(s *scene) string { return s.env.Cluster }, true
	case "ROUTE_NAME":
		return func(s *scene) string { return s.env.Route }, true
	case "RESPONSE_CODE":
		return func(s *scene) string {
			if s.env.ResponseCode == 0 {
				return ""
			}
			return strconv.Itoa(s.env.ResponseCode)
		}, true
	case "RESPONSE_FLAGS":
		return func(s *scene) string { return s.env.ResponseFlags }, true
	case "RESPONSE_CODE_DETAILS":
		return func(s *scene) string { return s.env.ResponseDetails }, true
	}
	return tlsOperator(name)
}

// tlsOperator finds an operator that tells about the caller's connection.
func tlsOperator(name string) (operator, bool) {
	state := func(get func(*tls.ConnectionState) string) operator {
		return func(s *scene) string {
			if s.env.TLS == nil {
				return ""
			}
			return get(s.env.TLS)
		}
	}
	peer := func(get func(*x509.Certificate) string) operator {
		return state(func(t *tls.ConnectionState) string {
			if len(t.PeerCertificates) == 0 {
				return ""
			}
			return get(t.PeerCertificates[0])
		})
	}
	local := func(get func(*x509.Certificate) string) operator {
		return func(s *scene) string {
			if s.env.LocalCertificate == nil {
				return ""
			}
			return get(s.env.LocalCertificate)
		}
	}
	switch name {
	case "REQUESTED_SERVER_NAME":
		return state(func(t *tls.ConnectionState) string { return t.ServerName }), true
	case "DOWNSTREAM_TLS_VERSION":
		return state(func(t *tls.ConnectionState) string {
			return strings.Replace(tls.VersionName(t.Version), "TLS 1", "TLSv1", 1)
		}), true
	case "DOWNSTREAM_TLS_CIPHER":
		return state(func(t *tls.ConnectionState) string { return tls.CipherSuiteName(t.CipherSuite) }), true
	case "DOWNSTREAM_PEER_URI_SAN":
		return peer(uriNames), true
	case "DOWNSTREAM_LOCAL_URI_SAN":
		return local(uriNames), true
	case "DOWNSTREAM_PEER_DNS_SAN":
		return peer(dnsNames), true
	case "DOWNSTREAM_LOCAL_DNS_SAN":
		return local(dnsNames), true
	case "DOWNSTREAM_PEER_SUBJECT":
		return peer(func(c *x509.Certificate) string { return c.Subject.String() }), true
	case "DOWNSTREAM_LOCAL_SUBJECT":
		return local(func(c *x509.Certificate) string { return c.Subject.String() }), true
	case "DOWNSTREAM_PEER_ISSUER":
		return peer(func(c *x509.Certificate) string { return c.Issuer.String() }), true
	case "DOWNSTREAM_PEER_SERIAL":
		return peer(func(c *x509.Certificate) string { return c.SerialNumber.Text(16) }), true
	case "DOWNSTREAM_PEER_FINGERPRINT_256":
		return peer(func(c *x509.Certificate) string {
			sum := sha256.Sum256(c.Raw)
			return hex.EncodeToString(sum[:])
		}), true
	case "DOWNSTREAM_PEER_FINGERPRINT_1":
		return peer(func(c *x509.Certificate) string {
			sum := sha1.Sum(c.Raw)
			return hex.EncodeToString(sum[:])
		}), true
	case "DOWNSTREAM_PEER_CERT":
		return peer(func(c *x509.Certificate) string {
			return url.QueryEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})))
		}), true
	case "DOWNSTREAM_PEER_CERT_V_START":
		return peer(func(c *x509.Certificate) string { return c.NotBefore.UTC().Format(time.RFC3339) }), true
	case "DOWNSTREAM_PEER_CERT_V_END":
		return peer(func(c *x509.Certificate) string { return c.NotAfter.UTC().Format(time.RFC3339) }), true
	}
	return nil, false
}

func uriNames(c *x509.Certificate) string {
	names := make([]string, len(c.URIs))
	for i, u := range c.URIs {
		names[i] = u.String()
	}
	return strings.Join(names, ",")
}

func dnsNames(c *x509.Certificate) string { return strings.Join(c.DNSNames, ",") }

// headerOperator compiles REQ(X), REQ(X?Y) and RESP(X).
func headerOperator(name, arg string) (operator, error) {
	main, other, _ := strings.Cut(arg, "?")
	if main == "" {
		return nil, fmt.Errorf("%%%s%% needs the name of a header: %%%s(x-name)%%", name, name)
	}
	read := func(key string) operator {
		if key == "" {
			return func(*scene) string { return "" }
		}
		if name == "RESP" {
			key = http.CanonicalHeaderKey(key)
			return func(s *scene) string { v, _ := first(s.response, key); return v }
		}
		switch f, key := headerField(key); f {
		case onMethod:
			return func(s *scene) string { return s.env.Request.Method }
		case onAuthority:
			return func(s *scene) string { return s.env.Request.Authority }
		case onScheme:
			return func(s *scene) string { return s.env.Request.Scheme }
		case onTarget:
			return func(s *scene) string { return s.env.Request.target() }
		default:
			return func(s *scene) string { v, _ := first(s.request, key); return v }
		}
	}
	a, b := read(main), read(other)
	return func(s *scene) string {
		if v := a(s); v != "" {
			return v
		}
		return b(s)
	}, nil
}

// hostOf is the address without its port, IPv6 without brackets.
func hostOf(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}

func portText(addr string) string {
	_, port, _ := net.SplitHostPort(addr) // no port: nothing
	return port
}
