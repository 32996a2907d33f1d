package main

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/go-inmesh/inmesh/mesh"
)

//go:embed rules
var builtin embed.FS

// manifests are the files of a folder, by name without folders.
type manifests map[string]manifest

// manifest is one file: its rules, and its text.
type manifest struct {
	*mesh.Rules
	text string
}

// readManifests reads each file of the folder by itself, as kubectl apply -f would be given them.
func readManifests(folder string) (manifests, error) {
	fsys, err := fs.Sub(builtin, "rules")
	if folder != "" {
		fsys, err = os.DirFS(folder), nil
	}
	if err != nil {
		return nil, err
	}
	all := manifests{}
	err = fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(p) != ".yaml" {
			return err
		}
		text, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		rules, err := mesh.Parse(p, text)
		all[path.Base(p)] = manifest{rules, string(text)}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no .yaml file", folder)
	}
	return all, nil
}

// with is everything that always holds, and of the files that stand for each other the one of that name.
// Files that stand for each other hold the same VirtualService.
func (m manifests) with(variants ...string) (*mesh.Rules, error) {
	var list []*mesh.Rules
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if !m.isVariant(name) {
			list = append(list, m[name].Rules)
		}
	}
	for _, v := range variants {
		if m[v].Rules == nil {
			return nil, fmt.Errorf("%s is not among the manifests", v)
		}
		list = append(list, m[v].Rules)
	}
	return mesh.Join(list...)
}

// isVariant tells whether another file holds the same VirtualService.
func (m manifests) isVariant(name string) bool {
	for _, o := range m[name].Objects() {
		for other, rules := range m {
			if other != name && o.Kind == "VirtualService" && slices.ContainsFunc(rules.Objects(), func(p *mesh.Object) bool {
				return p.String() == o.String()
			}) {
				return true
			}
		}
	}
	return false
}

// routes are the lines of a VirtualService's http list, as they stand in the file.
func (m manifest) routes() []string {
	_, list, ok := strings.Cut(m.text, "\n  http:\n")
	if !ok {
		return nil
	}
	var lines []string
	for line := range strings.Lines(list) {
		if line = strings.TrimRight(line, " \n"); line != "" && !strings.HasPrefix(strings.TrimSpace(line), "#") {
			lines = append(lines, strings.TrimPrefix(line, "  "))
		}
	}
	return lines
}
