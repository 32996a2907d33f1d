package route

import (
	"net/http"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// CORS is a compiled CorsPolicy. It acts on requests with an Origin. It is immutable.
//
// See https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/cors_filter.
type CORS struct {
	origins                  []text
	any                      bool // some origin match takes "*"
	methods, headers, expose string
	maxAge                   string
	credentials              bool
	ignore                   bool // answer preflights of other origins too, without allow-origin
}

// newCORS compiles a policy; nil for nil.
func newCORS(p *networking.CorsPolicy, c *compiler) (*CORS, error) {
	if p == nil {
		return nil, nil
	}
	out := &CORS{
		methods: strings.Join(p.AllowMethods, ","), headers: strings.Join(p.AllowHeaders, ","),
		expose: strings.Join(p.ExposeHeaders, ","), credentials: p.GetAllowCredentials().GetValue(),
		ignore: p.UnmatchedPreflights == networking.CorsPolicy_IGNORE,
	}
	if p.MaxAge != nil {
		out.maxAge = strconv.FormatInt(p.MaxAge.Seconds, 10)
	}
	matches := p.AllowOrigins
	if matches == nil {
		for _, o := range p.AllowOrigin { // the older form, which Istio still honours
			matches = append(matches, &networking.StringMatch{MatchType: &networking.StringMatch_Exact{Exact: o}})
		}
	}
	for _, m := range matches {
		t, err := c.text(m, false)
		if err != nil {
			return nil, err
		}
		out.origins = append(out.origins, t)
		// Envoy asks each match whether it takes "*" and then lets every origin in.
		out.any = out.any || t.match("*")
	}
	return out, nil
}

// Allows tells whether the origin is let in. An empty origin is not.
func (c *CORS) Allows(origin string) bool {
	if origin == "" {
		return false
	}
	if c.any {
		return true
	}
	for i := range c.origins {
		if c.origins[i].match(origin) {
			return true
		}
	}
	return false
}

// Preflight answers a browser's preflight; handled is false where the request is to be forwarded: it is no
// preflight, or its origin is not let in and the policy forwards such.
func (c *CORS) Preflight(q *Request) (reply *answer.Reply, handled bool) {
	origin, _ := first(q.Header, "Origin")
	method, _ := first(q.Header, "Access-Control-Request-Method")
	if q.Method != http.MethodOptions || origin == "" || method == "" {
		return nil, false
	}
	allowed := c.Allows(origin)
	if !allowed && !c.ignore {
		return nil, false
	}
	r := &answer.Reply{Status: http.StatusOK, Header: make(http.Header), GRPC: -1}
	set := func(name, value string) {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	if allowed {
		set("Access-Control-Allow-Origin", origin)
	}
	if c.credentials {
		set("Access-Control-Allow-Credentials", "true")
	}
	set("Access-Control-Allow-Methods", c.methods)
	if c.methods == "*" {
		set("Access-Control-Allow-Methods", method)
	}
	if c.headers == "*" {
		asked, _ := first(q.Header, "Access-Control-Request-Headers")
		set("Access-Control-Allow-Headers", asked)
	} else {
		set("Access-Control-Allow-Headers", c.headers)
	}
	set("Access-Control-Max-Age", c.maxAge)
	return r, true
}

// Apply adds to a response what the origin's browser needs to hand it to the page; nothing for origins that are
// not let in.
func (c *CORS) Apply(origin string, h http.Header) {
	if !c.Allows(origin) {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if c.credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if c.expose != "" {
		h.Set("Access-Control-Expose-Headers", c.expose)
	}
}
