package main

import (
	"io"
	"os"
	"strings"

	"github.com/go-inmesh/inmesh/mesh"
)

// painter prints findings: in colour on a terminal, plain elsewhere and where NO_COLOR is set.
func painter(w io.Writer) func(mesh.Finding) string {
	if !isTerminal(w) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return mesh.Finding.String
	}
	colour := map[mesh.Severity]string{mesh.SeverityError: "\x1b[31m", mesh.SeverityWarning: "\x1b[33m", mesh.SeverityInfo: "\x1b[36m"}
	return func(f mesh.Finding) string {
		word := string(f.Severity) + ":"
		return strings.Replace(f.String(), word, colour[f.Severity]+word+"\x1b[0m", 1)
	}
}

// isTerminal tells whether a person is likely to look at w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
