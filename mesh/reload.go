package mesh

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Reload is one attempt to put rules in place.
type Reload struct {
	Time    time.Time
	Took    time.Duration
	Objects int
	// Err is why the attempt failed; the rules before it stayed.
	Err error
}

// keptReloads is how many reloads are remembered.
const keptReloads = 16

// history is the last reloads, the newest last.
type history struct {
	mu   sync.Mutex
	list []Reload
	n    int
}

func (h *history) add(r Reload) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	if len(h.list) == keptReloads {
		h.list = slices.Delete(h.list, 0, 1)
	}
	h.list = append(h.list, r)
	return h.n
}

// Reloads are the last attempts to put rules in place, the newest last, at most sixteen.
func (m *Mesh) Reloads() []Reload {
	m.history.mu.Lock()
	defer m.history.mu.Unlock()
	return slices.Clone(m.history.list)
}

// reloaded remembers and tells what came of new rules, and what there is to say about them.
func (m *Mesh) reloaded(r Reload, findings ...Finding) {
	n := m.history.add(r)
	m.observer.Reloaded(r.Took, r.Err)
	if r.Err != nil {
		m.options.Logger.Error("mesh: rules not used, those before stay", "error", r.Err)
		return
	}
	warnings := 0
	for _, f := range findings {
		if f.Severity == SeverityInfo {
			continue
		}
		if warnings++; warnings <= 20 {
			m.options.Logger.Warn("mesh: " + f.String())
		}
	}
	text := "mesh: rules in place"
	if warnings > 20 {
		text = fmt.Sprintf("mesh: rules in place, with %d more warnings", warnings-20)
	}
	m.options.Logger.Debug(text, "objects", r.Objects, "took", r.Took, "reload", n)
}
