package observe

import (
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// RequestBody counts what is read of a request's body. Without a body it is given back as it is. One call
// has one such body; bodies of further attempts are not to be counted.
func (c *Call) RequestBody(body io.ReadCloser) io.ReadCloser {
	if body == nil || body == http.NoBody {
		return body
	}
	c.request = requestBody{body, &c.received}
	return &c.request
}

type requestBody struct {
	io.ReadCloser
	n *atomic.Int64
}

// Read implements [io.Reader].
func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

// Response takes code, header size, upstream time and gRPC status from an answer, and puts a body in the
// place of its body that settles the call once it has ended, by EOF, by an error or by Close. An answer
// without a body settles at once. A body that can be written to, as that of a 101 answer, still can.
func (c *Call) Response(resp *http.Response) {
	r := &c.Record
	r.Code = resp.StatusCode
	if c.o.hub != nil {
		r.ResponseHeaderBytes = statusLine(r.Code) + HeaderBytes(resp.Header)
	}
	if r.UpstreamTime < 0 {
		r.UpstreamTime = time.Since(r.Start)
	}
	r.grpcStatus(resp.Header, "Grpc-Status")
	c.resp = resp
	if resp.Body == nil || resp.Body == http.NoBody {
		resp.Body = http.NoBody
		c.Settle(nil)
		return
	}
	c.response = responseBody{resp.Body, c}
	if w, ok := resp.Body.(io.Writer); ok {
		resp.Body = &upgradedBody{&c.response, w}
		return
	}
	resp.Body = &c.response
}

// grpcStatus takes the gRPC status from headers or trailers.
func (r *Record) grpcStatus(h http.Header, name string) {
	if !r.GRPC {
		return
	}
	if s, err := strconv.ParseUint(header(h, name), 10, 16); err == nil {
		r.GRPCStatus = int(s)
	}
}

type responseBody struct {
	io.ReadCloser
	c *Call
}

// Read implements [io.Reader]. The end of the body settles the call.
func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.c.sent.Add(int64(n))
	switch {
	case err == nil:
	case err == io.EOF:
		b.c.settle(nil, b.c.resp.Trailer)
	default:
		b.c.Settle(err)
	}
	return n, err
}

// Close implements [io.Closer]. A body that is not read to its end counts with what was read.
func (b *responseBody) Close() error {
	err := b.ReadCloser.Close()
	left := b.c.ctx.Context.Err()
	if b.c.sent.Load() == b.c.resp.ContentLength {
		left = nil
	}
	b.c.Settle(left)
	return err
}

// upgradedBody is the body of an answer that switched protocols.
type upgradedBody struct {
	*responseBody
	w io.Writer
}

// Write implements [io.Writer].
func (b *upgradedBody) Write(p []byte) (int, error) {
	n, err := b.w.Write(p)
	b.c.received.Add(int64(n))
	return n, err
}
