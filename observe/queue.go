package observe

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// queue hands access log records to their handler, off the request's path.
type queue struct {
	handler slog.Handler
	entries chan entry
	stop    chan struct{}
	done    chan struct{}
	closed  atomic.Bool
	warn    *slog.Logger
	warned  [2]atomic.Bool
	dropped *atomic.Uint64 // found no room, or came after close
	failed  *atomic.Uint64 // the handler gave an error
}

type entry struct {
	ctx    context.Context
	took   time.Duration
	record Record
}

func newQueue(h slog.Handler, size int, warn *slog.Logger, counts *hub) *queue {
	q := &queue{handler: h, warn: warn, entries: make(chan entry, size),
		stop: make(chan struct{}), done: make(chan struct{}),
		dropped: new(atomic.Uint64), failed: new(atomic.Uint64)}
	if counts != nil {
		q.dropped, q.failed = &counts.dropped, &counts.failed
	}
	go q.run()
	return q
}

// put queues a record; it never waits.
func (q *queue) put(ctx context.Context, r *Record, took time.Duration) {
	if !q.handler.Enabled(ctx, slog.LevelInfo) {
		return
	}
	if !q.closed.Load() {
		select {
		case q.entries <- entry{ctx, took, *r}:
			return
		default:
		}
	}
	q.dropped.Add(1)
	if !q.warned[0].Swap(true) {
		q.warn.Warn("observe: the access log's queue is full or closed, records are dropped", "queue", cap(q.entries))
	}
}

// run writes records until close.
func (q *queue) run() {
	defer close(q.done)
	for {
		select {
		case e := <-q.entries:
			q.write(&e)
		case <-q.stop:
			for {
				select {
				case e := <-q.entries:
					q.write(&e)
				default:
					return
				}
			}
		}
	}
}

// write hands one record over. A handler that panics must not take the process down.
func (q *queue) write(e *entry) {
	err := error(nil)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
		if err == nil {
			return
		}
		q.failed.Add(1)
		if !q.warned[1].Swap(true) {
			q.warn.Warn("observe: the access log cannot be written", "error", err)
		}
	}()
	err = q.handler.Handle(e.ctx, e.record.logged(e.took))
}

// close writes what is queued and waits for it.
func (q *queue) close() {
	q.closed.Store(true)
	close(q.stop)
	<-q.done
}
