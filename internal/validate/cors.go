package validate

import (
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// CORS judges a CORS policy.
func CORS(fs *finding.Faults, path string, c *networking.CorsPolicy) {
	if c == nil {
		return
	}
	for i, o := range c.AllowOrigins {
		at := finding.Index(finding.Join(path, "allowOrigins"), i)
		if o.GetExact() == "" && o.GetPrefix() == "" && o.GetRegex() == "" {
			fs.Errorf(at, "an empty origin, want exact, prefix or regex")
			continue
		}
		regexMatch(fs, at, o)
	}
	for i, m := range c.AllowMethods {
		switch m {
		case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*":
		default:
			fs.Errorf(finding.Index(finding.Join(path, "allowMethods"), i), "%q is not a method of HTTP or *", m)
		}
	}
	for _, list := range []struct {
		name  string
		names []string
	}{{"allowHeaders", c.AllowHeaders}, {"exposeHeaders", c.ExposeHeaders}} {
		for i, n := range list.names {
			if !isToken(n) {
				fs.Errorf(finding.Index(finding.Join(path, list.name), i), "%q is not a header name or *", n)
			}
		}
	}
	Duration(fs, finding.Join(path, "maxAge"), c.MaxAge)
	if c.MaxAge.GetNanos() > 0 {
		fs.Errorf(finding.Join(path, "maxAge"), "%v is not in whole seconds", c.MaxAge.AsDuration())
	}
	enum(fs, finding.Join(path, "unmatchedPreflights"), c.UnmatchedPreflights)
}
