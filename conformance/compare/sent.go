package compare

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-inmesh/inmesh/conformance/istio"
	"github.com/go-inmesh/inmesh/conformance/ours"
	"github.com/go-inmesh/inmesh/conformance/world"
)

// names are the headers that cases play with.
var names = []string{"h1", "h2", "h3", "hx", "n1", "x-n2"}

// sent really sends the request and compares what comes of it with what both sides said. All of the mesh's draws give
// rnd, so it is known what is drawn.
func sent(p *istio.Proxy, m *ours.Client, r world.Request, a world.Answer, rnd float64, t *Tally) (field, want, got string, ok bool) {
	var dest *world.Dest
	if a.Outcome == world.Route {
		dest = drawn(a.Dests, rnd)
		if p.TLS(dest.Cluster) || !dest.Missing && !p.Has(dest.Cluster) {
			return "", "", "", true // endpoints that speak TLS are not simulated; nor is what Istio does not have
		}
	}
	x := m.Send(r, rnd)
	t.Sent++
	differ := func(name string, w, g any) (string, string, string, bool) {
		return name, fmt.Sprint(w), fmt.Sprint(g), false
	}
	if x.Err != nil {
		return differ("error", "none", x.Err)
	}
	code, arrives := a.Code, false
	if f := a.Fault; aborted(&a, rnd) {
		code = f.HTTP
		if f.GRPC != "" {
			code = httpOfGRPC[f.GRPC]
		}
		dest = nil
	} else if a.Outcome == world.Route || a.Outcome == world.Passthrough {
		code, arrives = http.StatusOK, true
	}
	cors := policy(&a, r)
	if cors.answered && !aborted(&a, rnd) {
		dest, code, arrives = nil, http.StatusOK, false
		a.Location, a.Body, a.Outcome = "", "", ""
	}
	var addresses []string
	known := false
	if dest != nil {
		addresses, known = p.Endpoints(dest.Cluster)
		if dest.Missing || known && len(addresses) == 0 {
			code, arrives = http.StatusServiceUnavailable, false
		}
	}
	if got := x.Header.Get("Access-Control-Allow-Origin"); got != cors.origin && x.Code == code && !aborted(&a, rnd) {
		return differ("allowed origin", cors.origin, got)
	}
	if x.Code != code {
		return differ("code", code, x.Code)
	}
	if arrives != (len(x.Arrived) > 0) {
		return differ("arrival", arrives, x.Arrived)
	}
	if !arrives {
		if l := x.Header.Get("Location"); a.Location != l {
			return differ("location", a.Location, l)
		}
		if a.Outcome == world.DirectResponse && x.Body != a.Body && code != http.StatusNoContent {
			return differ("body", a.Body, x.Body)
		}
		return "", "", "", true
	}
	at := x.Arrived[0]
	for _, other := range x.Arrived { // a mirror's copy may come first
		if known && dest != nil && slices.Contains(addresses, other.Endpoint) {
			at = other
			break
		}
	}
	if len(a.Mirrors) > 0 && (!known || !slices.Contains(addresses, at.Endpoint)) && len(x.Arrived) > 1 {
		at = x.Arrived[len(x.Arrived)-1]
	}
	if at.Path != a.Path {
		return differ("path", a.Path, at.Path)
	}
	if dest == nil { // passed through
		if at.Host != r.Host {
			return differ("authority", r.Host, at.Host)
		}
		return "", "", "", true
	}
	if at.Host != dest.Authority {
		return differ("authority", dest.Authority, at.Host)
	}
	if known && !slices.Contains(addresses, at.Endpoint) {
		return differ("endpoint", addresses, at.Endpoint)
	}
	for _, n := range names {
		if w, g := dest.Request[n], strings.Join(at.Header.Values(n), ","); w != g {
			return differ("request header "+n, w, g)
		}
		if w, g := dest.Response[n], strings.Join(x.Header.Values(n), ","); w != g {
			return differ("response header "+n, w, g)
		}
	}
	return "", "", "", true
}

// aborted tells whether a fault answers, where all draws give rnd.
func aborted(a *world.Answer, rnd float64) bool {
	return a.Fault != nil && a.Fault.AbortShare > 0 && rnd*1e6 < float64(a.Fault.AbortShare)
}

// decision is what a CORS policy makes of a request.
type decision struct {
	answered bool   // a preflight: nothing is sent
	origin   string // that the response allows
}

func policy(a *world.Answer, r world.Request) decision {
	origin := r.Headers["origin"]
	if a.CORS == nil || origin == "" {
		return decision{}
	}
	var d decision
	allowed := a.CORS.Allows(origin)
	if allowed {
		d.origin = origin
	}
	if r.Method == http.MethodOptions && r.Headers["access-control-request-method"] != "" {
		d.answered = allowed || a.CORS.Ignore
	}
	return d
}

// drawn is the destination that a number in [0, 1) chooses.
func drawn(dests []world.Dest, rnd float64) *world.Dest {
	if len(dests) == 1 {
		return &dests[0]
	}
	total := 0
	for _, d := range dests {
		total += d.Weight
	}
	at := int(rnd * float64(total))
	for i := range dests {
		if at -= dests[i].Weight; at < 0 {
			return &dests[i]
		}
	}
	return &dests[len(dests)-1]
}

// httpOfGRPC is the status of an abort by gRPC status, for a request that is not gRPC.
var httpOfGRPC = map[string]int{"14": 503, "5": 404, "4": 504}
