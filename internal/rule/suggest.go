package rule

import (
	"cmp"
	"slices"
	"strings"
)

// suggest finds the name that was most likely meant: ", did you mean X?", or nothing where none is near.
func suggest(got string, names []string) string {
	best, distance := "", max(1, min(3, len(got)/3))+1
	for _, name := range names {
		if d := edits(fold(got), fold(name), distance); d < distance {
			best, distance = name, d
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean " + best + "?"
}

// fold takes away what people mix up: case and the characters between words.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// edits counts the insertions, deletions, replacements and swaps of neighbours that turn a into b; limit stands for
// that many and more.
func edits(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		if slices.Min(row) >= limit {
			return limit
		}
	}
	return min(row[len(b)], limit)
}

// oneOf lists names for a message: "a, b or c"; sorted, and nothing where there are too many to help.
func oneOf(names []string) string {
	if len(names) == 0 || len(names) > 12 {
		return ""
	}
	sorted := slices.SortedFunc(slices.Values(names), cmp.Compare[string])
	last := len(sorted) - 1
	if last == 0 {
		return sorted[0]
	}
	return strings.Join(sorted[:last], ", ") + " or " + sorted[last]
}
