package tree

import (
	"bytes"
)

// part is one document's text and the number of lines before it.
type part struct {
	text []byte
	line int
}

// split cuts a stream at its document markers, so that a fault in one document does not hide the others. A line
// that begins with "---" and then ends or goes on with a space begins a document wherever it stands: YAML
// allows it neither in quoted nor in block text. Directives and comments before it belong to the document.
func split(data []byte) []part {
	var parts []part
	begin, beginLine := 0, 0
	content := false // since begin: something else than blank lines, comments and directives
	for at, line := 0, 0; at < len(data); line++ {
		end := len(data)
		if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		text := data[at:end]
		switch {
		case marker(text, "---"):
			if content {
				parts = append(parts, part{data[begin:at], beginLine})
				begin, beginLine = at, line
			}
			content = true
		case marker(text, "..."):
			if content {
				parts = append(parts, part{data[begin:end], beginLine})
			}
			begin, beginLine, content = end, line+1, false
		case !content && text[0] != '#' && text[0] != '%':
			content = len(bytes.TrimSpace(text)) > 0 && bytes.TrimLeft(text, " \t")[0] != '#'
		}
		at = end
	}
	if content {
		parts = append(parts, part{data[begin:], beginLine})
	}
	return parts
}

// marker tells whether the line is the document marker m, perhaps with something after it.
func marker(line []byte, m string) bool {
	if len(line) < 3 || string(line[:3]) != m {
		return false
	}
	return len(line) == 3 || bytes.IndexByte([]byte(" \t\r\n"), line[3]) >= 0
}
