package mesh

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"time"
)

// TLSTransport is a base transport that can speak TLS as a DestinationRule asks for. An *http.Transport can too,
// without this; every other base is refused for such rules.
type TLSTransport interface {
	http.RoundTripper
	// WithTLS is a transport that speaks TLS with the configuration; it is asked once for each cluster.
	WithTLS(config *tls.Config) http.RoundTripper
}

func isTransport(base http.RoundTripper) bool {
	_, ok := base.(*http.Transport)
	return ok
}

func canTLS(base http.RoundTripper) bool {
	switch base.(type) {
	case nil, TLSTransport, *http.Transport:
		return true
	}
	return false
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
