package main

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"

	"github.com/go-inmesh/inmesh/mesh"
)

//go:embed rules
var builtin embed.FS

// manifests are the files of a folder, by name without folders.
type manifests map[string]*mesh.Rules

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
		rules, err := mesh.LoadFS(fsys, p)
		all[path.Base(p)] = rules
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
			list = append(list, m[name])
		}
	}
	for _, v := range variants {
		if m[v] == nil {
			return nil, fmt.Errorf("%s is not among the manifests", v)
		}
		list = append(list, m[v])
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
