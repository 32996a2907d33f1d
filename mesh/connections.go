package mesh

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/identity"
	"github.com/go-inmesh/inmesh/internal/answer"
	"github.com/go-inmesh/inmesh/internal/compile"
	"github.com/go-inmesh/inmesh/internal/registry"
	"github.com/go-inmesh/inmesh/route"
)

// Envoy's defaults for connections.
const (
	connectTimeout = 10 * time.Second
	idleTimeout    = time.Hour
)

// TLSTransport is a base transport that can speak TLS as a DestinationRule asks for. An *http.Transport can too,
// without this; every other base is refused for such rules.
type TLSTransport interface {
	http.RoundTripper
	// WithTLS is a transport that speaks TLS with the configuration; it is asked once for each cluster.
	WithTLS(config *tls.Config) http.RoundTripper
}

// connections are the ways from a cluster to its endpoints: the mesh's own pool, and what bases make for it.
type connections struct {
	mesh   *Mesh
	tls    *tls.Config // what the cluster's policy asks for; nil is plaintext
	tlsErr error       // why it cannot be had: every request is refused
	policy *networking.TrafficPolicy
	host   string
	h2c    bool

	own   atomic.Pointer[http.Transport] // HTTP/1, or what TLS agrees on
	http2 atomic.Pointer[http.Transport] // HTTP/2 without TLS
	appl  atomic.Pointer[http.Transport] // for requests that ask for https themselves
	bases sync.Map                       // *transport → http.RoundTripper: its base, speaking the cluster's TLS
	mu    sync.Mutex

	retired atomic.Bool
}

// retire closes what is idle, now and whenever a request ends after it.
func (c *connections) retire() {
	c.retired.Store(true)
	closeSoon(c)
}

func (c *connections) init(m *Mesh, spec *compile.Cluster) {
	c.mesh, c.policy, c.host = m, spec.Policy, spec.Host
	if s := spec.Service; s != nil {
		p, _ := s.Port(spec.Port)
		c.h2c = p.Protocol == registry.HTTP2 || p.Protocol == registry.GRPC
	}
	switch spec.Policy.GetConnectionPool().GetHttp().GetH2UpgradePolicy() {
	case networking.ConnectionPoolSettings_HTTPSettings_UPGRADE:
		c.h2c = true
	case networking.ConnectionPoolSettings_HTTPSettings_DO_NOT_UPGRADE:
	}
	settings := spec.Policy.GetTls()
	if settings == nil {
		return
	}
	client := identity.Client{Settings: settings, Source: m.options.Identity, Host: spec.Host,
		SNI: fmt.Sprintf("outbound_.%d_.%s_.%s", spec.Port, spec.Subset, spec.Host)}
	if strings.HasPrefix(client.Host, "*") {
		client.Host = ""
	}
	if s := spec.Service; s != nil {
		client.SubjectAltNames = s.SubjectAltNames
	}
	c.tls, c.tlsErr = client.Config()
}

// protocol tells whether requests share connections. gRPC cannot do without HTTP/2, whatever the port is called.
func (c *connections) protocol(grpc bool) breaker.Protocol {
	return breaker.Protocol(c.h2c || grpc)
}

// upstream is what carries a request to an endpoint, and the scheme that it is sent with.
func (c *connections) upstream(t *transport, scheme string, grpc bool) (http.RoundTripper, string, error) {
	switch {
	case c.tlsErr != nil:
		return nil, "", noTLS(c.tlsErr)
	case c.tls != nil && t.base == nil:
		return c.transport(&c.own, c.tls), "https", nil
	case c.tls != nil:
		rt, err := c.withTLS(t, c.tls)
		return rt, "https", err
	case scheme == "https" && t.base == nil:
		return c.transport(&c.appl, c.application()), "https", nil
	case scheme == "https" && isTransport(t.base):
		rt, err := c.withTLS(t, nil) // the address is an endpoint's: the name to verify has to be told
		return rt, "https", err
	case t.base != nil:
		return t.base, scheme, nil
	case c.h2c || grpc:
		return c.transport(&c.http2, nil), "http", nil
	}
	return c.transport(&c.own, nil), "http", nil
}

// application is the TLS of requests that ask for https themselves: the host's own certificate is verified.
func (c *connections) application() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName(c.host)}
}

func isTransport(base http.RoundTripper) bool {
	_, ok := base.(*http.Transport)
	return ok
}

// serverName is the name to verify where requests ask for https themselves; a wildcard's comes with the request.
func serverName(host string) string {
	if strings.HasPrefix(host, "*") {
		return ""
	}
	return host
}

