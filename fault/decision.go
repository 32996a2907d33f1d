package fault

import (
	"context"
	"time"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// Decision is what was drawn for one request. The zero value is no fault at all.
type Decision struct {
	// Delay is how long the request waits before anything else happens to it; 0 means not at all.
	Delay time.Duration

	abort *answer.Reply
}

// Wait lets the delay pass. It ends early, with the context's error, when the context is done.
func (d Decision) Wait(ctx context.Context) error {
	if d.Delay <= 0 {
		return nil
	}
	t := time.NewTimer(d.Delay)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Abort is the answer that stands in for the upstream's, after the delay; ok is false if the request goes on. A
// gRPC request gets it as status 200 with a grpc-status.
func (d Decision) Abort() (reply answer.Reply, ok bool) {
	if d.abort == nil {
		return answer.Reply{}, false
	}
	return *d.abort, true
}

// Flags are Envoy's response flags for the request: "DI", "FI", "DI,FI" or empty.
func (d Decision) Flags() string { return flags(d.Delay > 0, d.abort != nil) }
