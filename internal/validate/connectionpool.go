package validate

import (
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// ConnectionPool judges connection pool limits.
func ConnectionPool(fs *finding.Faults, path string, c *networking.ConnectionPoolSettings) {
	if c == nil {
		return
	}
	if c.Http == nil && c.Tcp == nil {
		fs.Errorf(path, "the settings are empty, want tcp or http")
	}
	httpPool(fs, finding.Join(path, "http"), c.Http)
	tcpPool(fs, finding.Join(path, "tcp"), c.Tcp)
}

func httpPool(fs *finding.Faults, path string, h *networking.ConnectionPoolSettings_HTTPSettings) {
	if h == nil {
		return
	}
	notNegative(fs, finding.Join(path, "http1MaxPendingRequests"), h.Http1MaxPendingRequests)
	notNegative(fs, finding.Join(path, "http2MaxRequests"), h.Http2MaxRequests)
	notNegative(fs, finding.Join(path, "maxRequestsPerConnection"), h.MaxRequestsPerConnection)
	notNegative(fs, finding.Join(path, "maxRetries"), h.MaxRetries)
	notNegative(fs, finding.Join(path, "maxConcurrentStreams"), h.MaxConcurrentStreams)
	Duration(fs, finding.Join(path, "idleTimeout"), h.IdleTimeout)
	enum(fs, finding.Join(path, "h2UpgradePolicy"), h.H2UpgradePolicy)
	if h.H2UpgradePolicy == networking.ConnectionPoolSettings_HTTPSettings_UPGRADE && h.UseClientProtocol {
		fs.Errorf(finding.Join(path, "useClientProtocol"), "true while h2UpgradePolicy is UPGRADE, want one of them")
	}
	if k := h.Http2KeepAlive; k != nil {
		path = finding.Join(path, "http2KeepAlive")
		if k.Interval == nil || k.Timeout == nil {
			fs.Errorf(path, "half of it is missing, want interval and timeout")
		}
		Duration(fs, finding.Join(path, "interval"), k.Interval)
		Duration(fs, finding.Join(path, "timeout"), k.Timeout)
	}
}

func tcpPool(fs *finding.Faults, path string, t *networking.ConnectionPoolSettings_TCPSettings) {
	if t == nil {
		return
	}
	notNegative(fs, finding.Join(path, "maxConnections"), t.MaxConnections)
	Duration(fs, finding.Join(path, "connectTimeout"), t.ConnectTimeout)
	Duration(fs, finding.Join(path, "maxConnectionDuration"), t.MaxConnectionDuration)
	if t.IdleTimeout.AsDuration().Milliseconds() != 0 { // 0s turns the timeout off
		Duration(fs, finding.Join(path, "idleTimeout"), t.IdleTimeout)
	}
	Duration(fs, finding.Join(path, "tcpKeepalive.time"), t.TcpKeepalive.GetTime())
	Duration(fs, finding.Join(path, "tcpKeepalive.interval"), t.TcpKeepalive.GetInterval())
}
