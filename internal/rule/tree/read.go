package tree

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// The bounds of what is read.
const (
	maxDepth  = 100     // of nesting
	maxCopied = 200_000 // nodes that aliases may add to a document
)

// Document is one document of a text: its root, or why it could not be read.
type Document struct {
	Root Node
	Err  *Error
}

// Error is a place where text is not YAML or JSON, or goes past a bound.
type Error struct {
	Line, Column int
	Message      string
}

func (e *Error) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Message) }

// Read reads all documents of a text; empty ones are left out. Text that begins like JSON may be any number of
// JSON values, one after the other; everything else is YAML.
func Read(data []byte) []Document {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return []Document{{Err: &Error{1, 1, "the text is UTF-16, expected UTF-8"}}}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	var notJSON *Error
	if likeJSON(data) && utf8.Valid(data) {
		var docs []Document
		if docs, notJSON = readJSON(data); notJSON == nil {
			return docs
		}
	}
	docs := readAll(data)
	if notJSON != nil && len(docs) > 0 && docs[0].Err != nil {
		return []Document{{Err: notJSON}} // nor YAML: the JSON library knows the place
	}
	return docs
}

// likeJSON tells whether the text begins as JSON does: with a bracket or brace, and mostly a quote after it.
func likeJSON(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	if len(data) < 2 || data[0] != '{' && data[0] != '[' {
		return false
	}
	next := bytes.TrimLeft(data[1:], " \t\r\n")
	return len(next) > 0 && bytes.IndexByte([]byte(`"{}[]`), next[0]) >= 0
}

func readAll(data []byte) []Document {
	var docs []Document
	var plain plainReader
	for _, p := range split(data) {
		root, err := readPart(&plain, p)
		if err == nil && root.Kind == Null {
			continue
		}
		docs = append(docs, Document{root, err})
	}
	return docs
}

func readPart(plain *plainReader, p part) (Node, *Error) {
	if root, ok := plain.read(p); ok {
		return root, nil
	}
	if !utf8.Valid(p.text) {
		return Node{}, badUTF8(p)
	}
	return readYAML(p)
}

// badUTF8 finds the first byte that is not UTF-8.
func badUTF8(p part) *Error {
	line, column := p.line+1, 1
	for text := p.text; len(text) > 0; {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1:
			return &Error{line, column, fmt.Sprintf("byte %#x is not UTF-8", text[0])}
		case r == '\n':
			line, column = line+1, 1
		default:
			column++
		}
		text = text[n:]
	}
	return nil
}
