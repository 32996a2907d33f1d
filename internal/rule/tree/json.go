package tree

import (
	"bytes"
	"encoding/json"
	"io"
	"unicode/utf8"
)

// readJSON reads JSON values, one after the other. It is not ok if the text is not JSON; it may be YAML then.
func readJSON(data []byte) (docs []Document, ok bool) {
	if !utf8.Valid(data) {
		return nil, false
	}
	r := jsonReader{dec: json.NewDecoder(bytes.NewReader(data)), data: data, line: 1}
	r.dec.UseNumber()
	for {
		token, err := r.dec.Token()
		if err == io.EOF {
			return docs, true
		}
		if err != nil {
			return nil, false
		}
		var doc Document
		if doc.Err, ok = r.value(token, &doc.Root, 0); !ok {
			return nil, false
		}
		docs = append(docs, doc)
		if doc.Err != nil {
			return docs, true
		}
	}
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
func (r *jsonReader) place(token json.Token) (line, column int32) {
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

func (r *jsonReader) value(token json.Token, to *Node, depth int) (tooDeep *Error, ok bool) {
	to.Line, to.Column = r.place(token)
	if depth > maxDepth {
		return &Error{int(to.Line), int(to.Column), "nested deeper than 100 levels"}, true
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
	return nil, true
}

func (r *jsonReader) collection(open json.Delim, to *Node, depth int) (*Error, bool) {
	to.Kind = List
	if open == '{' {
		to.Kind = Map
	}
	for {
		token, err := r.dec.Token()
		if err != nil {
			return nil, false
		}
		if d, is := token.(json.Delim); is && (d == '}' || d == ']') {
			r.advance(int(r.dec.InputOffset()))
			return nil, true
		}
		to.Kids = append(to.Kids, Kid{})
		kid := &to.Kids[len(to.Kids)-1]
		if to.Kind == Map {
			kid.Key, _ = token.(string)
			kid.Line, kid.Column = r.place(token)
			if token, err = r.dec.Token(); err != nil {
				return nil, false
			}
		}
		tooDeep, ok := r.value(token, &kid.Value, depth+1)
		if tooDeep != nil || !ok {
			return tooDeep, ok
		}
		if to.Kind == List {
			kid.Line, kid.Column = kid.Value.Line, kid.Value.Column
		}
	}
}
