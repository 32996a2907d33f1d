package route

import (
	"fmt"
	"strings"
)

// Rejection says why a route before the hit did not match.
type Rejection struct {
	// Index is the route's place among those given to [New], Name its name.
	Index int    `json:"index"`
	Name  string `json:"name,omitempty"`
	// Reason is the first condition that failed, in words; where the route has several match entries, that of
	// each: `headers[user-agent] regex ".*Chrome.*" does not match "curl/8"`.
	Reason string `json:"reason"`
}

// Explain finds the route of a request as Match does, and says of each route before it why it was passed over.
// It looks at the routes one by one: it is for people, not for the path of requests.
func (r *Router) Explain(q *Request) (hit *Route, rejected []Rejection) {
	for i := range r.starts {
		entries := r.entries(i)
		reasons := make([]string, 0, len(entries))
		for n := range entries {
			e := &entries[n]
			if e.meets(q, false) {
				return e, rejected
			}
			reason := e.unmet(q)
			if len(entries) > 1 {
				reason = fmt.Sprintf("match[%d]: %s", n, reason)
			}
			reasons = append(reasons, reason)
		}
		rejected = append(rejected, Rejection{Index: i, Name: entries[0].spec.Name, Reason: strings.Join(reasons, "; ")})
	}
	return nil, rejected
}

// unmet is the first condition that failed, in words.
func (r *Route) unmet(q *Request) string {
	for i := range r.conds {
		if !r.conds[i].met(q) {
			return r.conds[i].unmet(q)
		}
	}
	return ""
}
