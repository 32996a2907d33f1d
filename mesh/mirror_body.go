package mesh

import (
	"bytes"
	"io"
	"net/http"
	"sync"
)

// copying is a request on its way to its mirrors: its body is noted as it goes out, and the copies are sent when it has
// ended. The body may be given several times, for several attempts: the first that goes out whole counts.
type copying struct {
	call    *call
	targets []*cluster    // each has a place
	request *http.Request // what is copied
	trailer http.Header   // of the request; known when the body has ended
	length  int64         // of the body; below 0 if unknown

	mu        sync.Mutex
	recording *pass // the body that is noted; nil for none
	open      int   // bodies that were given and not closed
	finished  bool  // the call has its outcome: no further body is given
	settled   bool  // the copies were sent, or given up
}

// pass is the body of the request for one attempt.
type pass struct {
	io.ReadCloser
	of     *copying
	noted  []byte
	closed bool
}

// pass gives the body, and takes note of it unless that is being done or is done with.
func (k *copying) pass(body io.ReadCloser) io.ReadCloser {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.settled {
		return body
	}
	p := &pass{ReadCloser: body, of: k}
	k.open++
	if k.recording == nil {
		k.recording = p
	}
	return p
}

// Read notes what it reads.
func (p *pass) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	p.of.note(p, b[:n], err)
	return n, err
}

// Close ends the pass: if its end was not seen, another one may be noted.
func (p *pass) Close() error {
	err := p.ReadCloser.Close()
	k := p.of
	k.mu.Lock()
	defer k.mu.Unlock()
	if p.closed {
		return err
	}
	p.closed = true
	k.open--
	k.forget(p)
	k.giveUpIfOver()
	return err
}

// note keeps what was read, and sends the copies at the body's end.
func (k *copying) note(p *pass, b []byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.recording != p || k.settled {
		return
	}
	if len(p.noted)+len(b) > mirrorBody {
		k.forget(p)
		k.giveUp()
		return
	}
	p.noted = append(p.noted, b...)
	switch {
	case err == io.EOF || k.length > 0 && int64(len(p.noted)) == k.length:
		noted := p.noted
		k.forget(p)
		k.send(noted, k.trailer.Clone())
	case err != nil:
		k.forget(p)
		k.giveUpIfOver()
	}
}

// forget ends the taking of notes. The caller holds the lock.
func (k *copying) forget(p *pass) {
	if k.recording == p {
		k.recording = nil
	}
	p.noted = nil
}

// finish says that no further body will be given.
func (k *copying) finish() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.finished = true
	k.giveUpIfOver()
}

// giveUpIfOver lets go of the places if no body can come to its end any more. The caller holds the lock.
func (k *copying) giveUpIfOver() {
	if k.finished && k.open == 0 {
		k.giveUp()
	}
}

// giveUp lets go of the places, unless the copies were sent.
func (k *copying) giveUp() {
	if k.settled {
		return
	}
	k.settled = true
	for range k.targets {
		k.call.mesh.mirrors.unfinished.Add(1)
		k.call.mesh.mirrors.leave()
	}
}

// send starts the copies, each on a goroutine that [Mesh.Close] ends. They share the body.
func (k *copying) send(body []byte, trailer http.Header) {
	k.settled = true
	for _, to := range k.targets {
		req := *k.request
		at := *k.request.URL
		req.URL, req.Header, req.Trailer = &at, k.request.Header.Clone(), trailer.Clone()
		req.Body, req.ContentLength = http.NoBody, 0
		if len(body) > 0 || len(trailer) > 0 {
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
			req.Body, _ = req.GetBody()
			if req.ContentLength = int64(len(body)); len(trailer) > 0 {
				req.ContentLength = -1
			}
		}
		c := k.call.shadowOf(to, &req)
		if !k.call.mesh.start(func() { c.run(&req) }) {
			k.call.mesh.mirrors.leave() // the mesh has ended
		}
	}
}
