package route

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// template is a header value with Envoy's %FORMATTERS%.
// See https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage#command-operators.
type template struct {
	src   string // as the rule has it
	lit   string // the value, where it has no formatters
	parts []part // else its parts
}

// part is a piece of literal text or, where get is set, what the operator makes of the request.
type part struct {
	lit string
	get operator
	max int // bytes, 0 means all
}

// operator reads a value; empty means that there is none.
type operator func(*scene) string

// scene is what operators see.
type scene struct {
	request, response http.Header
	env               *HeaderEnv
}

// parseTemplate compiles a value. An operator that is unknown, or that has no meaning here, is an error.
func parseTemplate(src string) (template, error) {
	t := template{src: src}
	if strings.IndexByte(src, '%') < 0 {
		t.lit = src
		return t, nil
	}
	var lit strings.Builder
	for s := src; s != ""; {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			lit.WriteString(s)
			break
		}
		lit.WriteString(s[:i])
		s = s[i+1:]
		if strings.HasPrefix(s, "%") {
			lit.WriteByte('%')
			s = s[1:]
			continue
		}
		p, n, err := parseOperator(s)
		if err != nil {
			return template{}, err
		}
		if lit.Len() > 0 {
			t.parts = append(t.parts, part{lit: lit.String()})
			lit.Reset()
		}
		t.parts = append(t.parts, p)
		s = s[n:]
	}
	if t.parts == nil {
		t.lit = lit.String()
	} else if lit.Len() > 0 {
		t.parts = append(t.parts, part{lit: lit.String()})
	}
	return t, nil
}

// parseOperator reads NAME%, NAME(argument)% or NAME(argument):length% and says how many bytes it took.
func parseOperator(s string) (p part, n int, err error) {
	n = strings.IndexFunc(s, func(r rune) bool {
		return r != '_' && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
	if n <= 0 {
		return part{}, 0, fmt.Errorf("a single %% before %q: want an operator, or %%%% for the sign itself", clip(s))
	}
	name, rest := s[:n], s[n:]
	arg, hasArg := "", false
	if strings.HasPrefix(rest, "(") {
		end := strings.IndexByte(rest, ')')
		if end < 0 {
			return part{}, 0, fmt.Errorf("%%%s( is not closed", name)
		}
		arg, hasArg, rest = rest[1:end], true, rest[end+1:]
		n += end + 1
	}
	if strings.HasPrefix(rest, ":") {
		end := strings.IndexByte(rest, '%')
		if end < 0 {
			return part{}, 0, fmt.Errorf("%%%s is not closed by a %%", name)
		}
		p.max, err = strconv.Atoi(rest[1:end])
		if err != nil || p.max <= 0 {
			return part{}, 0, fmt.Errorf("%%%s: length %q is not a positive number", name, rest[1:end])
		}
		rest = rest[end:]
		n += end
	}
	if !strings.HasPrefix(rest, "%") {
		return part{}, 0, fmt.Errorf("%%%s is not closed by a %%", name)
	}
	p.get, err = operatorOf(name, arg, hasArg)
	return p, n + 1, err
}

func clip(s string) string {
	if len(s) > 16 {
		return s[:16] + "…"
	}
	return s
}

// format makes the value. h is the header that is being changed: the request's, or the response's.
func (t *template) format(h http.Header, env *HeaderEnv, response bool) string {
	if t.parts == nil {
		return t.lit
	}
	s := scene{env: env}
	if s.env == nil {
		s.env = new(HeaderEnv)
	}
	s.request = h
	if response {
		s.request, s.response = s.env.Request.Header, h
	}
	var b strings.Builder
	for i := range t.parts {
		p := &t.parts[i]
		if p.get == nil {
			b.WriteString(p.lit)
			continue
		}
		v := p.get(&s)
		if p.max > 0 && len(v) > p.max {
			v = v[:p.max]
		}
		b.WriteString(v)
	}
	return clean(b.String())
}

// clean keeps line breaks and other control characters, which a peer may have chosen, out of a header.
func clean(s string) string {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return strings.Map(func(r rune) rune {
				if r < ' ' && r != '\t' || r == 0x7f {
					return -1
				}
				return r
			}, s)
		}
	}
	return s
}
