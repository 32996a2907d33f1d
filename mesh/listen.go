package mesh

import (
	"context"
	"net"
	"sync"
)

// Listen opens a listener for a server behind [Mesh.Handler] or [Mesh.Gateway]. Until this version speaks mTLS on the
// server's side it takes plaintext, whatever PeerAuthentication says; [Rules.Findings] warns where that differs. The
// mesh closes the listener when it shuts down.
func (m *Mesh) Listen(network, address string) (net.Listener, error) {
	if m.life.Err() != nil {
		return nil, ErrClosed
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(m.life, network, address)
	if err != nil {
		return nil, err
	}
	l := &listener{Listener: ln, mesh: m}
	m.listeners.Store(l, struct{}{})
	return l, nil
}

// listener is one that the mesh closes if nobody did before.
type listener struct {
	net.Listener
	mesh *Mesh
	once sync.Once
	err  error
}

// Close closes the listener once; later calls give the same result.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.mesh.listeners.Delete(l)
		l.err = l.Listener.Close()
	})
	return l.err
}

func (m *Mesh) closeListeners() {
	m.listeners.Range(func(l, _ any) bool {
		_ = l.(*listener).Close()
		return true
	})
}

// Ready returns nil when the mesh can serve: rules are compiled, names that clusters are found by were resolved
// once, and the identity has a certificate. It waits for these no longer than the context lasts, and says what is
// missing. A mesh that shuts down is not ready. It fits a readiness probe:
//
//	if err := m.Ready(r.Context()); err != nil { http.Error(w, err.Error(), 503) }
func (m *Mesh) Ready(ctx context.Context) error {
	if m.draining.Load() || m.life.Err() != nil {
		return ErrClosed
	}
	return m.current.Load().ready(ctx, m.options.Identity)
}

// Shutdown ends the mesh in order: it is not ready any more, answers close their connections, listeners of
// [Mesh.Listen] take no new ones, requests under way end, then everything is closed as by [Mesh.Close]. If the
// context ends first, its error is returned and the rest is closed at once. Shut down the http.Server itself
// beside it, or after it.
func (m *Mesh) Shutdown(ctx context.Context) error {
	m.draining.Store(true)
	m.closeListeners()
	err := m.served.wait(ctx)
	if err == nil {
		err = m.called.wait(ctx)
	}
	if closeErr := m.Close(); err == nil {
		err = closeErr
	}
	return err
}
