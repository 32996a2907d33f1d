package mesh

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/identity"
	"github.com/go-inmesh/inmesh/internal/answer"
	"github.com/go-inmesh/inmesh/internal/compile"
	"github.com/go-inmesh/inmesh/internal/connpool"
	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/route"
)

// connections are the ways from a cluster to its endpoints: the mesh's own pools, and what bases make for it.
type connections struct {
	mesh   *Mesh
	tls    *tls.Config // what the cluster's policy asks for; nil is plaintext
	tlsErr error       // why it cannot be had: every request is refused
	policy *networking.TrafficPolicy
	limits *breaker.Pool
	host   string

	http2  bool // the service's port says so, or h2UpgradePolicy
	http1  bool // h2UpgradePolicy does not want HTTP/2 even where TLS would agree on it
	follow bool // useClientProtocol: as the request came in

	ways    [2 * kinds]*connpool.Way // made at the first request, those of health checks last; under mu
	direct  sync.Map                 // address → *lanes, where the caller's own address is used
	probes  sync.Map                 // address → *lanes, of health checks
	bases   sync.Map                 // *transport → http.RoundTripper: its base, speaking the cluster's TLS
	mu      sync.Mutex
	open    map[*lanes]struct{} // those that have pools
	retired atomic.Bool
}

// kind says which of an endpoint's connections a request wants.
type kind uint8

// The kinds of connections; with TLS where the cluster's policy asks for it, but for the last two.
const (
	alone         kind = iota // HTTP/1.1: one request at a time
	shared                    // HTTP/2, over TLS where the server offers it
	alonePrivate              // as alone, with TLS that the application asks for itself
	sharedPrivate             // as shared, with TLS that the application asks for itself
	kinds
)

// init takes the cluster's settings; accounts are the identities that its endpoints may have now.
func (c *connections) init(m *Mesh, spec *compile.Cluster, limits *breaker.Pool, accounts func() []string) {
	c.mesh, c.policy, c.limits, c.host, c.open = m, spec.Policy, limits, spec.Host, map[*lanes]struct{}{}
	if s := spec.Service; s != nil {
		p, _ := s.Port(spec.Port)
		c.http2 = p.Protocol == registry.HTTP2 || p.Protocol == registry.GRPC
	}
	pool := spec.Policy.GetConnectionPool().GetHttp()
	c.follow = pool.GetUseClientProtocol()
	switch pool.GetH2UpgradePolicy() {
	case networking.ConnectionPoolSettings_HTTPSettings_UPGRADE:
		c.http2 = true
	case networking.ConnectionPoolSettings_HTTPSettings_DO_NOT_UPGRADE:
		c.http1 = !c.http2
	case networking.ConnectionPoolSettings_HTTPSettings_DEFAULT:
	}
	settings := spec.Policy.GetTls()
	if settings == nil {
		return
	}
	client := identity.Client{Settings: settings, Source: m.options.Identity, Host: spec.Host, Accounts: accounts,
		SNI: fmt.Sprintf("outbound_.%d_.%s_.%s", spec.Port, spec.Subset, spec.Host)}
	if strings.HasPrefix(client.Host, "*") {
		client.Host = ""
	}
	if s := spec.Service; s != nil {
		client.SubjectAltNames = s.SubjectAltNames
	}
	c.tls, c.tlsErr = client.Config()
}

// shares tells whether a request shares its connection with others, as far as that is for us to say. gRPC cannot do
// without HTTP/2, whatever the port is called, and an upgrade not with it. in is the request that came in, if any did.
func (c *connections) shares(req, in *http.Request, secured bool) bool {
	switch {
	case len(req.Header["Upgrade"]) > 0:
		return false
	case answer.IsGRPC(req.Header):
		return true
	case c.follow:
		return in != nil && in.ProtoMajor >= 2
	case secured:
		return !c.http1
	}
	return c.http2
}

// protocol is shares for the limits of requests over a base, which does not tell what it speaks.
func (c *connections) protocol(req, in *http.Request) breaker.Protocol {
	return breaker.Protocol(c.shares(req, in, false))
}

// upstream is what carries a request to an endpoint: connections of our own, or a base.
type upstream struct {
	kind   kind
	base   http.RoundTripper // nil: our own
	scheme string            // that the request is sent with
}

// upstream finds what carries a request.
func (c *connections) upstream(t *transport, scheme string, req, in *http.Request) (upstream, error) {
	switch {
	case c.tlsErr != nil:
		return upstream{}, noTLS(c.tlsErr)
	case c.tls != nil && t.base != nil:
		rt, err := c.withTLS(t, c.tls)
		return upstream{base: rt, scheme: "https"}, err
	case scheme == "https" && isTransport(t.base):
		rt, err := c.withTLS(t, nil) // the address is an endpoint's: the name to verify has to be told
		return upstream{base: rt, scheme: "https"}, err
	case t.base != nil:
		return upstream{base: t.base, scheme: scheme}, nil
	}
	secured := c.tls != nil
	up := upstream{kind: alone, scheme: "http"}
	if secured {
		up.scheme = "https"
	} else if scheme == "https" {
		up.kind, up.scheme, secured = alonePrivate, "https", true
	}
	if c.shares(req, in, secured) {
		up.kind++
	}
	return up, nil
}

// application is the TLS of requests that ask for https themselves: the host's own certificate is verified.
func (c *connections) application() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName(c.host)}
}

// serverName is the name to verify where requests ask for https themselves; a wildcard's comes with the request.
func serverName(host string) string {
	if strings.HasPrefix(host, "*") {
		return ""
	}
	return host
}

func noTLS(err error) error {
	return &answer.Error{Sentinel: route.ErrUpstreamFailure, Flag: answer.UpstreamFailure, Status: http.StatusServiceUnavailable,
		Details: "upstream_reset_before_response_started{remote_connection_failure}", Cause: err,
		Body: "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: " + err.Error()}
}
