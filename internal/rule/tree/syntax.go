package tree

import (
	"strconv"
	"strings"
)

// syntaxError turns the YAML library's error into ours: "yaml: line 3: mapping values are not allowed in this
// context". Its line counts from the document's beginning; that of the parser, other than that of the scanner, counts
// from 0, and none means the first.
func syntaxError(err error, p part) *Error {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		if number, after, ok := strings.Cut(rest, ": "); ok {
			line, _ = strconv.Atoi(number)
			message = after
			if ofParser(message) {
				line++
			}
		}
	}
	lines := strings.Split(strings.TrimRight(string(p.text), " \r\n"), "\n")
	if name, ok := strings.CutPrefix(message, "unknown anchor '"); ok {
		name, _, _ = strings.Cut(name, "'")
		message = "the alias *" + name + " has no anchor before it"
		line = 1 + find(lines, "*"+name)
	}
	if line > len(lines) && message == "did not find expected node content" {
		message = "the document ends where a value is expected"
	}
	line = max(1, min(line, len(lines)))
	text := lines[line-1]
	indent := len(text) - len(strings.TrimLeft(text, " "))
	switch {
	case strings.HasPrefix(text[indent:], "\t"):
		message = "a tab indents this line, expected spaces"
	case strings.Contains(text, "{{"):
		message = "a template that is not filled in, or a brace that is not quoted"
	default:
		message = explain(message)
	}
	return &Error{p.line + line, indent + 1, message}
}

// ofParser tells whether the message is one of the library's parser.
func ofParser(message string) bool {
	switch what, ok := strings.CutPrefix(message, "did not find expected "); what {
	case "key", "node content", "'-' indicator", "',' or ']'", "',' or '}'", "<document start>", "<stream-start>":
		return ok
	}
	return strings.HasPrefix(message, "found undefined tag handle") || strings.HasPrefix(message, "found incompatible YAML") ||
		strings.HasPrefix(message, "found duplicate %")
}

// explain says what the library's message mostly comes from.
func explain(message string) string {
	switch message {
	case "mapping values are not allowed in this context":
		return "a colon that no key can have here: wrong indentation, or a value with a colon that is not quoted"
	case "could not find expected ':'":
		return "a line without a colon, expected key: value"
	case "did not find expected key", "did not find expected '-' indicator":
		return "the indentation is not that of any line above"
	case "found character that cannot start any token":
		return "a value begins with a character that must be quoted"
	case "found unexpected end of stream":
		return "a quote that is not closed"
	case "did not find expected ',' or ']'":
		return "a list in brackets that is not closed"
	case "did not find expected ',' or '}'":
		return "a mapping in braces that is not closed"
	case "did not find expected node content":
		return "no value where one is expected"
	}
	return message
}

// find is the index of the first line with the text, 0 if there is none.
func find(lines []string, text string) int {
	for i, line := range lines {
		if strings.Contains(line, text) {
			return i
		}
	}
	return 0
}
