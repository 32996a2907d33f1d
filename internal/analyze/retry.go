package analyze

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// retried warns of routes that send POST and PATCH again though the server may have done what they ask.
func (a *analysis) retried(v *virtualService, path string, r *networking.HTTPRoute) {
	if r.Retries.GetAttempts() <= 0 || r.Redirect != nil || r.DirectResponse != nil {
		return
	}
	var unsafe []string
	for on := range strings.SplitSeq(r.Retries.GetRetryOn(), ",") {
		if on = strings.TrimSpace(on); mayBeDone(on) && !slices.Contains(unsafe, on) {
			unsafe = append(unsafe, on)
		}
	}
	if len(unsafe) == 0 {
		return
	}
	methods := unsafeMethods(r.Match)
	if len(methods) == 0 {
		return
	}
	a.warn(v.Object, path+".retries.retryOn", finding.CodeRetryUnsafe,
		"%s is sent again on %s, when the server may have done it already: give such methods a route of their own, or make them safe to repeat",
		strings.Join(methods, " or "), strings.Join(unsafe, ", "))
}

// mayBeDone tells whether the condition is met by requests that the server may have worked on.
func mayBeDone(on string) bool {
	switch on {
	case "5xx", "gateway-error", "reset", "deadline-exceeded", "internal":
		return true
	}
	code, err := strconv.Atoi(on)
	return err == nil && code >= 500
}

// unsafeMethods are those of POST and PATCH that a route can take.
func unsafeMethods(matches []*networking.HTTPMatchRequest) []string {
	var out []string
	for _, method := range []string{"POST", "PATCH"} {
		if len(matches) == 0 || slices.ContainsFunc(matches, func(m *networking.HTTPMatchRequest) bool { return takesMethod(m, method) }) {
			out = append(out, method)
		}
	}
	return out
}

func takesMethod(m *networking.HTTPMatchRequest, method string) bool {
	if !matches(m.GetMethod(), method) {
		return false
	}
	for name, want := range m.GetHeaders() {
		if strings.EqualFold(name, ":method") && !matches(want, method) {
			return false
		}
	}
	for name, not := range m.GetWithoutHeaders() {
		if strings.EqualFold(name, ":method") && matches(not, method) {
			return false
		}
	}
	return true
}

// matches tells whether the text meets the condition; a condition of no kind is met, and so is a regex that is none.
func matches(m *networking.StringMatch, text string) bool {
	switch want := m.GetMatchType().(type) {
	case *networking.StringMatch_Exact:
		return text == want.Exact
	case *networking.StringMatch_Prefix:
		return strings.HasPrefix(text, want.Prefix)
	case *networking.StringMatch_Regex:
		re, err := regexp.Compile(`^(?:` + want.Regex + `)$`)
		return err != nil || re.MatchString(text)
	}
	return true
}
