package breaker

// Who owns connections itself asks the pool for each of them, idle ones included, as Envoy counts: Connect before a
// connection is opened and Disconnect after it is closed; Queue and Unqueue around a request's wait for one, its own
// being made included; Start and End around the request itself. A pool may serve such owners and Acquire alike.

// Connect asks for leave to open a connection. first says that the endpoint has none: it may have one whatever
// maxConnections says, so that no request waits for an endpoint that no one will ever serve it from.
func (p *Pool) Connect(first bool) bool {
	if raise(&p.conns, p.limits.Load().MaxConnections) {
		return true
	}
	if first {
		p.conns.Add(1)
	}
	return first
}

// Disconnect gives back one leave of Connect: the connection is closed, or could not be opened.
func (p *Pool) Disconnect() { p.disconnect(nil) }

// Queue asks for leave to wait for a connection. The error is [ErrOverflow].
func (p *Pool) Queue() error {
	if !raise(&p.pending, p.limits.Load().MaxPendingRequests) {
		p.began() // and refused
		return p.refuse()
	}
	return nil
}

// Unqueue gives back one leave of Queue: the wait is over.
func (p *Pool) Unqueue() { p.pending.Add(-1) }

// Start asks for leave to send a request over a connection that is there. The error is [ErrOverflow].
func (p *Pool) Start() error {
	p.began()
	if !p.enter(p.limits.Load()) {
		return p.refuse()
	}
	return nil
}

// End gives back one leave of Start: the answer is read.
func (p *Pool) End() { p.active.Add(-1) }
