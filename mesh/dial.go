package mesh

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/connpool"
)

// Envoy's defaults for connections.
const (
	connectTimeout = 10 * time.Second
	idleTimeout    = time.Hour
)

// way is how the cluster's endpoints are connected to, as the connection pool settings say. The caller holds the lock.
//
// See https://istio.io/latest/docs/reference/config/networking/destination-rule/#ConnectionPoolSettings.
func (c *connections) way(k kind, probes bool) *connpool.Way {
	made := &c.ways[k]
	if probes {
		made = &c.ways[kinds+k]
	}
	if *made != nil {
		return *made
	}
	tcp, http := c.policy.GetConnectionPool().GetTcp(), c.policy.GetConnectionPool().GetHttp()
	s := connpool.Settings{
		Dial:           c.mesh.dialer(tcp),
		TLS:            c.tls,
		ConnectTimeout: orDefault(tcp.GetConnectTimeout(), connectTimeout),
		IdleTimeout:    orDefault(cmp.Or(http.GetIdleTimeout(), tcp.GetIdleTimeout()), idleTimeout), // 0 is no limit, for both
		MaxDuration:    tcp.GetMaxConnectionDuration().AsDuration(),
		MaxRequests:    int64(http.GetMaxRequestsPerConnection()),
		MaxStreams:     int64(http.GetMaxConcurrentStreams()),
		PingInterval:   http.GetHttp2KeepAlive().GetInterval().AsDuration(),
		PingTimeout:    http.GetHttp2KeepAlive().GetTimeout().AsDuration(),
		Life:           c.mesh.life,
		Start:          c.mesh.start,
	}
	if k >= alonePrivate {
		s.TLS = c.application()
	}
	switch {
	case k == alone || k == alonePrivate:
		s.Protocol = connpool.HTTP1
	case s.TLS != nil:
		s.Protocol = connpool.Negotiated
	default:
		s.Protocol = connpool.HTTP2
	}
	if !probes {
		s.Limits = c.limits
	}
	*made = connpool.NewWay(s)
	return *made
}

// dialer connects to endpoints, as the options and the settings say.
func (m *Mesh) dialer(tcp *networking.ConnectionPoolSettings_TCPSettings) func(ctx context.Context, network, address string) (net.Conn, error) {
	if m.options.Dial != nil {
		return m.options.Dial
	}
	dialer := &net.Dialer{KeepAlive: -1}
	if k := tcp.GetTcpKeepalive(); k != nil {
		dialer.KeepAliveConfig = net.KeepAliveConfig{Enable: true, Idle: ofSystem(k.GetTime()), Interval: ofSystem(k.GetInterval()), Count: -1}
		if n := k.GetProbes(); n > 0 {
			dialer.KeepAliveConfig.Count = int(n)
		}
	}
	return dialer.DialContext
}

// ofSystem is the duration as a KeepAliveConfig has it: what is not set is the system's own.
func ofSystem(d *durationpb.Duration) time.Duration {
	if d.AsDuration() <= 0 {
		return -1
	}
	return d.AsDuration()
}

// newPassthrough is what carries requests to hosts that no rule names.
func (m *Mesh) newPassthrough() *http.Transport {
	dial := m.dialer(nil)
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, connectTimeout)
			defer cancel()
			return dial(ctx, network, address)
		},
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   connectTimeout,
		MaxIdleConnsPerHost:   1 << 16,
		IdleConnTimeout:       idleTimeout,
		DisableCompression:    true, // bodies pass as they are
		ExpectContinueTimeout: time.Second,
	}
}

func orDefault(d *durationpb.Duration, def time.Duration) time.Duration {
	if d == nil {
		return def
	}
	return d.AsDuration()
}

// cutUnix is the path in "unix:///run/app.sock" and "unix:/run/app.sock"; "unix:@name" is an abstract socket.
func cutUnix(address string) (path string, ok bool) {
	path, ok = strings.CutPrefix(address, "unix:")
	return strings.TrimPrefix(path, "//"), ok
}

// isPath tells whether an endpoint's address is a unix socket's.
func isPath(address string) bool {
	return strings.HasPrefix(address, "/") || strings.HasPrefix(address, "@")
}
