package validate

import (
	"strings"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// isQualified tells whether s is a name as Kubernetes wants it in labels: letters, digits, -, _ and ., the first
// and last of them a letter or digit.
func isQualified(s string) bool {
	if s == "" || !alnum(s[0]) || !alnum(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !alnum(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// isLabelKey tells whether k can be the key of a label: "app", "example.com/app".
func isLabelKey(k string) bool {
	name := k
	if prefix, rest, ok := strings.Cut(k, "/"); ok {
		name = rest
		if len(prefix) > 253 {
			return false
		}
		for l := range strings.SplitSeq(prefix, ".") {
			if !isQualified(l) || strings.Contains(l, "_") {
				return false
			}
		}
	}
	return isQualified(name) && len(name) <= maxLabel
}

func labelPair(fs *finding.Faults, path, key, value string) {
	if !isLabelKey(key) {
		fs.Errorf(path, "%q is not a label key: letters, digits, -, _ and ., at most 63, perhaps after a domain and /", key)
	}
	if value != "" && !isQualified(value) {
		fs.Errorf(path, "%q is not a label value: letters, digits, -, _ and ., the ends letters or digits", value)
	}
}

// labelMap wants keys and values that labels can have.
func labelMap(fs *finding.Faults, path string, labels map[string]string) {
	for _, k := range sorted(labels) {
		labelPair(fs, finding.Key(path, k), k, labels[k])
	}
}
