package tree

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// readJSON reads JSON values, one after the other. It fails where the text is not JSON; it may be YAML then.
func readJSON(data []byte) ([]Document, *Error) {
	r := jsonReader{dec: json.NewDecoder(bytes.NewReader(data)), data: data, line: 1}
	r.dec.UseNumber()
	var docs []Document
	for {
		token, err := r.dec.Token()
		if err == io.EOF {
			return docs, nil
		}
		if err != nil {
			return nil, r.failed(err)
		}
		var doc Document
		if doc.Err, err = r.value(token, &doc.Root, 0); err != nil {
			return nil, r.failed(err)
		}
		docs = append(docs, doc)
		if doc.Err != nil {
			return docs, nil //nolint:nilerr // the document tells of it
		}
	}
}

// failed places an error of the JSON library.
func (r *jsonReader) failed(err error) *Error {
	at := len(r.data)
	message := "the text ends within a JSON value"
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		at, message = int(syntax.Offset), "not JSON: "+syntax.Error()
	}
	r.advance(min(max(r.at, at), len(r.data)))
	return &Error{int(r.line), int(r.column) + 1, message}
}

// jsonReader builds nodes from a token stream. It counts lines as it goes.
type jsonReader struct {
	dec    *json.Decoder
	data   []byte
	at     int // the offset that line and column belong to
	line   int32
	column int32 // from 0
}

// place is where the token stands that was read last.
func (r *jsonReader) place() (line, column int32) {
	end := int(r.dec.InputOffset())
	begin := r.at
	// The token begins after the blanks, commas and colons that follow the one before it.
	for begin < end && bytes.IndexByte([]byte(" \t\r\n,:"), r.data[begin]) >= 0 {
		begin++
	}
	r.advance(begin)
	line, column = r.line, r.column+1
	r.advance(end)
	return line, column
}

func (r *jsonReader) advance(to int) {
	for ; r.at < to; r.at++ {
		switch c := r.data[r.at]; {
		case c == '\n':
			r.line, r.column = r.line+1, 0
		case utf8.RuneStart(c):
			r.column++
		}
	}
}

func (r *jsonReader) value(token json.Token, to *Node, depth int) (tooDeep *Error, err error) {
	to.Line, to.Column = r.place()
	if depth > maxDepth {
		return &Error{int(to.Line), int(to.Column), "nested deeper than 100 levels"}, nil
	}
	switch t := token.(type) {
	case nil:
		to.Kind, to.Text = Null, "null"
	case bool:
		to.Kind, to.Text = Bool, "false"
		if t {
			to.Text = "true"
		}
	case string:
		to.Kind, to.Text = String, t
	case json.Number:
		to.Text = t.String()
		if to.Kind = number(to.Text); to.Kind == String {
			to.Kind = Float // too large for any number
		}
	case json.Delim:
		return r.collection(t, to, depth)
	}
	return nil, nil
}

func (r *jsonReader) collection(open json.Delim, to *Node, depth int) (*Error, error) {
	to.Kind = List
	if open == '{' {
		to.Kind = Map
	}
	for {
		token, err := r.dec.Token()
		if err != nil {
			return nil, err
		}
		if d, is := token.(json.Delim); is && (d == '}' || d == ']') {
			r.advance(int(r.dec.InputOffset()))
			return nil, nil
		}
		to.Kids = append(to.Kids, Kid{})
		kid := &to.Kids[len(to.Kids)-1]
		if to.Kind == Map {
			kid.Key, _ = token.(string)
			kid.Line, kid.Column = r.place()
			if token, err = r.dec.Token(); err != nil {
				return nil, err
			}
		}
		tooDeep, err := r.value(token, &kid.Value, depth+1)
		if tooDeep != nil || err != nil {
			return tooDeep, err
		}
		if to.Kind == List {
			kid.Line, kid.Column = kid.Value.Line, kid.Value.Column
		}
	}
}
