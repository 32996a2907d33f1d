package observe

import (
	"context"
	"math/rand/v2"
)

// requestID is the canonical name of Envoy's x-request-id.
const requestID = "X-Request-Id"

type callKey struct{}

// requestContext is the context of a request that is answered here: it knows its call.
type requestContext struct {
	context.Context
	call *Call
}

// Value implements [context.Context].
func (c *requestContext) Value(key any) any {
	if key == (callKey{}) {
		return c.call
	}
	return c.Context.Value(key)
}

// CallFrom gives the call of the request that is being answered; nil where the context is not that of a
// request under [Observer.Handler] or [Observer.StartServer]. Who learns something about the request may
// write it into the call's record, from the goroutine that answers it.
func CallFrom(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

// RequestID gives the x-request-id of the request that is being answered; empty for none.
func RequestID(ctx context.Context) string {
	if c := CallFrom(ctx); c != nil {
		return c.Record.RequestID
	}
	return ""
}

// newRequestID makes a UUID of version 4. It needs to be unique, not secret.
func newRequestID() string {
	const hex = "0123456789abcdef"
	hi, lo := rand.Uint64()&^0xf000|0x4000, rand.Uint64()>>2|1<<63
	var id [36]byte
	for i, pos := 0, 0; i < 16; i++ {
		switch i {
		case 4, 6, 8, 10:
			id[pos] = '-'
			pos++
		}
		b := byte(hi >> 56)
		if i >= 8 {
			b = byte(lo >> 56)
			lo <<= 8
		} else {
			hi <<= 8
		}
		id[pos], id[pos+1] = hex[b>>4], hex[b&15]
		pos += 2
	}
	return string(id[:])
}
