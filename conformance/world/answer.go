package world

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// What becomes of a request, in the words of inmesh's explanations.
const (
	Route          = "route"
	Redirect       = "redirect"
	DirectResponse = "directResponse"
	NoRoute        = "noRoute"
	Passthrough    = "passthrough"
	Blocked        = "blocked"
)

// Answer is what becomes of a request: the form in which both sides are compared. What does not apply is zero.
type Answer struct {
	Outcome string `json:"outcome"`
	// Error says why a side has no answer.
	Error    string   `json:"error,omitempty"`
	Route    string   `json:"route,omitempty"` // its name
	Dests    []Dest   `json:"dests,omitempty"`
	Path     string   `json:"path,omitempty"` // as sent upstream, with the query
	Code     int      `json:"code,omitempty"`
	Location string   `json:"location,omitempty"`
	Body     string   `json:"body,omitempty"`
	Response Headers  `json:"response,omitempty"` // of an answer that no upstream gives: what becomes of the probe
	Timeout  string   `json:"timeout,omitempty"`
	Retries  *Retries `json:"retries,omitempty"`
	Fault    *Fault   `json:"fault,omitempty"`
	Mirrors  []Mirror `json:"mirrors,omitempty"`
	CORS     *CORS    `json:"cors,omitempty"`
}

// Dest is one place that a request may go to.
type Dest struct {
	Cluster   string  `json:"cluster"`
	Weight    int     `json:"weight,omitempty"` // 0 where there is one destination
	Missing   bool    `json:"missing,omitempty"`
	Authority string  `json:"authority,omitempty"` // as sent upstream
	Request   Headers `json:"request,omitempty"`   // what becomes of the request's headers
	Response  Headers `json:"response,omitempty"`  // what becomes of the probe
}

// Headers are a message's headers by lower-case name; several values are joined with commas.
type Headers map[string]string

// Retries is a retry policy.
type Retries struct {
	Attempts int      `json:"attempts"`
	On       []string `json:"on"` // sorted, without "retriable-status-codes"
	PerTry   string   `json:"perTry,omitempty"`
	Backoff  string   `json:"backoff"`
}

// Fault is what is injected; shares are in millionths.
type Fault struct {
	Delay      string `json:"delay,omitempty"`
	DelayShare int    `json:"delayShare,omitempty"`
	HTTP       int    `json:"http,omitempty"`
	GRPC       string `json:"grpc,omitempty"` // the status' number, "" for none
	AbortShare int    `json:"abortShare,omitempty"`
}

// Mirror is a cluster that gets copies; the share is in millionths.
type Mirror struct {
	Cluster string `json:"cluster"`
	Share   int    `json:"share"`
}

// CORS is a policy for other origins.
type CORS struct {
	Origins     []string `json:"origins,omitempty"` // "=exact", "^prefix", "~regex"
	Methods     string   `json:"methods,omitempty"`
	Headers     string   `json:"headers,omitempty"`
	Expose      string   `json:"expose,omitempty"`
	MaxAge      string   `json:"maxAge,omitempty"`
	Credentials bool     `json:"credentials,omitempty"`
	// Ignore is true where a preflight of another origin is answered, not forwarded. An explanation does not tell it.
	Ignore bool `json:"-"`
}

// Allows tells whether the policy allows the origin.
func (c *CORS) Allows(origin string) bool {
	for _, o := range c.Origins {
		ok := false
		switch o[0] {
		case '=':
			ok = o == "=*" || o[1:] == origin
		case '^':
			ok = strings.HasPrefix(origin, o[1:])
		case '~':
			re, err := regexp.Compile("^(?:" + o[1:] + ")$")
			ok = err == nil && re.MatchString(origin)
		}
		if ok {
			return true
		}
	}
	return false
}

// Probe is the response header that header operations are tried on.
func Probe() Headers { return Headers{"h1": "up1", "h2": "up2", "content-type": "text/plain"} }

// Settle brings the answer into its one form: destinations of weight 0 are never drawn, and one alone has no weight.
func (a *Answer) Settle() {
	if len(a.Dests) > 1 {
		a.Dests = slices.DeleteFunc(a.Dests, func(d Dest) bool { return d.Weight == 0 })
	}
	if len(a.Dests) == 1 {
		a.Dests[0].Weight = 0
	}
	if r := a.Retries; r != nil {
		r.On = slices.DeleteFunc(r.On, func(s string) bool { return s == "" || s == "retriable-status-codes" })
		slices.Sort(r.On)
		r.On = slices.Compact(r.On)
	}
	if f := a.Fault; f != nil {
		// What has no share does nothing.
		if f.DelayShare == 0 {
			f.Delay = ""
		}
		if f.AbortShare == 0 {
			f.HTTP, f.GRPC = 0, ""
		}
		if *f == (Fault{}) {
			a.Fault = nil
		}
	}
}

// String is the answer as one line of JSON.
func (a Answer) String() string { return text(a) }

// Fields is the answer field by field, for telling where two answers differ.
func (a Answer) fields() [][2]string {
	dests := func(f func(Dest) any) string {
		var out []string
		for _, d := range a.Dests {
			out = append(out, text(f(d)))
		}
		return strings.Join(out, " ")
	}
	return [][2]string{
		{"error", a.Error}, {"outcome", a.Outcome}, {"code", fmt.Sprint(a.Code)}, {"location", a.Location}, {"body", a.Body}, {"route", a.Route},
		{"cluster", dests(func(d Dest) any { return d.Cluster })}, {"weight", dests(func(d Dest) any { return d.Weight })},
		{"missing", dests(func(d Dest) any { return d.Missing })}, {"path", a.Path},
		{"authority", dests(func(d Dest) any { return d.Authority })}, {"requestHeaders", dests(func(d Dest) any { return d.Request })},
		{"responseHeaders", text(a.Response) + dests(func(d Dest) any { return d.Response })}, {"timeout", a.Timeout}, {"retries", text(a.Retries)},
		{"fault", text(a.Fault)}, {"mirrors", text(a.Mirrors)}, {"cors", text(a.CORS)},
	}
}

// Diff is the first field in which two answers differ, with both values; ok is true if there is none.
func Diff(want, got Answer) (field, wanted, gotten string, ok bool) {
	w, g := want.fields(), got.fields()
	for i := range w {
		if w[i] != g[i] {
			return w[i][0], w[i][1], g[i][1], false
		}
	}
	return "", "", "", true
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
