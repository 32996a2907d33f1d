package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"time"
)

// report prints a table: what was expected beside what was seen.
type report struct {
	w            io.Writer
	rows, failed int
}

func newReport(w io.Writer) *report {
	fmt.Fprintln(w, "The talk's rules, obeyed in process: no sidecar, no cluster. Each row is what a client saw.")
	return &report{w: w}
}

// step begins a step of the talk with the rule that was applied.
func (r *report) step(title, file string, routes []string) {
	fmt.Fprintf(r.w, "\n%s  (%s)\n", title, file)
	for _, line := range routes {
		fmt.Fprintf(r.w, "    %s\n", line)
	}
	fmt.Fprintf(r.w, "  %-50s %-18s %-18s\n", "", "expected", "observed")
}

// skip says that the folder has no such rule.
func (r *report) skip(title, file string) {
	fmt.Fprintf(r.w, "\n%s  (%s is not among the manifests: skipped)\n", title, file)
}

// row compares one observation.
func (r *report) row(what, want, got string, ok bool) {
	r.rows++
	mark := "ok"
	if !ok {
		r.failed++
		mark = "DIFFERS"
	}
	fmt.Fprintf(r.w, "  %-50s %-18s %-18s %s\n", what, want, got, mark)
}

// share compares the share of requests to which something happened, within five standard deviations.
func (r *report) share(what string, p float64, seen []spelled, is func(spelled) bool) {
	n := 0
	for _, s := range seen {
		if is(s) {
			n++
		}
	}
	got := float64(n) / float64(len(seen))
	r.row(fmt.Sprintf("%s, of %d requests", what, len(seen)), fmt.Sprintf("%.0f %%", 100*p), fmt.Sprintf("%.1f %%", 100*got),
		math.Abs(got-p) <= 5*math.Sqrt(p*(1-p)/float64(len(seen))))
}

// end says how long it took and what it weighs.
func (r *report) end(took time.Duration) {
	fmt.Fprintf(r.w, "\n%d of %d observations agree, in %.1f s.\n", r.rows-r.failed, r.rows, took.Seconds())
	modules, size := 0, int64(0)
	if info, ok := debug.ReadBuildInfo(); ok {
		modules = len(info.Deps)
	}
	if exe, err := os.Executable(); err == nil {
		if info, err := os.Stat(exe); err == nil {
			size = info.Size()
		}
	}
	fmt.Fprintf(r.w, "Weight: %d dependencies and %.0f MB for all seven services and the gateway together, unstripped; the talk's artefact has 192 and 58 MB.\n",
		modules, float64(size)/1e6)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n-1] + "…"
}
