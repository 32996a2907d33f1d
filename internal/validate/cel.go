package validate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// celDepth bounds how deep an expression nests, as in Google's parser.
const celDepth = 250

// expression wants the syntax of CEL (https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax). Whether
// the names in it mean something is up to who evaluates it.
func expression(fs *finding.Faults, path, s string) {
	p := cel{text: s}
	p.next()
	p.expr()
	if p.err == nil && p.token != "" {
		p.unexpected("the end")
	}
	if p.err != nil {
		fs.Errorf(path, "%q is not an expression of CEL: %v", s, p.err)
	}
}

// cel reads an expression token by token. After an error nothing is read any more.
type cel struct {
	text  string // what is left, after token
	token string // "" at the end
	kind  celKind
	depth int
	err   error
}

func (p *cel) unexpected(want string) {
	if p.err == nil {
		p.err = fmt.Errorf("found %q, want %s", p.token, want)
		p.text, p.token, p.kind = "", "", celPunct
	}
}

// next goes on to the next token.
func (p *cel) next() {
	p.text = strings.TrimLeft(p.text, " \t\r\n\f")
	for strings.HasPrefix(p.text, "//") {
		_, p.text, _ = strings.Cut(p.text, "\n")
		p.text = strings.TrimLeft(p.text, " \t\r\n\f")
	}
	n, kind := celToken(p.text)
	if n < 0 {
		p.token = p.text[:min(len(p.text), 10)]
		p.unexpected("a token of CEL")
		return
	}
	p.token, p.text, p.kind = p.text[:n], p.text[n:], kind
}

// is tells whether the token is one of those.
func (p *cel) is(tokens ...string) bool { return p.kind != celText && slices.Contains(tokens, p.token) }

func (p *cel) want(token string) {
	if !p.is(token) {
		p.unexpected(token)
		return
	}
	p.next()
}

// expr reads a whole expression: operands between operators of two, perhaps a choice.
func (p *cel) expr() {
	if p.depth++; p.depth > celDepth && p.err == nil {
		p.err = errors.New("nested too deep")
	}
	p.operands()
	if p.err == nil && p.is("?") {
		p.next()
		p.operands()
		p.want(":")
		p.expr()
	}
	p.depth--
}

func (p *cel) operands() {
	for p.err == nil {
		p.unary()
		if !p.is("||", "&&", "<", "<=", ">=", ">", "==", "!=", "in", "+", "-", "*", "/", "%") {
			return
		}
		p.next()
	}
}

func (p *cel) unary() {
	if sign := p.token; p.is("!", "-") {
		for p.is(sign) {
			p.next()
		}
		if p.is("-") { // a negative number may follow !
			p.next()
			if p.kind != celNumber {
				p.unexpected("a number")
			}
		}
	}
	p.member()
}

// member reads an operand with the selections, indices and calls that follow it.
func (p *cel) member() {
	names := false // all so far is a.b.c, which may be the type of a message
	switch {
	case p.kind == celNumber, p.kind == celText, p.is("true", "false", "null"):
		p.next()
	case p.is("("):
		p.next()
		p.expr()
		p.want(")")
	case p.is("["):
		p.list("[", "]")
	case p.is("{"):
		p.list("{", "}")
	default:
		if p.is(".") {
			p.next()
		}
		if isReservedCEL(p.token) {
			p.unexpected("a name")
		}
		names = true
		p.name()
	}
	for p.err == nil {
		switch {
		case p.is("("):
			if !names {
				p.unexpected("an operator")
				return
			}
			p.list("(", ")")
			names = false
		case p.is("."):
			p.next()
			p.name()
			if p.is("(") {
				p.list("(", ")")
				names = false
			}
		case p.is("["):
			p.next()
			p.expr()
			p.want("]")
			names = false
		case p.is("{") && names:
			p.list("{", "}")
			names = false
		default:
			return
		}
	}
}

// list reads expressions between brackets; between braces they come in pairs. A comma may follow the last, but not
// in a call.
func (p *cel) list(open, end string) {
	for p.want(open); p.err == nil && !p.is(end); {
		p.expr()
		if open == "{" {
			p.want(":")
			p.expr()
		}
		if !p.is(",") {
			break
		}
		p.next()
		if open == "(" && p.is(end) {
			p.unexpected("an argument")
		}
	}
	p.want(end)
}

// name reads a name that is no keyword.
func (p *cel) name() {
	if p.kind != celName || p.is("true", "false", "null", "in") {
		p.unexpected("a name")
		return
	}
	p.next()
}

// isReservedCEL tells whether no variable can have the name.
func isReservedCEL(s string) bool {
	switch s {
	case "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
		"namespace", "return", "var", "void", "while":
		return true
	}
	return false
}