// withTLS has the base speak TLS, made once for each cluster: with the configuration, or with its own and the cluster's
// name where that is nil.
func (c *connections) withTLS(t *transport, conf *tls.Config) (http.RoundTripper, error) {
	if rt, ok := c.bases.Load(t); ok {
		return rt.(http.RoundTripper), nil
	}
	var rt http.RoundTripper
	switch b := t.base.(type) {
	case TLSTransport:
		rt = b.WithTLS(conf.Clone())
	case *http.Transport:
		own := b.Clone()
		if own.ForceAttemptHTTP2 = true; conf != nil {
			own.TLSClientConfig = conf.Clone()
		} else {
			if own.TLSClientConfig == nil {
				own.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
			}
			own.TLSClientConfig.ServerName = serverName(c.host)
		}
		rt = own
	default:
		return nil, noTLS(fmt.Errorf("the base transport %T cannot speak TLS as the DestinationRule asks", t.base))
	}
	made, loaded := c.bases.LoadOrStore(t, rt)
	if loaded {
		closeIdle(rt)
	}
	return made.(http.RoundTripper), nil
}

func canTLS(base http.RoundTripper) bool {
	switch base.(type) {
	case nil, TLSTransport, *http.Transport:
		return true
	}
	return false
}

func noTLS(err error) error {
	return &answer.Error{Sentinel: route.ErrUpstreamFailure, Flag: answer.UpstreamFailure, Status: http.StatusServiceUnavailable,
		Details: "upstream_reset_before_response_started{remote_connection_failure}", Cause: err,
		Body: "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: " + err.Error()}
}

// transport makes a pool at the first request.
func (c *connections) transport(p *atomic.Pointer[http.Transport], conf *tls.Config) *http.Transport {
	if t := p.Load(); t != nil {
		return t
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := p.Load(); t != nil {
		return t
	}
	t := c.mesh.newTransport(c.policy, conf)
	if p == &c.http2 {
		t.Protocols = new(http.Protocols)
		t.Protocols.SetUnencryptedHTTP2(true)
	}
	p.Store(t)
	return t
}

// newTransport is an http.Transport that behaves as the connection pool settings say.
func (m *Mesh) newTransport(policy *networking.TrafficPolicy, conf *tls.Config) *http.Transport {
	tcp, settings := policy.GetConnectionPool().GetTcp(), policy.GetConnectionPool().GetHttp()
	dial := m.options.Dial
	if dial == nil {
		dialer := &net.Dialer{Timeout: orDefault(tcp.GetConnectTimeout(), connectTimeout), KeepAlive: -1}
		if k := tcp.GetTcpKeepalive(); k != nil {
			dialer.KeepAliveConfig = net.KeepAliveConfig{Enable: true, Idle: k.GetTime().AsDuration(),
				Interval: k.GetInterval().AsDuration(), Count: int(k.GetProbes())}
		}
		dial = dialer.DialContext
	}
	idle := idleTimeout
	if d := cmp.Or(settings.GetIdleTimeout(), tcp.GetIdleTimeout()); d != nil {
		idle = d.AsDuration() // 0 is no limit, for both
	}
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if path, ok := unixPath(addr); ok {
				network, addr = "unix", path
			}
			return dial(ctx, network, addr)
		},
		TLSClientConfig:     conf,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: orDefault(tcp.GetConnectTimeout(), connectTimeout),
		MaxIdleConnsPerHost: 1 << 16, // limits are the pool's, per cluster
		IdleConnTimeout:     idle,
		DisableCompression:  true, // bodies pass as they are
		DisableKeepAlives:   settings.GetMaxRequestsPerConnection() == 1,
		// As http.DefaultTransport: a server that has not answered "Expect: 100-continue" by then gets the body.
		ExpectContinueTimeout: time.Second,
	}
	return t
}

func orDefault(d *durationpb.Duration, def time.Duration) time.Duration {
	if d == nil {
		return def
	}
	return d.AsDuration()
}

// CloseIdleConnections closes what is idle in all pools of the cluster.
func (c *connections) CloseIdleConnections() {
	for _, p := range []*atomic.Pointer[http.Transport]{&c.own, &c.http2, &c.appl} {
		if t := p.Load(); t != nil {
			t.CloseIdleConnections()
		}
	}
	c.bases.Range(func(_, rt any) bool {
		closeIdle(rt.(http.RoundTripper))
		return true
	})
}

// settling is how long a connection of HTTP/2 may still seem to be in use after its last answer was read.
const settling = 20 * time.Millisecond

// closeSoon closes what is idle, and what is about to be.
func closeSoon(c interface{ CloseIdleConnections() }) {
	c.CloseIdleConnections()
	time.AfterFunc(settling, c.CloseIdleConnections)
}

// closeIdle passes the wish on to a transport that knows it.
func closeIdle(rt http.RoundTripper) {
	if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// cutUnix is the path in "unix:///run/app.sock" and "unix:/run/app.sock"; "unix:@name" is an abstract socket.
func cutUnix(address string) (path string, ok bool) {
	rest, ok := strings.CutPrefix(address, "unix:")
	if !ok {
		return "", false
	}
	if strings.HasPrefix(rest, "//") {
		rest = rest[2:]
	}
	return rest, true
}

// unixPath finds the path of a unix socket in what net/http dials: it adds a port to every address.
func unixPath(addr string) (string, bool) {
	if !strings.HasPrefix(addr, "/") && !strings.HasPrefix(addr, "@") {
		return "", false
	}
	if i := strings.LastIndexByte(addr, ':'); i > 0 {
		addr = addr[:i]
	}
	return addr, true
}
