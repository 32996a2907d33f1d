package mesh

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/go-inmesh/inmesh/internal/compile"
	"github.com/go-inmesh/inmesh/route"
	"github.com/go-inmesh/inmesh/route/balance"
)

// Bounds of mirroring: copies that are recorded or under way at a time where the options say nothing, the longest
// body that is copied (Envoy's buffer limit in Istio is the same), and how much of a mirror's answer is read.
const (
	maxMirrors    = 256
	mirrorBody    = 1 << 20
	mirrorReading = 1 << 20
)

// mirrored is a cluster that gets copies of a share of a route's requests.
type mirrored struct {
	ref     compile.ClusterRef
	cluster *cluster // nil where the port is the request's
	share   float64  // above 0, up to 1
}

// MirrorCounts is what became of the copies that routes wanted to send to their mirrors.
type MirrorCounts struct {
	// Limit is how many may be recorded or under way at a time, Running how many are.
	Limit   int64 `json:"limit"`
	Running int64 `json:"running"`
	// Sent counts those that were sent, Failed those of them that got no answer.
	Sent   uint64 `json:"sent"`
	Failed uint64 `json:"failed"`
	// Dropped counts those that were left out because the limit was reached, Unfinished those whose request's body
	// was longer than 1 MiB, or was never sent to its end.
	Dropped    uint64 `json:"dropped"`
	Unfinished uint64 `json:"unfinished"`
}

// mirrors counts the copies of requests, and bounds those that there are at a time.
type mirrors struct {
	limit, running                    atomic.Int64
	sent, failed, dropped, unfinished atomic.Uint64
}

// Mirrors tells what became of copies of requests since the mesh was made.
func (m *Mesh) Mirrors() MirrorCounts {
	c := &m.mirrors
	return MirrorCounts{Limit: c.limit.Load(), Running: c.running.Load(), Sent: c.sent.Load(), Failed: c.failed.Load(),
		Dropped: c.dropped.Load(), Unfinished: c.unfinished.Load()}
}

// enter takes a place for a copy, if there is one.
func (c *mirrors) enter() bool {
	if c.running.Add(1) > c.limit.Load() {
		c.running.Add(-1)
		c.dropped.Add(1)
		return false
	}
	return true
}

func (c *mirrors) leave() { c.running.Add(-1) }

// mirror sends copies of the outgoing request to the mirrors that are drawn for it: at once where it has no body, else
// when its body has gone out whole, of which out is made to take note. finish must be called when the call has its
// outcome. Nothing of it waits for a mirror.
func (c *call) mirror(out *http.Request) (finish func()) {
	if out.Method == http.MethodConnect || len(out.Header["Upgrade"]) > 0 {
		return func() {}
	}
	k := &copying{call: c, targets: c.draw(), length: out.ContentLength}
	if len(k.targets) == 0 {
		return func() {}
	}
	k.request = &http.Request{Method: out.Method, URL: out.URL, Host: out.Host, Header: out.Header.Clone(), ContentLength: out.ContentLength,
		Proto: out.Proto, ProtoMajor: out.ProtoMajor, ProtoMinor: out.ProtoMinor, TransferEncoding: out.TransferEncoding}
	at := *out.URL
	k.request.URL = &at
	unsample(k.request.Header)
	if out.Body == nil || out.Body == http.NoBody {
		k.send(nil, nil)
		return func() {}
	}
	if out.ContentLength > mirrorBody {
		k.giveUp()
		return func() {}
	}
	k.trailer = out.Trailer
	out.Body = k.pass(out.Body)
	if get := out.GetBody; get != nil {
		out.GetBody = func() (io.ReadCloser, error) {
			b, err := get()
			if err != nil {
				return nil, err
			}
			return k.pass(b), nil
		}
	}
	return k.finish
}

// draw chooses the mirrors of the request: one number serves them all, so that the smaller share lies in the larger.
// Each has a place.
func (c *call) draw() []*cluster {
	m, chance := c.mesh, -1.0
	var list []*cluster
	for i := range c.action.mirrors {
		to := &c.action.mirrors[i]
		if to.share < 1 {
			if chance < 0 {
				chance = m.options.Rand()
			}
			if chance >= to.share {
				continue
			}
		}
		cl := to.cluster
		if cl == nil {
			var err error
			if cl, err = c.snap.cluster(m, to.ref, c.view.Port); err != nil {
				m.mirrors.failed.Add(1) // there is no such cluster
				continue
			}
		}
		if m.mirrors.enter() {
			list = append(list, cl)
		}
	}
	return list
}

// shadowOf is the call of a copy: it has the mesh's lifetime, not the caller's context, so that it outlives the call,
// and neither the caller's trace nor its hooks hear of it.
func (c *call) shadowOf(to *cluster, req *http.Request) *call {
	s := newCall(c.mesh, c.snap, c.via)
	s.Context, s.shadow = c.mesh.life, true
	s.view, s.vhost, s.route, s.action, s.cluster = c.view, c.vhost, c.route, c.action, to
	s.view.Header = req.Header // the caller's is the caller's again when the call is over
	s.tries = route.Call{Timeout: c.tries.Limit(), Rand: c.mesh.options.Rand}
	if to.key != nil && !to.direct {
		s.hash, s.tied = to.key.Hash(&balance.Source{Request: req, IP: to.sourceIP})
	}
	return s
}

// run sends a copy and forgets the answer. It has one attempt, within the route's timeout.
func (c *call) run(req *http.Request) {
	counts := &c.mesh.mirrors
	answered := false
	defer func() {
		if e := recover(); e != nil { // of a base transport; the caller must not suffer for it
			c.mesh.options.Logger.Error("mesh: a mirror panicked", "cluster", c.cluster.name, "panic", e)
		}
		if !answered {
			counts.failed.Add(1)
		}
		counts.leave()
	}()
	counts.sent.Add(1)
	var ctx context.Context = c
	c.limit = c.tries.Begin(ctx, req)
	resp, err := c.tries.Do(req.WithContext(c.limit), c)
	if err != nil {
		return
	}
	answered = true
	_, _ = io.CopyN(io.Discard, resp.Body, mirrorReading)
	_ = resp.Body.Close()
}

// unsample has whoever gets the headers record no span: a copy must not show as a part of the trace.
func unsample(h http.Header) {
	if v := h["Traceparent"]; len(v) == 1 && len(v[0]) >= len("00-")+32+1+16+len("-01") {
		const flags = len("00-") + 32 + 1 + 16 + len("-")
		h["Traceparent"] = []string{v[0][:flags] + "00" + v[0][flags+2:]}
	}
	if len(h["X-B3-Sampled"]) > 0 {
		h["X-B3-Sampled"] = []string{"0"}
	}
	delete(h, "X-B3-Flags") // debug is a way to be sampled
	if v := h["B3"]; len(v) == 1 {
		if ids := strings.SplitN(v[0], "-", 4); len(ids) > 2 {
			ids[2] = "0"
			h["B3"] = []string{strings.Join(ids, "-")}
		} else if len(ids) == 1 {
			h["B3"] = []string{"0"}
		}
	}
}
