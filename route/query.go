package route

import "strings"

// queryValue is the value of the parameter's first occurrence, as it was sent, and whether there is one.
// Envoy does not decode percent signs or plus signs here, so neither do we.
func queryValue(raw, name string) (string, bool) {
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		if k, v, _ := strings.Cut(pair, "="); k == name {
			return v, true
		}
	}
	return "", false
}
