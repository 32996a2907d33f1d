package validate

import (
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// Headers judges header operations on requests and responses.
func Headers(fs *finding.Faults, path string, h *networking.Headers) {
	if h == nil {
		return
	}
	headerOps(fs, finding.Join(path, "request"), h.Request, true)
	headerOps(fs, finding.Join(path, "response"), h.Response, false)
}

// headerOps judges one direction. The authority may be set or added to requests, and is otherwise out of reach.
func headerOps(fs *finding.Faults, path string, ops *networking.Headers_HeaderOperations, request bool) {
	if ops == nil {
		return
	}
	for _, op := range []struct {
		name   string
		values map[string]string
	}{{"set", ops.Set}, {"add", ops.Add}} {
		for _, name := range sorted(op.values) {
			at := finding.Key(finding.Join(path, op.name), name)
			headerName(fs, at, name, request)
			if p := headerValueProblem(op.values[name]); p != "" {
				fs.Errorf(at, "the value %q %s", op.values[name], p)
			}
		}
	}
	for i, name := range ops.Remove {
		headerName(fs, finding.Index(finding.Join(path, "remove"), i), name, false)
	}
}

func headerName(fs *finding.Faults, path, name string, authority bool) {
	host := strings.EqualFold(name, "host")
	switch {
	case name == "":
		fs.Errorf(path, "the header has no name")
	case authority && (host || strings.EqualFold(name, ":authority")):
	case host:
		fs.Errorf(path, "%q can be set or added in requests only", name)
	case name[0] == ':':
		fs.Errorf(path, "%q is a pseudo-header, which cannot be changed", name)
	}
}

// headerValueProblem says what Envoy would not accept in a header's value: control characters, and a % that
// belongs to no %COMMAND% or %COMMAND(arguments)% and is not doubled; "" means nothing.
//
// https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#custom-request-response-headers
func headerValueProblem(v string) string {
	for i := range len(v) {
		if v[i] < ' ' && v[i] != '\t' || v[i] == 0x7f {
			return "has control characters"
		}
	}
	for {
		_, rest, ok := strings.Cut(v, "%")
		if !ok {
			return ""
		}
		if v, ok = strings.CutPrefix(rest, "%"); ok {
			continue
		}
		if v, ok = command(rest); !ok {
			return "has a % that is neither doubled nor part of a %COMMAND%"
		}
	}
}

// command reads a command after its first %, and gives what comes after its last.
func command(s string) (rest string, ok bool) {
	i := strings.IndexAny(s, "%(")
	if i < 0 {
		return "", false
	}
	if s[i] == '%' {
		return s[i+1:], true
	}
	s = blanks(s[i+1:])
	if s == "" {
		return "", false
	}
	list := s[0] == '['
	s = s[1:] // a bracket, or the first character of a plain argument
	for {
		if list {
			if s, ok = strings.CutPrefix(blanks(s), `"`); !ok {
				return "", false
			}
		}
		var end byte
		if end, s = argument(s); end == 0 {
			return "", false
		}
		if end == '"' {
			if s = blanks(s); s == "" {
				return "", false
			}
			end, s = s[0], s[1:]
			if end == ',' {
				list = true
				continue
			}
			if end != ']' {
				return "", false
			}
			if s, ok = strings.CutPrefix(blanks(s), ")"); !ok {
				return "", false
			}
		}
		return strings.CutPrefix(blanks(s), "%")
	}
}

// argument skips to the quote or parenthesis that ends an argument, and over it; 0 means that none does.
func argument(s string) (end byte, rest string) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"', ')':
			return s[i], s[i+1:]
		}
	}
	return 0, ""
}

func blanks(s string) string { return strings.TrimLeft(s, " ") }
