package mesh

import (
	"context"
	"time"
)

// Source is where rules come from: files, a cluster, a control plane. It hands over whole sets, and beside them the
// endpoints of one service alone where only those changed.
type Source interface {
	// Watch hands everything it has to the sink, then every change, until the context is done; it returns the
	// context's error then. It returns another error only if it cannot go on at all.
	Watch(ctx context.Context, sink Sink) error
}

// Sink takes what a [Source] has to say. A [Mesh] is behind it; its methods are safe for concurrent use.
type Sink interface {
	// Update puts a whole set in place of the one before, or returns why it cannot; then the one before stays.
	Update(rules *Rules) error
	// UpdateEndpoints puts other endpoints in place for one service: see [Mesh.UpdateEndpoints].
	UpdateEndpoints(service ServiceRef, endpoints []Endpoint) error
	// Failed reports news that could not be read: the rules before stay, and the failure is shown as one of the
	// mesh's reloads.
	Failed(err error)
}

// ServiceRef names a service, and one port of it or all.
type ServiceRef struct {
	// Host is the full hostname: "reviews.default.svc.cluster.local", or a ServiceEntry's host.
	Host string
	// Namespace is the service's; empty means every service of that hostname.
	Namespace string
	// Port is the service's port; 0 means every port, whose endpoints then share theirs.
	Port int
}

// Watch applies every change that the source reports, until the context is done; it blocks, so it is mostly
// started with go. It returns nil when the context or the mesh ends it, and the source's error otherwise. Rules that
// cannot be used leave those before in place; [Options.Logger] and the debug page tell of it.
func (m *Mesh) Watch(ctx context.Context, s Source) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(m.life, cancel)()
	err := s.Watch(ctx, sink{m})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// sink is the mesh as a source sees it: what fails is remembered as a reload.
type sink struct{ m *Mesh }

func (s sink) Update(rules *Rules) error { return s.m.Update(rules) }

func (s sink) UpdateEndpoints(service ServiceRef, endpoints []Endpoint) error {
	return s.m.UpdateEndpoints(service, endpoints)
}

func (s sink) Failed(err error) { s.m.reloaded(Reload{Time: time.Now(), Err: err}) }
