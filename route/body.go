package route

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
)

// bodyLimit is how much of a request's body is kept for further tries; Envoy's buffer limit in Istio is the same.
const bodyLimit = 1 << 20

// errTryOver is what a try finds that still reads the request's body after it was given up.
var errTryOver = errors.New("route: this try is over")

// tape hands one request body, which cannot be read twice, to one try after the other. While it records, it keeps
// what was read, so that the next try begins at the start; a body longer than the limit is passed on unrecorded,
// and can then be sent again only as long as nothing was read from it. The body is closed exactly once: by the
// last try, or by close.
type tape struct {
	mu     sync.Mutex
	wake   sync.Cond
	src    io.ReadCloser
	limit  int
	record bool
	kept   []byte // the body's start, complete while record is set
	read   int64  // how much was read from src
	inRead bool   // a try is reading from src right now
	begun  bool   // src was asked for something
	err    error  // how src ended; io.EOF is the good end
	closed bool   // src is closed
	live   *pass
	onDone func() // called when src has ended, or is closed before that; nil for none

	settled bool // no further try will follow
}

// newTape takes over the request's body. A body that is known to be too long is not recorded.
func newTape(r *http.Request, record bool) *tape {
	t := &tape{src: r.Body, limit: bodyLimit, record: record && r.ContentLength <= bodyLimit}
	t.wake.L = &t.mu
	return t
}

// next is the body for the next try; the try before it reads no further. It is nil if the body cannot be given
// again.
func (t *tape) next() io.ReadCloser {
	if !t.rewind() {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live = &pass{tape: t}
	return t.live
}

// rewind stops the try that reads, if the body can be given again; it tells whether it can. What that try is just
// getting from the source goes onto the tape.
func (t *tape) rewind() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.canRepeat() {
		return false
	}
	t.live = nil
	t.wake.Broadcast()
	return true
}

// beside is the body for a try that runs along with those before it. It is nil unless the whole body has come in
// and was kept.
func (t *tape) beside() io.ReadCloser {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != io.EOF || !t.record {
		return nil
	}
	return io.NopCloser(bytes.NewReader(t.kept))
}

// repeatable tells whether the body can be given again as things stand.
func (t *tape) repeatable() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.canRepeat()
}

func (t *tape) canRepeat() bool {
	failed := t.err != nil && t.err != io.EOF || t.err == nil && t.closed
	return !t.settled && !failed && (t.record || !t.begun)
}

// settle ends the recording, for no further try will follow. What the last try has not read yet is kept for it.
func (t *tape) settle() {
	t.mu.Lock()
	t.settled, t.record = true, false
	if t.live == nil || t.live.off >= len(t.kept) {
		t.kept = nil
	}
	over := t.live == nil || t.live.closed
	t.mu.Unlock()
	if over {
		_ = t.closeSource()
	}
}

// failure is the error that the caller's body ended with; nil if it has not, or ended well.
func (t *tape) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == io.EOF {
		return nil
	}
	return t.err
}

// busy tells whether the request is still on its way from the caller: the body has not ended, and since the mark
// some of it was read, or its reader is waiting for the caller. It moves the mark.
func (t *tape) busy(mark *int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	moved := t.read != *mark
	*mark = t.read
	return t.err == nil && !t.closed && (moved || t.inRead)
}

// close ends all tries and closes the body, unless that is done.
func (t *tape) close() {
	t.mu.Lock()
	t.live, t.settled, t.record, t.kept = nil, true, false, nil
	t.wake.Broadcast()
	t.mu.Unlock()
	_ = t.closeSource()
}

func (t *tape) closeSource() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	unread := t.err == nil
	t.mu.Unlock()
	if unread && t.onDone != nil {
		t.onDone()
	}
	return t.src.Close()
}

// pass is one try's view of the body.
type pass struct {
	tape   *tape
	off    int
	closed bool
}

// Read gives what the tape holds, then what the source has left.
func (p *pass) Read(b []byte) (int, error) {
	t := p.tape
	t.mu.Lock()
	for {
		switch {
		case p.closed || t.live != p:
			t.mu.Unlock()
			return 0, errTryOver
		case p.off < len(t.kept):
			n := copy(b, t.kept[p.off:])
			p.off += n
			if !t.record && p.off == len(t.kept) {
				t.kept, p.off = nil, 0
			}
			t.mu.Unlock()
			return n, nil
		case t.err != nil:
			err := t.err
			t.mu.Unlock()
			return 0, err
		case t.closed:
			t.mu.Unlock()
			return 0, errTryOver
		case !t.inRead:
			return p.pull(b)
		}
		t.wake.Wait() // an earlier try is still waiting for the source: what it gets goes onto the tape
	}
}

// pull reads from the source, unlocked meanwhile. It is called with the lock held and returns without it.
func (p *pass) pull(b []byte) (int, error) {
	t := p.tape
	t.inRead, t.begun = true, true
	t.mu.Unlock()
	n, err := t.src.Read(b)
	t.mu.Lock()
	if err != nil && t.err == nil && !t.closed && t.onDone != nil {
		t.mu.Unlock()
		t.onDone() // still counted as reading, so that no limit ends between the two
		t.mu.Lock()
	}
	t.inRead = false
	t.read += int64(n)
	over := t.live != p
	if t.record && (over || len(t.kept)+n <= t.limit) {
		t.kept = append(t.kept, b[:n]...)
	} else {
		t.record, t.kept = false, nil
	}
	if !over {
		p.off = len(t.kept)
	}
	if err != nil && t.err == nil {
		t.err = err
	}
	t.wake.Broadcast()
	t.mu.Unlock()
	if over {
		return 0, errTryOver
	}
	return n, err
}

// Close ends this try's reading. The caller's body is closed with it as soon as no further try can need it.
func (p *pass) Close() error {
	t := p.tape
	t.mu.Lock()
	p.closed = true
	over := t.live == p && (t.settled || t.err != nil || t.begun && !t.record)
	t.wake.Broadcast()
	t.mu.Unlock()
	if over {
		return t.closeSource()
	}
	return nil
}
