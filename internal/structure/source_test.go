package structure_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const (
	root   = "../.." // of the repository
	module = "github.com/go-inmesh/inmesh"
)

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath, Name, Dir string
	GoFiles, Imports      []string
	Standard              bool
	Module                *struct{ Path string }
}

// room is the package's path within the module: "route/balance". Packages elsewhere have none.
func (p *pkg) room() (string, bool) { return within(p.ImportPath) }

func within(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// list asks go list for packages with all that they link. Packages that do not compile are listed all the same.
func list(patterns ...string) ([]*pkg, error) {
	cmd := exec.Command("go", append([]string{"list", "-e", "-deps", "-json=ImportPath,Name,Dir,GoFiles,Imports,Standard,Module"}, patterns...)...)
	cmd.Dir = root
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, &errs)
	}
	var all []*pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		p := new(pkg)
		if err := dec.Decode(p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
}

var listAll = sync.OnceValues(func() ([]*pkg, error) { return list("./...") })

// packages are those of this module.
func packages(t *testing.T) []*pkg {
	t.Helper()
	all, err := listAll()
	if err != nil {
		t.Fatal(err)
	}
	var own []*pkg
	for _, p := range all {
		if _, ok := p.room(); ok {
			own = append(own, p)
		}
	}
	if len(own) < 10 {
		t.Fatalf("go list found %d packages", len(own))
	}
	return own
}

// parsed are the files of a package, tests left out.
func parsed(t *testing.T, p *pkg) (*token.FileSet, []*ast.File) {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return fset, files
}

// eachFile calls f with every text file of the repository whose name ends in one of these.
func eachFile(t *testing.T, f func(path, text string), suffixes ...string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if name := d.Name(); strings.HasPrefix(name, ".") && name != ".." && name != ".ci" && name != ".github" {
				return fs.SkipDir
			}
			return nil
		}
		for _, s := range suffixes {
			if strings.HasSuffix(path, s) {
				text, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				rel, err := filepath.Rel(root, path)
				if err != nil {
					return err
				}
				f(filepath.ToSlash(rel), string(text))
				return nil
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
