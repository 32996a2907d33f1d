// Package compare holds the answers of both sides against each other, knows which differences are intended, and reduces
// the others to their smallest form.
package compare

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/go-inmesh/inmesh/conformance/istio"
	"github.com/go-inmesh/inmesh/conformance/ours"
	"github.com/go-inmesh/inmesh/conformance/world"
)

// Difference is one answer in which the sides differ.
type Difference struct {
	Case  *world.Case
	Field string // the first that differs
	Istio string // what Istio has there
	Ours  string
	Want  world.Answer
	Got   world.Answer
}

// String shows the rules, the request and both answers.
func (d *Difference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s differs\n istio  %s\n inmesh %s\n", d.Case.Name, d.Field, d.Istio, d.Ours)
	fmt.Fprintf(&b, "istio says  %s\ninmesh says %s\n", d.Want, d.Got)
	for _, c := range d.Case.Calls {
		for _, r := range c.Requests {
			fmt.Fprintf(&b, "client %s\nrequest %s\n", jsonOf(c.Client), jsonOf(r))
		}
	}
	if d.Case.RegistryOnly {
		b.WriteString("outbound traffic policy REGISTRY_ONLY\n")
	}
	b.WriteString(d.Case.YAML())
	return b.String()
}

func jsonOf(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// Tally counts what was compared.
type Tally struct {
	Cases, Requests int
	Outcomes        map[string]int // by what becomes of requests
	Intended        map[string]int // differences that are on the list, by name
	Sent            int            // requests that were really sent, too
}

// NewTally is an empty one.
func NewTally() *Tally { return &Tally{Outcomes: map[string]int{}, Intended: map[string]int{}} }

// Add takes another tally in.
func (t *Tally) Add(o *Tally) {
	t.Cases, t.Requests, t.Sent = t.Cases+o.Cases, t.Requests+o.Requests, t.Sent+o.Sent
	for k, v := range o.Outcomes {
		t.Outcomes[k] += v
	}
	for k, v := range o.Intended {
		t.Intended[k] += v
	}
}

// Case asks both sides about every request of the case, and sends them where traffic is set. The differences that are
// not intended come back, at most one for each request.
func Case(c *world.Case, traffic bool, t *Tally) ([]*Difference, error) {
	rules, err := ours.Rules(c)
	if err != nil {
		return nil, fmt.Errorf("inmesh refuses what Istio takes: %w", err)
	}
	var out []*Difference
	var failed error
	err = istio.With(c, func(proxy func(world.Client) *istio.Proxy) {
		for _, call := range c.Calls {
			p := proxy(call.Client)
			m, err := ours.New(rules, c, call.Client)
			if err != nil {
				failed = fmt.Errorf("inmesh refuses what Istio takes: %w", err)
				return
			}
			for i, r := range call.Requests {
				found := one(p, m, r, float64(i%8)/8, traffic, t)
				if found != nil {
					found.Case = single(c, call.Client, r)
					out = append(out, found)
				}
			}
			m.Close()
		}
	})
	if err == nil {
		err = failed
	}
	t.Cases++
	return out, err
}

// single is the case with one request.
func single(c *world.Case, cl world.Client, r world.Request) *world.Case {
	return &world.Case{Name: c.Name, Objects: c.Objects, RegistryOnly: c.RegistryOnly, Calls: []world.Call{{Client: cl, Requests: []world.Request{r}}}}
}

func one(p *istio.Proxy, m *ours.Client, r world.Request, rnd float64, traffic bool, t *Tally) *Difference {
	want, got := p.Ask(r), m.Ask(r)
	t.Requests++
	if want.Error != "" && got.Error == "" {
		t.Outcomes["Istio: "+want.Error]++
		return nil
	}
	t.Outcomes[want.Outcome]++
	for _, name := range excuse(p, m, r, &want, &got) {
		t.Intended[name]++
	}
	if p.Opaque(r) {
		want, got = clusterOnly(want), clusterOnly(got)
	}
	if field, w, g, ok := world.Diff(want, got); !ok {
		return &Difference{Field: field, Istio: w, Ours: g, Want: want, Got: got}
	}
	if !traffic || p.Opaque(r) {
		return nil
	}
	if field, w, g, ok := sent(p, m, r, want, rnd, t); !ok {
		return &Difference{Field: "sent " + field, Istio: w, Ours: g, Want: want, Got: got}
	}
	return nil
}

func clusterOnly(a world.Answer) world.Answer {
	out := world.Answer{Outcome: a.Outcome, Error: a.Error}
	for _, d := range a.Dests {
		out.Dests = append(out.Dests, world.Dest{Cluster: d.Cluster})
	}
	return out
}
