package route_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/route"
)

func TestRefused(t *testing.T) {
	to := []*networking.HTTPRouteDestination{{Destination: &networking.Destination{Host: "a"}}}
	set := func(value string) *networking.Headers {
		return &networking.Headers{Request: &networking.Headers_HeaderOperations{Set: map[string]string{"a": value}}}
	}
	tests := []struct {
		name string
		spec *networking.HTTPRoute
		want []string // paths
	}{
		{"nil", nil, nil},
		{"plain", &networking.HTTPRoute{Route: to}, nil},
		{"an operator", &networking.HTTPRoute{Route: to, Headers: set("%REQ(b)%")}, nil},
		{"an unknown operator", &networking.HTTPRoute{Route: to, Headers: set("%GEOIP%")}, []string{"headers.request.set[a]"}},
		{"a destination's unknown operator", &networking.HTTPRoute{Route: []*networking.HTTPRouteDestination{{Destination: to[0].Destination, Headers: set("%GEOIP%")}}},
			[]string{"route[0].headers.request.set[a]"}},
		{"a redirect that is none", &networking.HTTPRoute{Redirect: &networking.HTTPRedirect{Uri: "/", RedirectCode: 304}}, []string{"redirect.redirectCode"}},
		{"a substitution that is none", &networking.HTTPRoute{Route: to, Rewrite: &networking.HTTPRewrite{
			UriRegexRewrite: &networking.RegexRewrite{Match: "a", Rewrite: `\x`}}}, []string{"rewrite.uriRegexRewrite.rewrite"}},
		{"rejected by admission", &networking.HTTPRoute{Redirect: &networking.HTTPRedirect{Uri: "/", RedirectCode: 99}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range route.Refused(tt.spec) {
				if f.Severity != finding.Error || f.Message == "" {
					t.Errorf("%+v, expected an error with a message", f)
				}
				got = append(got, f.Path)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, err := route.New(tt.spec); (err == nil) != (len(got) == 0) && tt.name != "nil" && tt.name != "rejected by admission" {
				t.Errorf("New says %v", err)
			}
		})
	}
}
