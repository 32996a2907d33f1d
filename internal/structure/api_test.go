package structure_test

import (
	"go/ast"
	"go/doc"
	"go/token"
	"strings"
	"testing"
)

// TestPackageComments: every package says what it is, in a sentence that begins with its name.
func TestPackageComments(t *testing.T) {
	for _, p := range packages(t) {
		path, _ := p.room()
		_, files := parsed(t, p)
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command " + path[strings.LastIndexByte(path, '/')+1:] + " "
		}
		comments := 0
		for _, f := range files {
			if f.Doc != nil {
				comments++
				if text := f.Doc.Text(); !strings.HasPrefix(text, want) {
					t.Errorf("%s: the package comment begins %.30q, expected %q", path, text, want)
				}
			}
		}
		if comments != 1 {
			t.Errorf("%s has %d package comments, expected 1", path, comments)
		}
	}
}

// TestExportedNamesAreDocumented: types, their methods, functions, constants and variables.
func TestExportedNamesAreDocumented(t *testing.T) {
	for _, p := range packages(t) {
		if p.Name == "main" {
			continue
		}
		path, _ := p.room()
		fset, files := parsed(t, p)
		d, err := doc.NewFromFiles(fset, files, p.ImportPath)
		if err != nil {
			t.Fatal(err)
		}
		missing := func(name string) { t.Errorf("%s.%s has no comment", path, name) }
		values := func(list []*doc.Value) {
			for _, v := range list {
				for _, s := range v.Decl.Specs {
					s := s.(*ast.ValueSpec)
					if ast.IsExported(s.Names[0].Name) && v.Doc == "" && s.Doc.Text() == "" && s.Comment.Text() == "" {
						missing(s.Names[0].Name)
					}
				}
			}
		}
		funcs := func(of string, list []*doc.Func) {
			for _, f := range list {
				if f.Doc == "" && !wellKnown[f.Name] {
					missing(of + f.Name)
				}
			}
		}
		values(d.Consts)
		values(d.Vars)
		funcs("", d.Funcs)
		for _, typ := range d.Types {
			if typ.Doc == "" {
				missing(typ.Name)
			}
			values(typ.Consts)
			values(typ.Vars)
			funcs("", typ.Funcs)
			funcs(typ.Name+".", typ.Methods)
		}
	}
}

// wellKnown are methods of Go's own interfaces, which need no words.
var wellKnown = map[string]bool{"String": true, "Error": true, "Unwrap": true, "Is": true}

// TestNoGlobals: nothing happens before main, and nobody can change what is exported.
func TestNoGlobals(t *testing.T) {
	for _, p := range packages(t) {
		fset, files := parsed(t, p)
		for _, f := range files {
			for _, decl := range f.Decls {
				switch d := decl.(type) {
				case *ast.FuncDecl:
					if d.Recv == nil && d.Name.Name == "init" {
						t.Errorf("%s: a package does nothing before it is asked to", fset.Position(d.Pos()))
					}
				case *ast.GenDecl:
					if d.Tok != token.VAR {
						continue
					}
					for _, s := range d.Specs {
						s := s.(*ast.ValueSpec)
						for i, name := range s.Names {
							if name.IsExported() && (isMutable(s.Type) || i < len(s.Values) && isMutable(s.Values[i])) {
								t.Errorf("%s: %s can be changed by everybody", fset.Position(name.Pos()), name.Name)
							}
						}
					}
				}
			}
		}
	}
}

// isMutable tells maps, slices and pointers, as types or as values.
func isMutable(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.MapType, *ast.StarExpr:
		return true
	case *ast.ArrayType:
		return e.Len == nil
	case *ast.CompositeLit:
		return isMutable(e.Type)
	case *ast.UnaryExpr:
		return e.Op == token.AND
	case *ast.CallExpr:
		f, ok := e.Fun.(*ast.Ident)
		return ok && f.Name == "make"
	}
	return false
}
