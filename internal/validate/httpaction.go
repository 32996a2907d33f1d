package validate

import (
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

const (
	maxBody  = 1 << 20   // bytes in the body of a direct response
	warnBody = 100 << 10 // from here on Istio warns
)

// Redirect judges a redirect on its own, not whether it fits the route's matches.
func Redirect(fs *finding.Faults, path string, r *networking.HTTPRedirect) {
	if r == nil {
		return
	}
	switch {
	case r.Uri != "" && r.PrefixRewrite != "":
		fs.Errorf(finding.Join(path, "prefixRewrite"), "uri and prefixRewrite are set together")
	case r.Uri == "" && r.PrefixRewrite == "" && r.Authority == "" && r.RedirectPort == nil && r.Scheme == "":
		fs.Errorf(path, "nothing changes, want uri, prefixRewrite, authority, port, derivePort or scheme")
	}
	if c := r.RedirectCode; c != 0 && (c < 300 || c > 399) {
		fs.Errorf(finding.Join(path, "redirectCode"), "%d is not in 300..399", c)
	}
	if r.Scheme != "" && r.Scheme != "http" && r.Scheme != "https" {
		fs.Errorf(finding.Join(path, "scheme"), "%q is not http or https", r.Scheme)
	}
	switch p := r.RedirectPort.(type) {
	case *networking.HTTPRedirect_Port:
		if p.Port != 0 {
			port(fs, finding.Join(path, "port"), p.Port)
		}
	case *networking.HTTPRedirect_DerivePort:
		enum(fs, finding.Join(path, "derivePort"), p.DerivePort)
	}
}

// redirectPrefix wants every match of the route to have the prefix that the redirect replaces.
func redirectPrefix(fs *finding.Faults, path string, r *networking.HTTPRoute) {
	if r.Redirect.GetPrefixRewrite() == "" {
		return
	}
	for i, m := range r.Match {
		if m.GetUri() == nil {
			continue
		}
		if _, ok := m.Uri.MatchType.(*networking.StringMatch_Prefix); !ok {
			fs.Errorf(finding.Join(path, "redirect.prefixRewrite"), "match[%d].uri has no prefix that could be replaced", i)
			return
		}
	}
}

// Rewrite judges a rewrite.
func Rewrite(fs *finding.Faults, path string, r *networking.HTTPRewrite) {
	if r == nil {
		return
	}
	re := r.UriRegexRewrite
	switch {
	case r.Uri == "" && re == nil && r.Authority == "":
		fs.Errorf(path, "nothing changes, want uri, uriRegexRewrite or authority")
	case r.Uri != "" && re != nil:
		fs.Errorf(finding.Join(path, "uriRegexRewrite"), "uri and uriRegexRewrite are set together")
	case re != nil && (re.Match == "" || re.Rewrite == ""):
		fs.Errorf(finding.Join(path, "uriRegexRewrite"), "half of it is missing, want match and rewrite")
	case re != nil:
		Regex(fs, finding.Join(path, "uriRegexRewrite.match"), re.Match)
	}
}

// DirectResponse judges an answer of our own.
func DirectResponse(fs *finding.Faults, path string, r *networking.HTTPDirectResponse) {
	if r == nil {
		return
	}
	if r.Status < 200 || r.Status > 600 {
		fs.Errorf(finding.Join(path, "status"), "%d is not in 200..600", r.Status)
	}
	size := 0
	switch b := r.Body.GetSpecifier().(type) {
	case *networking.HTTPBody_String_:
		size = len(b.String_)
	case *networking.HTTPBody_Bytes:
		size = len(b.Bytes)
	}
	switch {
	case size > maxBody:
		fs.Errorf(finding.Join(path, "body"), "%d bytes are more than 1 MiB", size)
	case size > warnBody:
		fs.Warnf(finding.Join(path, "body"), codeSchema, "%d bytes are more than 100 KiB, which slows Istio's control plane", size)
	}
}
