package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/go-inmesh/inmesh/mesh"
)

// check prints every finding, then how many there were.
func check(args []string, stdout, stderr io.Writer) int {
	fs := newFlags("check", "[-o text|json] PATH...", stderr)
	out := format("text")
	fs.Var(&out, "o", "`format` of the findings: text, or json with an object a line")
	paths, code, ok := parse(fs, args)
	if !ok {
		return code
	}
	if len(paths) == 0 {
		fs.Usage()
		return exitUsage
	}
	findings, err := mesh.Check(paths...)
	if err != nil {
		fmt.Fprintln(stderr, "inmesh:", err)
		return exitUsage
	}
	count := printFindings(stdout, findings, out)
	if out == "text" {
		fmt.Fprintf(stdout, "%s, %s, %s\n", plural(count[mesh.SeverityError], "error"), plural(count[mesh.SeverityWarning], "warning"),
			plural(count[mesh.SeverityInfo], "note"))
	}
	switch {
	case unreadable(findings):
		return exitUsage
	case count[mesh.SeverityError] > 0:
		return exitInvalid
	}
	return exitOK
}

// unreadable tells whether there is a file or folder that cannot be read.
func unreadable(findings []mesh.Finding) bool {
	return slices.ContainsFunc(findings, func(f mesh.Finding) bool { return f.Code == "MESH0012" })
}

// printFindings prints and counts them.
func printFindings(w io.Writer, findings []mesh.Finding, out format) map[mesh.Severity]int {
	count := map[mesh.Severity]int{}
	paint := painter(w)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, f := range findings {
		count[f.Severity]++
		if out == "json" {
			_ = enc.Encode(f)
		} else {
			fmt.Fprintln(w, paint(f))
		}
	}
	return count
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
