package validate

import (
	"regexp/syntax"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// maxRegex is the longest regex in bytes.
const maxRegex = 1024

// StringMatch wants a prefix or regex that is not empty, and a regex that RE2 can compile. Nil, and a match of no
// kind, are fine: they ask for presence.
func StringMatch(fs *finding.Faults, path string, m *networking.StringMatch) {
	if p, ok := m.GetMatchType().(*networking.StringMatch_Prefix); ok && p.Prefix == "" {
		fs.Errorf(finding.Join(path, "prefix"), "the prefix is empty")
	}
	regexMatch(fs, path, m)
}

// regexMatch is StringMatch where an empty prefix is allowed.
func regexMatch(fs *finding.Faults, path string, m *networking.StringMatch) {
	if r, ok := m.GetMatchType().(*networking.StringMatch_Regex); ok {
		Regex(fs, finding.Join(path, "regex"), r.Regex)
	}
}

// Regex wants an expression of RE2 of 1 to 1024 bytes.
func Regex(fs *finding.Faults, path, s string) {
	switch {
	case s == "":
		fs.Errorf(path, "the regex is empty")
	case len(s) > maxRegex:
		fs.Errorf(path, "the regex has %d bytes, more than %d", len(s), maxRegex)
	default:
		if _, err := syntax.Parse(s, syntax.Perl); err != nil {
			fs.Errorf(path, "%q is not a regex of RE2 (https://github.com/google/re2/wiki/Syntax): %v", s, err)
		}
	}
}
