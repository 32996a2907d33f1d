package mesh

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/route"
)

// What becomes of a request, as [Explanation.Outcome] names it.
const (
	OutcomeRoute          = "route"          // it is forwarded
	OutcomeRedirect       = "redirect"       // it is answered with a Location
	OutcomeDirectResponse = "directResponse" // it is answered by the rule
	OutcomeNoRoute        = "noRoute"        // the host has rules and none of them matches: 404
	OutcomePassthrough    = "passthrough"    // no rule names the host: it is sent unchanged
	OutcomeBlocked        = "blocked"        // no rule names the host, and only such are allowed: 502
)

// Explanation is what the rules make of a request, without anything being sent. What does not apply is zero, and
// absent in JSON.
type Explanation struct {
	Outcome string `json:"outcome"`
	// VirtualHost names the set of rules that answers for the host.
	VirtualHost string `json:"virtualHost,omitempty"`
	// VirtualService is the rule's "namespace/name", absent for a service's default route.
	VirtualService string          `json:"virtualService,omitempty"`
	Route          *ExplainedRoute `json:"route,omitempty"`
	// Destinations are those that one is drawn from, by weight.
	Destinations []ExplainedDestination `json:"destinations,omitempty"`
	// Path (with the query) and Authority are as sent upstream.
	Path      string `json:"path,omitempty"`
	Authority string `json:"authority,omitempty"`
	// Code, Location and Body are those of an answer of our own.
	Code     int    `json:"code,omitempty"`
	Location string `json:"location,omitempty"`
	Body     string `json:"body,omitempty"`
	// RequestHeaders and ResponseHeaders are changed so. Where there are several destinations, each may have its own
	// changes too: they come first.
	RequestHeaders  *route.Ops         `json:"requestHeaders,omitempty"`
	ResponseHeaders *route.Ops         `json:"responseHeaders,omitempty"`
	Fault           *ExplainedFault    `json:"fault,omitempty"`
	Timeout         string             `json:"timeout,omitempty"`
	Retries         *ExplainedRetries  `json:"retries,omitempty"`
	Mirrors         []ExplainedMirror  `json:"mirrors,omitempty"`
	CORS            *ExplainedCORS     `json:"cors,omitempty"`
	Rejected        []ExplainedRejects `json:"rejected,omitempty"`
}

// ExplainedRoute is the route that won: its place in the rule's http list, its name, and where it is written.
type ExplainedRoute struct {
	Index    int               `json:"index"`
	Name     string            `json:"name,omitempty"`
	Position *finding.Position `json:"position,omitempty"`
}

// ExplainedDestination is one place that the request may be sent to.
type ExplainedDestination struct {
	// Cluster is Envoy's name: "outbound|9080|v1|reviews.default.svc.cluster.local".
	Cluster string `json:"cluster"`
	Weight  int    `json:"weight,omitempty"`
	// Endpoints are the addresses behind it, those that are ejected left out.
	Endpoints []string `json:"endpoints,omitempty"`
	Ejected   []string `json:"ejected,omitempty"`
	// Balancing tells how one of them is picked, where a hash, localities or warmup have a say in it.
	Balancing *ExplainedBalancing `json:"balancing,omitempty"`
	// Missing says why there is no such cluster: 503 NC.
	Missing string `json:"missing,omitempty"`
	// Authority is set where it differs from that of the first destination.
	Authority       string     `json:"authority,omitempty"`
	RequestHeaders  *route.Ops `json:"requestHeaders,omitempty"`
	ResponseHeaders *route.Ops `json:"responseHeaders,omitempty"`
}

// ExplainedFault is what is injected, with its percentages. Scope is "attempt" where each attempt draws its own, and
// absent where the request does, once.
type ExplainedFault struct {
	Scope string          `json:"scope,omitempty"`
	Delay *ExplainedDelay `json:"delay,omitempty"`
	Abort *ExplainedAbort `json:"abort,omitempty"`
}

// ExplainedDelay is a delay and its share of requests in percent.
type ExplainedDelay struct {
	FixedDelay string  `json:"fixedDelay"`
	Percentage float64 `json:"percentage"`
}

// ExplainedAbort is an abort, by HTTP or gRPC status, and its share of requests in percent.
type ExplainedAbort struct {
	HTTPStatus int     `json:"httpStatus,omitempty"`
	GRPCStatus string  `json:"grpcStatus,omitempty"`
	Percentage float64 `json:"percentage"`
}

// ExplainedRetries is what is tried again.
type ExplainedRetries struct {
	Attempts      int    `json:"attempts"`
	PerTryTimeout string `json:"perTryTimeout,omitempty"`
	// Hedge is true where the timeout ends no attempt, but has another one begin beside it.
	Hedge   bool   `json:"hedgeOnPerTryTimeout,omitempty"`
	RetryOn string `json:"retryOn,omitempty"`
	Backoff string `json:"backoff,omitempty"`
}

