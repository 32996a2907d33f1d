package connpool

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
)

// answer is the body of a response. When it ends, the connection is free.
type answer struct {
	io.ReadCloser
	conn   *conn
	cancel context.CancelFunc // nil where there is nothing to cancel
	over   atomic.Bool
}

// hold puts the answer in the place of the response's body.
func (a *answer) hold(resp *http.Response) {
	if resp.Body == nil || resp.Body == http.NoBody {
		resp.Body = http.NoBody
		a.end()
		return
	}
	a.ReadCloser = resp.Body
	if w, ok := resp.Body.(io.Writer); ok && resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body = &upgraded{a, w}
		return
	}
	resp.Body = a
}

func (a *answer) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err != nil {
		a.end()
	}
	return n, err
}

func (a *answer) Close() error {
	err := a.ReadCloser.Close()
	a.end()
	return err
}

// end gives back what the request held, once.
func (a *answer) end() {
	if a.over.Swap(true) {
		return
	}
	if a.cancel != nil {
		a.cancel()
	}
	a.conn.pool.way.settings.Limits.End()
	a.conn.release()
}

// upgraded is the connection after 101 Switching Protocols. It ends when it is closed: one side may have no more to say
// while the other has.
type upgraded struct {
	answer *answer
	io.Writer
}

func (u *upgraded) Read(p []byte) (int, error) { return u.answer.ReadCloser.Read(p) }
func (u *upgraded) Close() error               { return u.answer.Close() }

// CloseWrite ends our half of the connection.
func (u *upgraded) CloseWrite() error { return u.answer.conn.CloseWrite() }
