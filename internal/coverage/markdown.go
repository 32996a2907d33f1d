package coverage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Markdown is the account as a page of the documentation.
func Markdown() string {
	var b strings.Builder
	b.WriteString(head)
	for _, k := range Kinds() {
		fmt.Fprintf(&b, "\n## %s\n\n", k.Name)
		if k.Unobeyed != "" {
			fmt.Fprintf(&b, "Read and validated, but not obeyed by this version: %s. A warning says so of every object.\n", k.Unobeyed)
			continue
		}
		b.WriteString("| field | | note |\n|---|---|---|\n")
		for _, r := range rows(inOrder(k)) {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.Join(r.names, "`, `"), r.status, strings.ReplaceAll(r.note, "|", `\|`))
		}
		if k.Name == "DestinationRule" {
			b.WriteString("\n`subsets[].trafficPolicy` has the fields of `trafficPolicy`, and an entry of `portLevelSettings` those of its\n" +
				"`loadBalancer`, `connectionPool`, `outlierDetection` and `tls`, with the same lines.\n")
		}
	}
	return b.String()
}

const head = `# Istio's fields

<!-- made by "go test ./internal/coverage -update" from the account in internal/coverage; do not edit -->

Every field of every kind of Istio's API, and what becomes of it. The list is complete and true: a test walks the
API's definition, sets each field in turn and looks at what is said of it. No field is silently ignored.

- **honoured**: does what Istio's reference says.
- **refused**: an error wherever it is set.
- **warned**: read and validated; a finding ([MESH0009](findings.md)) says that nothing more comes of it.
- **metadata**: names or describes, and asks for nothing.

` + "`[]` stands for the items of a list, `[*]` for the values of a map. What lies below a field that is warned of or\nrefused is not listed again. A text match is `exact`, `prefix` or `regex`: RE2, of the whole text.\n"

// row is one line of a table: fields side by side of which the same is to be said.
type row struct {
	names        []string
	parent       string
	status, note string
}

// inOrder are the kind's fields in the order of the API's definition.
func inOrder(k Kind) []Field {
	at := map[string]int{}
	for i, path := range Paths(k.New().ProtoReflect().Descriptor()) {
		at[path] = i
	}
	out := slices.Clone(k.Fields)
	slices.SortStableFunc(out, func(a, b Field) int { return cmp.Compare(at[a.Path], at[b.Path]) })
	return out
}

func rows(fields []Field) []row {
	var out []row
	var above []Field // of a field, those that it lies below
	for i, f := range fields {
		if repeated(f.Path) || isText(f.Path) {
			continue
		}
		if leads := i+1 < len(fields) && strings.HasPrefix(fields[i+1].Path, f.Path+".") && !isText(fields[i+1].Path); leads && f.Status == Honoured && f.Note == "" {
			continue // what there is to say stands at what lies below
		}
		for len(above) > 0 && !strings.HasPrefix(f.Path, above[len(above)-1].Path+".") {
			above = above[:len(above)-1]
		}
		if n := len(above); n > 0 && above[n-1].Status == f.Status && (f.Status == Warned || f.Status == Refused) {
			continue
		}
		above = append(above, f)
		parent := f.Path[:strings.LastIndexByte(f.Path, '.')+1]
		if n := len(out); n > 0 && out[n-1].parent == parent && out[n-1].status == string(f.Status) && out[n-1].note == f.Note {
			out[n-1].names = append(out[n-1].names, strings.TrimPrefix(f.Path, parent))
			continue
		}
		out = append(out, row{[]string{f.Path}, parent, string(f.Status), f.Note})
	}
	return out
}

// repeated tells whether the field stands in the table of a DestinationRule already, at another place.
func repeated(path string) bool {
	if strings.HasPrefix(path, "subsets[].trafficPolicy.") {
		return true
	}
	rest, ok := strings.CutPrefix(path, "trafficPolicy.portLevelSettings[].")
	return ok && !strings.HasPrefix(rest, "port")
}

// isText tells whether the field is one of the three ways in which a text match is written.
func isText(path string) bool {
	parent, name := path[:max(0, strings.LastIndexByte(path, '.'))], path[strings.LastIndexByte(path, '.')+1:]
	return (name == "exact" || name == "prefix" || name == "regex") && parent != ""
}