// ExplainedMirror is a cluster that gets a share of requests, in percent, as copies.
type ExplainedMirror struct {
	Cluster    string  `json:"cluster"`
	Percentage float64 `json:"percentage"`
}

// ExplainedCORS is the route's policy for other origins.
type ExplainedCORS struct {
	AllowOrigins     []string `json:"allowOrigins,omitempty"`
	AllowMethods     []string `json:"allowMethods,omitempty"`
	AllowHeaders     []string `json:"allowHeaders,omitempty"`
	ExposeHeaders    []string `json:"exposeHeaders,omitempty"`
	MaxAge           string   `json:"maxAge,omitempty"`
	AllowCredentials bool     `json:"allowCredentials,omitempty"`
}

// ExplainedRejects is an earlier route and the first condition of it that the request did not meet.
type ExplainedRejects struct {
	Index    int               `json:"index"`
	Name     string            `json:"name,omitempty"`
	Reason   string            `json:"reason"`
	Position *finding.Position `json:"position,omitempty"`
}

// String tells the explanation in lines for people.
func (e *Explanation) String() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-16s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("outcome", "%s", e.Outcome)
	if e.VirtualHost != "" {
		line("virtual host", "%s", e.VirtualHost)
	}
	if e.VirtualService != "" {
		line("VirtualService", "%s", e.VirtualService)
	}
	for _, r := range e.Rejected {
		line("not", "%s: %s", routeName(r.Index, r.Name, r.Position), r.Reason)
	}
	if r := e.Route; r != nil {
		line("route", "%s", routeName(r.Index, r.Name, r.Position))
	}
	if f := e.Fault; f != nil {
		of := ""
		if f.Scope != "" {
			of = " of each " + f.Scope
		}
		if f.Delay != nil {
			line("delay", "%s for %v %%%s", f.Delay.FixedDelay, f.Delay.Percentage, of)
		}
		if f.Abort != nil {
			line("abort", "%s for %v %%%s", cmp.Or(f.Abort.GRPCStatus, fmt.Sprint(f.Abort.HTTPStatus)), f.Abort.Percentage, of)
		}
	}
	if c := e.CORS; c != nil {
		line("cors", "origins %s", strings.Join(c.AllowOrigins, ", "))
	}
	if e.Code != 0 {
		line("answer", "%s", strings.TrimSpace(fmt.Sprintf("%d %s%s", e.Code, e.Location, e.Body)))
	}
	if e.Path != "" {
		line("sent as", "%s to %s", e.Path, e.Authority)
	}
	ops := func(name string, o *route.Ops) {
		if o == nil {
			return
		}
		for _, k := range o.Remove {
			line(name, "remove %s", k)
		}
		for _, k := range sortedKeys(o.Set) {
			line(name, "set %s: %s", k, o.Set[k])
		}
		for _, k := range sortedKeys(o.Add) {
			line(name, "add %s: %s", k, o.Add[k])
		}
	}
	ops("request header", e.RequestHeaders)
	ops("response header", e.ResponseHeaders)
	if e.Timeout != "" {
		line("timeout", "%s", e.Timeout)
	}
	if r := e.Retries; r != nil {
		text := fmt.Sprintf("%d on %s", r.Attempts, r.RetryOn)
		if r.PerTryTimeout != "" {
			text += ", " + r.PerTryTimeout + " per try"
			if r.Hedge {
				text += ", then another beside it"
			}
		}
		line("retries", "%s", text)
	}
	for _, m := range e.Mirrors {
		line("mirror", "%s, %v %%", m.Cluster, m.Percentage)
	}
	for _, d := range e.Destinations {
		text := d.Cluster
		if d.Weight > 0 {
			text += fmt.Sprintf(", weight %d", d.Weight)
		}
		switch {
		case d.Missing != "":
			text += ": missing: " + d.Missing
		case len(d.Endpoints) == 0 && len(d.Ejected) == 0:
			text += ": no endpoint"
		default:
			text += ": " + strings.Join(d.Endpoints, ", ")
			if len(d.Ejected) > 0 {
				text += " (ejected: " + strings.Join(d.Ejected, ", ") + ")"
			}
		}
		line("destination", "%s", text)
		d.Balancing.write(line)
		if d.Authority != "" {
			line("  sent to", "%s", d.Authority)
		}
		ops("  request header", d.RequestHeaders)
		ops("  response header", d.ResponseHeaders)
	}
	return b.String()
}

func routeName(index int, name string, p *finding.Position) string {
	text := fmt.Sprintf("http[%d]", index)
	if name != "" {
		text += " " + name
	}
	if p != nil {
		text += " (" + p.String() + ")"
	}
	return text
}
