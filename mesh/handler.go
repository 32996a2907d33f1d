package mesh

import (
	"net/http"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/go-inmesh/inmesh/identity"
)

// Handler is the server's side of the mesh around an application: it knows the caller, observes the request and runs
// the aspects. Requests made with the request's context carry its trace and its x-request-id on. A nil next is
// [http.DefaultServeMux].
//
// Requests are let in as the RequestAuthentications and AuthorizationPolicies say that apply to the workload; others
// are answered 401 or 403, as a sidecar would. The application gets the path that was judged: normalised, as Envoy does.
// [identity.PeerFromContext] and [identity.TokenFromContext] tell who calls.
//
// The request's context has the deadline of its caller, as a mesh's client or a sidecar tells it in
// x-envoy-expected-rq-timeout-ms, or a gRPC client in grpc-timeout; it counts from the request's arrival, and ends with
// the cause [ErrLate]. Requests made with the context tell it on, so that nobody works for a caller who waits no longer;
// what is late before the application begins is answered 504 (DEADLINE_EXCEEDED). A deadline that the context has
// already is never put off. The headers are believed: a caller from outside can only shorten its own time by them, and
// gateways take x-envoy-* away.
//
// Handlers stay valid over [Mesh.Update].
func (m *Mesh) Handler(next http.Handler) http.Handler {
	if next == nil {
		next = http.DefaultServeMux
	}
	next = m.extensions.inside().wrap(wrapHandler(inTime(next), m.options.Aspects.AfterAuthorization))
	next = &guard{mesh: m, next: next}
	next = wrapHandler(next, m.options.Aspects.BeforeAuthorization)
	return &handler{m, next}
}

// wrapHandler puts the aspects around a handler, the first one outermost.
func wrapHandler(h http.Handler, aspects []func(http.Handler) http.Handler) http.Handler {
	for i := len(aspects) - 1; i >= 0; i-- {
		h = aspects[i](h)
	}
	return h
}

type handler struct {
	mesh *Mesh
	next http.Handler
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := h.mesh
	m.served.begin()
	defer m.served.done()
	if m.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	c := &call{mesh: m, peer: peerOf(r)}
	c.Context = m.observer.StartServer(&c.observed, r)
	if !c.peer.ID.IsZero() {
		c.Context = identity.NewContext(c.Context, c.peer)
		c.observed.Record.MutualTLS = true
	}
	ctx, cancel, ok := withDeadline(c.Context, r)
	defer cancel()
	next := h.next
	if c.Context = ctx; !ok {
		next = http.HandlerFunc(tooLate.Write)
	}
	c.observed.Serve(w, r.WithContext(c), next)
}

// peerOf is who sent the request: the SPIFFE ID of a client certificate that the server has verified.
func peerOf(r *http.Request) identity.Peer {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.PeerCertificates) == 0 {
		return identity.Peer{}
	}
	id, err := x509svid.IDFromCert(r.TLS.PeerCertificates[0])
	if err != nil {
		return identity.Peer{}
	}
	return identity.Peer{ID: id}
}
