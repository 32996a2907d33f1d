package validate

import (
	"fmt"
	"math"
	"strings"
	"testing"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

func prefix(s string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: s}}
}

// TestLarge judges what would take hours if the work grew with the square of it.
func TestLarge(t *testing.T) {
	const n = 50000
	to := []*networking.HTTPRouteDestination{{Destination: &networking.Destination{Host: "a"}}}
	for _, tc := range []struct {
		name  string
		match func(i int) *networking.HTTPMatchRequest
	}{
		{"prefixes", func(i int) *networking.HTTPMatchRequest {
			return &networking.HTTPMatchRequest{Uri: prefix(fmt.Sprintf("/%d/", i))}
		}},
		{"one prefix", func(i int) *networking.HTTPMatchRequest {
			return &networking.HTTPMatchRequest{Uri: prefix("/"), Headers: map[string]*networking.StringMatch{"x": prefix(fmt.Sprintf("%d-", i))}}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := &networking.VirtualService{Hosts: []string{"a"}}
			for i := range n {
				v.Http = append(v.Http, &networking.HTTPRoute{Match: []*networking.HTTPMatchRequest{tc.match(i)}, Route: to})
			}
			if got := Spec(v); len(got) > 0 {
				t.Errorf("got %d faults, want none: %v", len(got), got[0])
			}
		})
	}
	t.Run("hosts", func(t *testing.T) {
		v := &networking.VirtualService{Http: []*networking.HTTPRoute{{Route: to}}}
		for i := range n {
			v.Hosts = append(v.Hosts, fmt.Sprintf("*.h%d.com", i))
		}
		if got := Spec(v); len(got) > 0 {
			t.Errorf("got %d faults, want none: %v", len(got), got[0])
		}
	})
}

func TestRegex(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		fine       bool
	}{
		{"plain", "a.*b", true},
		{"flags", "(?i)a", true},
		{"empty", "", false},
		{"unclosed", "(", false},
		{"look-ahead", "(?=a)", false},
		{"back-reference", `(a)\1`, false},
		{"huge repetition", "(a{1000}){1000}", false},
		{"nested repetition", "((((a{100}){100}){100}){100})", false},
		{"1024 bytes", strings.Repeat("a", 1024), true},
		{"1025 bytes", strings.Repeat("a", 1025), false},
		{"deep", strings.Repeat("(", 512) + strings.Repeat(")", 512), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var fs finding.Faults
			Regex(&fs, "at", tc.text)
			if (len(fs) == 0) != tc.fine {
				t.Errorf("got %v, want fine %v", fs, tc.fine)
			}
		})
	}
}

func TestPercent(t *testing.T) {
	for _, tc := range []struct {
		value        float64
		fine, mirror bool
	}{
		{0, true, true}, {0.0001, true, true}, {0.00009, false, true}, {100, true, true}, {100.1, false, false},
		{-1, false, false}, {math.NaN(), false, false}, {math.Inf(1), false, false}, {math.Inf(-1), false, false},
	} {
		var fs, ms finding.Faults
		Percent(&fs, "at", &networking.Percent{Value: tc.value})
		mirrorPercent(&ms, "at", &networking.Percent{Value: tc.value})
		if (len(fs) == 0) != tc.fine || (len(ms) == 0) != tc.mirror {
			t.Errorf("%v: got %v and %v, want fine %v and %v", tc.value, fs, ms, tc.fine, tc.mirror)
		}
	}
}
