package mesh

import (
	"fmt"
	"math"
	"strings"
)

// ExplainedBalancing is how a destination's requests are shared out among its endpoints at the moment.
type ExplainedBalancing struct {
	// Algorithm is Istio's name of it, RING_HASH or MAGLEV.
	Algorithm string `json:"algorithm"`
	// HashKey is what of a request ties it to an endpoint: "header X-User".
	HashKey string `json:"hashKey,omitempty"`
	// ClientLocality is what the endpoints' localities are compared with.
	ClientLocality string `json:"clientLocality,omitempty"`
	// Priorities are the endpoints by nearness, the first choice first.
	Priorities []ExplainedPriority `json:"priorities,omitempty"`
	// WarmingUp is how many endpoints do not get their full share yet.
	WarmingUp int `json:"warmingUp,omitempty"`
}

// ExplainedPriority is endpoints that are as near as each other. Those of the next priority get what these, for too
// many of them are ejected, do not.
type ExplainedPriority struct {
	// Load is the share of requests, in percent.
	Load int `json:"load"`
	// Panic tells that so few are healthy that all are used.
	Panic      bool                `json:"panic,omitempty"`
	Localities []ExplainedLocality `json:"localities"`
}

// ExplainedLocality is the endpoints of one locality.
type ExplainedLocality struct {
	// Locality is "region/zone/subzone"; empty means unknown.
	Locality string `json:"locality"`
	// Share is that of all the destination's requests, in percent.
	Share     float64  `json:"share"`
	Endpoints []string `json:"endpoints"`
}

// explainBalancing is nil where there is nothing to say but the algorithm.
func (c *cluster) explainBalancing() *ExplainedBalancing {
	b := c.members().balancer
	s := b.Status()
	e := &ExplainedBalancing{Algorithm: string(b.Algorithm()), HashKey: s.Key, WarmingUp: s.Warming}
	endpoints, shares := b.Endpoints(), b.Shares()
	if len(shares) != len(endpoints) {
		shares = make([]float64, len(endpoints)) // an update has come between
	}
	for _, p := range s.Priorities {
		e.Priorities = append(e.Priorities, ExplainedPriority{Load: p.Load, Panic: p.Panic})
	}
	places := 0
	at := make([]map[string]int, len(e.Priorities))
	for i, ep := range endpoints {
		n := ep.Priority()
		if n < 0 || n >= len(at) {
			continue
		}
		p := &e.Priorities[n]
		k, ok := at[n][ep.Locality]
		if !ok {
			if at[n] == nil {
				at[n] = map[string]int{}
			}
			k = len(p.Localities)
			at[n][ep.Locality] = k
			p.Localities = append(p.Localities, ExplainedLocality{Locality: ep.Locality})
			places++
		}
		p.Localities[k].Share += 100 * shares[i]
		p.Localities[k].Endpoints = append(p.Localities[k].Endpoints, ep.Address)
	}
	if places < 2 {
		e.Priorities = nil
	}
	for i := range e.Priorities {
		for k := range e.Priorities[i].Localities {
			l := &e.Priorities[i].Localities[k]
			l.Share = math.Round(100*l.Share) / 100
		}
	}
	if e.HashKey == "" && !c.hashed && e.Priorities == nil && e.WarmingUp == 0 {
		return nil
	}
	if e.Priorities != nil {
		e.ClientLocality = b.Client.Locality
	}
	return e
}

// write tells it in lines for people.
func (e *ExplainedBalancing) write(line func(name, format string, args ...any)) {
	if e == nil {
		return
	}
	text := e.Algorithm
	if e.HashKey != "" {
		text += " by " + e.HashKey
	}
	if e.ClientLocality != "" {
		text += ", from " + e.ClientLocality
	}
	if e.WarmingUp > 0 {
		text += fmt.Sprintf(", %d warming up", e.WarmingUp)
	}
	line("  balancing", "%s", text)
	for i, p := range e.Priorities {
		var parts []string
		for _, l := range p.Localities {
			name := l.Locality
			if name == "" {
				name = "no locality"
			}
			parts = append(parts, fmt.Sprintf("%s %v %% (%s)", name, l.Share, strings.Join(l.Endpoints, ", ")))
		}
		note := ""
		if p.Panic {
			note = ", all are used for so few are healthy"
		}
		line("  priority", "%d gets %d %%%s: %s", i, p.Load, note, strings.Join(parts, ", "))
	}
}
