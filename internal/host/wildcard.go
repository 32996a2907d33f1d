package host

import (
	"cmp"
	"strings"
)

// IsWildcard tells whether the pattern begins with a star: "*", "*.foo.com", "*-x.foo.com".
func IsWildcard(pattern string) bool { return pattern != "" && pattern[0] == '*' }

// Match tells whether the pattern names the name: both are the same, or the pattern is a wildcard and the name ends
// in what follows its star, with at least one byte before. So "*.foo.com" does not name foo.com. A name that is a
// wildcard itself is matched where all that it names is: "*.com" matches "*.foo.com", not the other way round.
// Both must be normal.
func Match(pattern, name string) bool {
	if pattern == name {
		return true
	}
	if !IsWildcard(pattern) || name == "" {
		return false
	}
	suffix := pattern[1:]
	if suffix == "" {
		return true
	}
	if IsWildcard(name) {
		return len(name) > len(pattern) && strings.HasSuffix(name, suffix)
	}
	return len(name) > len(suffix) && strings.HasSuffix(name, suffix)
}

// Overlap tells whether some name is matched by both patterns. Both must be normal.
func Overlap(a, b string) bool { return Match(a, b) || Match(b, a) }

// Compare orders patterns by how specific they are: exact names before wildcards, long ones before short ones, ties
// in alphabetical order. Negative means that a goes first.
func Compare(a, b string) int {
	if aw, bw := IsWildcard(a), IsWildcard(b); aw != bw {
		if bw {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
}
