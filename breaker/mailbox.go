package breaker

import "sync"

// mailbox holds events until they are delivered: one at a time, in the order of add, under no lock.
type mailbox struct {
	mu     sync.Mutex
	events []Event
	busy   bool
	closed bool
}

func (m *mailbox) add(e Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.events = append(m.events, e)
	}
}

// close drops what was not delivered yet, and all that comes.
func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.events = true, nil
}

// deliver hands out all events. Where another is at it, or the hook itself calls, it leaves them to that one.
func (m *mailbox) deliver(hook func(Event)) {
	m.mu.Lock()
	if m.busy {
		m.mu.Unlock()
		return
	}
	m.busy = true
	defer func() { // also when the hook panics
		m.busy = false
		m.mu.Unlock()
	}()
	for len(m.events) > 0 {
		e := m.events[0]
		m.events = m.events[1:]
		m.mu.Unlock()
		func() {
			defer m.mu.Lock()
			hook(e)
		}()
	}
}
