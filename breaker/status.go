package breaker

import (
	"cmp"
	"slices"
	"time"
)

// HostStatus is what outlier detection knows of an endpoint, for debug pages.
type HostStatus struct {
	Endpoint string `json:"endpoint"`
	Ejected  bool   `json:"ejected"`
	// Cause, Since and Until tell of the ejection that stands; Until is the first sweep that may end it.
	Cause Cause      `json:"cause,omitempty"`
	Since *time.Time `json:"since,omitempty"`
	Until *time.Time `json:"until,omitempty"`
	// Ejections counts the ejections so far.
	Ejections int `json:"ejections"`
	// The failures in a row: statuses of the error kind, gateway errors, failures of our own side.
	Consecutive5xx     uint32 `json:"consecutive5xx"`
	ConsecutiveGateway uint32 `json:"consecutiveGateway"`
	ConsecutiveLocal   uint32 `json:"consecutiveLocal"`
}

// OutlierStatus is the state of a cluster's outlier detection, for debug pages and metrics.
type OutlierStatus struct {
	Hosts []HostStatus `json:"hosts"` // by endpoint
	// Ejected counts the endpoints that are out now.
	Ejected int `json:"ejected"`
	// Enforced counts all ejections; Capped counts those that maxEjectionPercent forbade.
	Enforced uint64 `json:"enforced"`
	Capped   uint64 `json:"capped"`
}

// Status is the state of this moment.
func (o *Outlier) Status() OutlierStatus {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := OutlierStatus{Ejected: len(o.out), Enforced: o.enforced, Capped: o.capped}
	for _, h := range o.hosts {
		answers := h.answers.Load()
		hs := HostStatus{
			Endpoint: h.endpoint, Ejected: h.Ejected(), Ejections: h.ejections,
			Consecutive5xx: uint32(answers & half), ConsecutiveGateway: uint32(answers >> 32), ConsecutiveLocal: h.local.Load(),
		}
		if hs.Ejected {
			since, until := o.start.Add(h.out), o.start.Add(o.limits.boundary(h.due))
			hs.Cause, hs.Since, hs.Until = h.cause, &since, &until
		}
		s.Hosts = append(s.Hosts, hs)
	}
	slices.SortFunc(s.Hosts, func(a, b HostStatus) int { return cmp.Compare(a.Endpoint, b.Endpoint) })
	return s
}
