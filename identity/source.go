// Package identity says who speaks: SPIFFE identities, where they come from, and the TLS that proves them.
//
//	src := …                             // an identity.Source, such as go-spiffe's workloadapi.X509Source
//	m, err := mesh.New(rules, &mesh.Options{Identity: src})
//
// In a handler behind [mesh.Mesh.Handler], [PeerFromContext] is the caller.
package identity

import (
	"context"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// Source gives this workload's X.509-SVID and the bundles of the trust domains that it believes. Both are asked
// for at every handshake, so a source that rotates needs nothing more. go-spiffe's X509Source is one. A source
// must be safe for concurrent use.
type Source interface {
	x509svid.Source
	x509bundle.Source
}

// Peer is who is at the other end of a connection. The zero value is somebody who proved nothing.
type Peer struct {
	// ID is the verified SPIFFE ID; zero where the connection has none.
	ID spiffeid.ID
}

type peerKey struct{}

// NewContext returns a context that carries the peer.
func NewContext(ctx context.Context, p Peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}

// PeerFromContext is the peer whose request carries the context; false where nobody was verified.
func PeerFromContext(ctx context.Context) (Peer, bool) {
	p, ok := ctx.Value(peerKey{}).(Peer)
	return p, ok && !p.ID.IsZero()
}
