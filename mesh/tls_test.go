package mesh_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
	"github.com/go-inmesh/inmesh/route"
)

// listenTLS runs a server with a certificate that answers with protocol, SNI and client. It asks for a client's
// certificate of the authority, if there is one.
func listenTLS(t *testing.T, cert tls.Certificate, clients *authority) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s %s", r.Proto, r.TLS.ServerName, who(r.TLS))
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if clients != nil {
		server.TLS.ClientAuth, server.TLS.ClientCAs = tls.RequireAndVerifyClientCert, clients.pool()
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestTLSOrigination(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	certFile, keyFile := ca.pair(t, "client.test")
	plain := listenTLS(t, ca.issue(t, "a.com"), nil)
	elsewhere := listenTLS(t, ca.issue(t, "b.com", "spiffe://cluster.local/ns/default/sa/b"), nil)
	mutual := listenTLS(t, ca.issue(t, "a.com"), ca)
	public := listenTLS(t, trusted.issue(t, "a.com"), nil)
	tests := []struct{ name, addr, tls, want string }{
		{"SIMPLE", plain, "mode: SIMPLE, caCertificates: " + ca.file, "HTTP/2.0 a.com nobody"},
		{"SIMPLE, sni", plain, "mode: SIMPLE, sni: sni.test, caCertificates: " + ca.file, "HTTP/2.0 sni.test nobody"},
		{"SIMPLE, the system's roots", public, "mode: SIMPLE", "HTTP/2.0 a.com nobody"},
		{"SIMPLE, not among the system's roots", plain, "mode: SIMPLE", "503 UF"},
		{"SIMPLE, wrong authority", plain, "mode: SIMPLE, caCertificates: " + other.file, "503 UF"},
		{"SIMPLE, wrong name", elsewhere, "mode: SIMPLE, caCertificates: " + ca.file, "503 UF"},
		{"SIMPLE, listed name", elsewhere, "mode: SIMPLE, subjectAltNames: [b.com], caCertificates: " + ca.file, "HTTP/2.0 a.com nobody"},
		{"SIMPLE, listed URI", elsewhere, "mode: SIMPLE, subjectAltNames: [\"spiffe://cluster.local/ns/default/sa/b\"], caCertificates: " + ca.file, "HTTP/2.0 a.com nobody"},
		{"SIMPLE, name not listed", plain, "mode: SIMPLE, subjectAltNames: [c.com], caCertificates: " + ca.file, "503 UF"},
		{"SIMPLE, anything goes", elsewhere, "mode: SIMPLE, insecureSkipVerify: true", "HTTP/2.0 a.com nobody"},
		{"SIMPLE, no client certificate", mutual, "mode: SIMPLE, caCertificates: " + ca.file, "503 UC"}, // TLS 1.3 tells after the handshake
		{"MUTUAL", mutual, "mode: MUTUAL, clientCertificate: " + certFile + ", privateKey: " + keyFile + ", caCertificates: " + ca.file, "HTTP/2.0 a.com client.test"},
		{"DISABLE to a TLS server", plain, "mode: DISABLE", "400"},
	}
	for _, tt := range tests {
		for _, base := range []http.RoundTripper{nil, &http.Transport{}} {
			t.Run(fmt.Sprintf("%s, base %T", tt.name, base), func(t *testing.T) {
				m := open(t, rules(entry("a.com", tt.addr), destination("a.com", "trafficPolicy: {tls: {"+tt.tls+"}}"),
					virtual("a.com", "[{retries: {attempts: 0}, route: [{destination: {host: a.com}}]}]")), nil)
				client := clientOf(m, base)
				defer client.CloseIdleConnections()
				got := meshtest.Do(t, client, "GET", "http://a.com/")
				switch {
				case got.Err != nil && verdict(got.Err) != tt.want, got.Err == nil && got.Body != tt.want && fmt.Sprint(got.Code) != tt.want:
					t.Errorf("got %+v, want %s", got, tt.want)
				}
				if strings.HasSuffix(tt.want, "UF") && !errors.Is(got.Err, route.ErrUpstreamFailure) {
					t.Errorf("%v is not an upstream failure", got.Err)
				}
			})
		}
	}
}

// What the rules ask for and cannot be had is refused, never sent in the clear.
func TestTLSThatCannotBeHad(t *testing.T) {
	for name, spec := range map[string]string{
		"no identity":          "mode: ISTIO_MUTUAL",
		"no such CA file":      "mode: SIMPLE, caCertificates: /does/not/exist.pem",
		"no such certificate":  "mode: MUTUAL, clientCertificate: /does/not/exist.pem, privateKey: /does/not/exist.key",
		"a Kubernetes secret":  "mode: SIMPLE, credentialName: secret",
		"a base without a way": "mode: SIMPLE",
	} {
		t.Run(name, func(t *testing.T) {
			m := open(t, rules(entry("a.com", "10.0.0.1"), destination("a.com", "trafficPolicy: {tls: {"+spec+"}}")), nil)
			got := meshtest.Do(t, clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("in the clear")}), "GET", "http://a.com/")
			if !errors.Is(got.Err, route.ErrUpstreamFailure) {
				t.Errorf("got %+v, want a refusal", got)
			}
		})
	}
}

