package route

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

func TestTemplate(t *testing.T) {
	id, err := url.Parse("spiffe://cluster.local/ns/a/sa/b")
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		URIs: []*url.URL{id}, DNSNames: []string{"a.com", "b.com"}, SerialNumber: big.NewInt(255), Raw: []byte("x"),
		Subject: pkix.Name{CommonName: "peer"}, Issuer: pkix.Name{CommonName: "ca"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(3600, 0),
	}
	env := &HeaderEnv{
		Request:    Request{Method: "GET", Scheme: "http", Authority: "a.com", Path: "/p", RawQuery: "q=1"},
		RemoteAddr: "[2001:db8::1]:4000", LocalAddr: "10.0.0.2:80",
		TLS:              &tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, ServerName: "a.com", PeerCertificates: []*x509.Certificate{cert}},
		LocalCertificate: cert, Protocol: "HTTP/2", Start: time.Date(2026, 2, 3, 4, 5, 6, 789_123_456, time.UTC),
		Upstream: "10.0.0.3:9080", Cluster: "outbound|9080||reviews", Route: "r1", ResponseCode: 503, ResponseFlags: "UH", ResponseDetails: "no_healthy_upstream",
	}
	host, err := os.Hostname()
	if err != nil {
		t.Skip("no hostname: ", err)
	}
	t.Setenv("INMESH_TEST_ZONE", "z1")
	for src, want := range map[string]string{
		"":                                         "",
		"plain":                                    "plain",
		"100%%":                                    "100%",
		"%%REQ(x)%%":                               "%REQ(x)%",
		"%REQ(x-user)%":                            "me,you",
		"a-%REQ(X-USER):2%-b":                      "a-me-b",
		"%REQ(x-none)%":                            "",
		"%REQ(x-none?x-other)%":                    "o",
		"%REQ(x-user?x-other)%":                    "me,you",
		"%REQ(:METHOD)% %REQ(:path)%":              "GET /p?q=1",
		"%REQ(:scheme)%://%REQ(host)%":             "http://a.com",
		"%REQ(x-evil)%":                            "ab",
		"%RESP(x-user)%":                           "",
		"%PROTOCOL%":                               "HTTP/2",
		"%DOWNSTREAM_REMOTE_ADDRESS%":              "[2001:db8::1]:4000",
		"%DOWNSTREAM_REMOTE_PORT%":                 "4000",
		"%DOWNSTREAM_LOCAL_ADDRESS%":               "10.0.0.2:80",
		"%DOWNSTREAM_LOCAL_PORT%":                  "80",
		"%DOWNSTREAM_PEER_URI_SAN%":                id.String(),
		"%DOWNSTREAM_LOCAL_URI_SAN%":               id.String(),
		"%DOWNSTREAM_PEER_DNS_SAN%":                "a.com,b.com",
		"%DOWNSTREAM_PEER_SUBJECT%":                "CN=peer",
		"%DOWNSTREAM_PEER_ISSUER%":                 "CN=ca",
		"%DOWNSTREAM_PEER_SERIAL%":                 "ff",
		"%DOWNSTREAM_PEER_CERT_V_START%":           "1970-01-01T00:00:00Z",
		"%DOWNSTREAM_PEER_CERT_V_END%":             "1970-01-01T01:00:00Z",
		"%DOWNSTREAM_TLS_VERSION%":                 "TLSv1.3",
		"%DOWNSTREAM_TLS_CIPHER%":                  "TLS_AES_128_GCM_SHA256",
		"%REQUESTED_SERVER_NAME%":                  "a.com",
		"%UPSTREAM_HOST%":                          "10.0.0.3:9080",
		"%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%":   "10.0.0.3",
		"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%": "2001:db8::1",
		"%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%":  "10.0.0.2",
		"%DOWNSTREAM_PEER_FINGERPRINT_256%":        "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
		"%DOWNSTREAM_PEER_FINGERPRINT_1%":          "11f6ad8ec52a2984abaafd7c3b516503785c2072",
		"%DOWNSTREAM_PEER_CERT%":                   "-----BEGIN+CERTIFICATE-----%0AeA%3D%3D%0A-----END+CERTIFICATE-----%0A",
		"%UPSTREAM_CLUSTER%":                       "outbound|9080||reviews",
		"%ROUTE_NAME%":                             "r1",
		"%RESPONSE_CODE% %RESPONSE_FLAGS%":         "503 UH",
		"%RESPONSE_CODE_DETAILS%":                  "no_healthy_upstream",
		"%HOSTNAME%":                               host,
		"%ENVIRONMENT(INMESH_TEST_ZONE)%":          "z1",
		"%START_TIME%":                             "2026-02-03T04:05:06.789Z",
		"%START_TIME(%Y/%m/%d %H:%M:%S.%3f %Z)%":   "2026/02/03 04:05:06.789 UTC",
		"%START_TIME(%s.%f|%3s|%F %T|%%)%":         "1770091506.789123456|1770091506789|2026-02-03 04:05:06|%",
	} {
		t.Run(src, func(t *testing.T) {
			tmpl, err := parseTemplate(src)
			if err != nil {
				t.Fatal(err)
			}
			h := http.Header{"X-User": {"me", "you"}, "X-Other": {"o"}, "X-Evil": {"a\r\nb"}}
			if got := tmpl.format(h, env, false); got != want {
				t.Errorf("%q, want %q", got, want)
			}
			if got := tmpl.format(http.Header{}, nil, true); strings.Contains(got, "GET") {
				t.Errorf("without an environment: %q", got)
			}
		})
	}
}

func TestTemplateErrors(t *testing.T) {
	for src, want := range map[string]string{
		"50%":                    "operator",
		"%":                      "operator",
		"%REQ(x)":                "not closed",
		"%REQ(x":                 "not closed",
		"%REQ()%":                "name of a header",
		"%REQ%":                  "name of a header",
		"%REQ(x):0%":             "length",
		"%REQ(x):a%":             "length",
		"%REQ(x):3":              "not closed",
		"%DYNAMIC_METADATA(a)%":  "DYNAMIC_METADATA",
		"%NO_SUCH_THING%":        "NO_SUCH_THING",
		"%PROTOCOL(x)%":          "no argument",
		"%ENVIRONMENT%":          "variable",
		"%START_TIME(%Q)%":       "%Q",
		"%START_TIME(%)%":        "%",
		"%start_time%":           "operator",
		"%DOWNSTREAM_PEER_NONE%": "DOWNSTREAM_PEER_NONE",
	} {
		_, err := parseTemplate(src)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", src, err, want)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"a%%b", "%REQ(x?y):3%", "%START_TIME(%Y %3f)%", "%", "%%%", "%REQ(%REQ(x)%)%", "%HOSTNAME%-"} {
		f.Add(s, "v")
	}
	f.Fuzz(func(t *testing.T, src, v string) {
		tmpl, err := parseTemplate(src)
		if err != nil {
			return
		}
		got := tmpl.format(http.Header{"X": {v}}, &HeaderEnv{Start: time.Unix(0, 0)}, false)
		if len(tmpl.parts) > 0 && strings.ContainsAny(got, "\r\n\x00") {
			t.Fatalf("%q with %q gives %q, which no header may have", src, v, got)
		}
		if !strings.Contains(src, "%") && got != src {
			t.Fatalf("%q becomes %q", src, got)
		}
	})
}
