package mesh

import (
	"context"
	"sync/atomic"
)

// inflight counts what is under way, without a lock, and can be waited for until nothing is.
type inflight struct {
	n       atomic.Int64
	waiting atomic.Bool
	idle    chan struct{} // has room for one
}

func newInflight() *inflight { return &inflight{idle: make(chan struct{}, 1)} }

func (f *inflight) begin() { f.n.Add(1) }

func (f *inflight) done() {
	if f.n.Add(-1) == 0 && f.waiting.Load() {
		select {
		case f.idle <- struct{}{}:
		default:
		}
	}
}

// wait returns when nothing is under way, or with the context's error.
func (f *inflight) wait(ctx context.Context) error {
	f.waiting.Store(true)
	for f.n.Load() > 0 {
		select {
		case <-f.idle:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