// Rules that ask for TLS are refused as a whole where a base is in use that cannot do it.
func TestTLSUpdateOverABaseWithout(t *testing.T) {
	m := open(t, entry("a.com", "10.0.0.1"), nil)
	client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("before")})
	err := m.Update(meshtest.Rules(t, rules(entry("a.com", "10.0.0.1"), destination("a.com", "trafficPolicy: {tls: {mode: SIMPLE}}"))))
	if err == nil || !strings.Contains(err.Error(), "meshtest.Fleet") {
		t.Errorf("got %v, want a refusal that names the base", err)
	}
	if got := meshtest.Do(t, client, "GET", "http://a.com/"); got.Body != "before" {
		t.Errorf("got %+v, want the rules before", got)
	}
}

// able is a base of the user's own that can speak TLS.
type able struct {
	meshtest.Fleet
	asked *[]string
}

func (a able) WithTLS(conf *tls.Config) http.RoundTripper {
	*a.asked = append(*a.asked, conf.ServerName)
	return a.Fleet
}

func TestTLSTransport(t *testing.T) {
	m := open(t, rules(entry("a.com", "10.0.0.1"), destination("a.com", "trafficPolicy: {tls: {mode: SIMPLE}}")), nil)
	var asked []string
	client := clientOf(m, able{meshtest.Fleet{"10.0.0.1:80": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Host)
	})}, &asked})
	for range 3 {
		if got := meshtest.Do(t, client, "GET", "http://a.com/"); got.Body != "a.com" {
			t.Errorf("got %+v", got)
		}
	}
	if len(asked) != 1 || asked[0] != "a.com" {
		t.Errorf("asked for TLS to %v, want once to a.com", asked)
	}
}

// Requests that ask for https themselves verify the host's own certificate, whatever address is behind it.
func TestTLSOfTheApplication(t *testing.T) {
	good, bad := listenTLS(t, trusted.issue(t, "a.com"), nil), listenTLS(t, trusted.issue(t, "b.com"), nil)
	dns := func(addr string) string {
		_, port, _ := net.SplitHostPort(addr)
		return fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec: {hosts: [a.com], ports: [{number: 443, name: https, protocol: HTTPS, targetPort: %s}], resolution: DNS}
`, port)
	}
	lookup := func(_ context.Context, host string) ([]string, error) {
		if host != "a.com" {
			return nil, errors.New("no such host")
		}
		return []string{"127.0.0.1"}, nil
	}
	none := "" // ALLOW_ANY: nothing names the host
	tests := []struct{ name, rules, url, want string }{
		{"DNS", dns(good), "https://a.com/", "HTTP/2.0 a.com nobody"},
		{"DNS, wrong name", dns(bad), "https://a.com/", "503 UF,URX"},
		{"static", entryPort("a.com", 443, "https", good), "https://a.com/", "HTTP/2.0 a.com nobody"},
		{"static, wrong name", entryPort("a.com", 443, "https", bad), "https://a.com/", "503 UF,URX"},
		{"passthrough, wrong name", none, "https://" + bad + "/", "503 UF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := meshtest.Do(t, clientOf(open(t, tt.rules, &mesh.Options{LookupHost: lookup}), nil), "GET", tt.url)
			if got.Err != nil && verdict(got.Err) != tt.want || got.Err == nil && got.Body != tt.want {
				t.Errorf("got %+v, want %s", got, tt.want)
			}
		})
	}
	t.Run("over a base", func(t *testing.T) {
		base := &http.Transport{TLSHandshakeTimeout: 5 * time.Second}
		defer base.CloseIdleConnections()
		client := clientOf(open(t, entryPort("a.com", 443, "https", good), nil), base)
		defer client.CloseIdleConnections()
		if got := meshtest.Do(t, client, "GET", "https://a.com/"); got.Body != "HTTP/2.0 a.com nobody" {
			t.Errorf("got %+v", got)
		}
	})
}
