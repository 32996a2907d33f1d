package mesh_test

import (
	"crypto"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
	"github.com/go-inmesh/inmesh/route"
)

// identitySource is one SVID and one bundle.
type identitySource struct {
	svid   *x509svid.SVID
	bundle *x509bundle.Bundle
}

func (s identitySource) GetX509SVID() (*x509svid.SVID, error) { return s.svid, nil }

func (s identitySource) GetX509BundleForTrustDomain(td spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	return s.bundle.GetX509BundleForTrustDomain(td)
}

const accountsRules = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: {HOST}, ports: {http: {PORT}}, serviceAccount: {ACCOUNT}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}
`

// A server that the trust domain vouches for is still not the service, unless it has one of its accounts.
func TestIstioMutualKnowsTheServiceAccounts(t *testing.T) {
	ca := newAuthority(t)
	addr := listenTLS(t, ca.issue(t, "spiffe://cluster.local/ns/default/sa/reviews"), ca)
	port := addr[strings.LastIndexByte(addr, ':')+1:]
	own := ca.issue(t, "spiffe://cluster.local/ns/default/sa/web")
	td := spiffeid.RequireTrustDomainFromString("cluster.local")
	source := identitySource{
		svid: &x509svid.SVID{ID: spiffeid.RequireFromString("spiffe://cluster.local/ns/default/sa/web"), Certificates: []*x509.Certificate{own.Leaf},
			PrivateKey: own.PrivateKey.(crypto.Signer)},
		bundle: x509bundle.FromX509Authorities(td, []*x509.Certificate{ca.cert}),
	}
	for account, ok := range map[string]bool{"reviews": true, "somebody-else": false} {
		t.Run(account, func(t *testing.T) {
			rules := strings.NewReplacer("{HOST}", "127.0.0.1", "{PORT}", port, "{ACCOUNT}", account).Replace(accountsRules)
			m := meshtest.NewWith(t, rules, &mesh.Options{Identity: source})
			got := meshtest.Do(t, &http.Client{Transport: m.Transport(nil)}, "GET", "http://reviews/")
			switch {
			case ok && !strings.HasSuffix(got.Body, " spiffe://cluster.local/ns/default/sa/web"):
				t.Errorf("got %+v, want an answer that names us", got)
			case !ok && !errors.Is(got.Err, route.ErrUpstreamFailure):
				t.Errorf("got %+v, want a refusal", got)
			}
		})
	}
}
