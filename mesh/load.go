package mesh

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-inmesh/inmesh/internal/analyze"
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// maxFile bounds what is read of one file.
const maxFile = 64 << 20

// Load reads rules from files and folders. Of a folder it reads every .yaml, .yml and .json file, folders within
// included, in the order of their names; hidden files and folders are left out, as Kubernetes mounts need.
// A file is read whatever its name is; "-" is standard input.
//
// All faults of all files come in one *[InvalidError], what cannot be read within a folder among them. A path that
// cannot be read itself is an error of package fs.
// See https://istio.io/latest/docs/reference/config/ for the kinds.
func Load(paths ...string) (*Rules, error) {
	var files []file
	for _, p := range paths {
		found, err := listOS(p)
		if err != nil {
			return nil, fmt.Errorf("mesh: %w", err)
		}
		files = append(files, found...)
	}
	return load(paths, files)
}

// LoadFS is [Load] over a file system, such as one that was embedded. No paths means all of it.
func LoadFS(fsys fs.FS, paths ...string) (*Rules, error) {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	var files []file
	for _, p := range paths {
		found, err := list(fsys, path.Clean(p), "")
		if err != nil {
			return nil, fmt.Errorf("mesh: %w", err)
		}
		files = append(files, found...)
	}
	return load(paths, files)
}

// file is one file to read, under the name that findings show.
type file struct {
	name  string
	open  func() (io.ReadCloser, error)
	found bool // in a folder, not named by the user
}

func listOS(p string) ([]file, error) {
	if p == "-" {
		return []file{{name: "-", open: func() (io.ReadCloser, error) { return io.NopCloser(os.Stdin), nil }}}, nil
	}
	info, err := os.Stat(p)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []file{{name: p, open: func() (io.ReadCloser, error) { return os.Open(p) }}}, nil
	}
	return list(os.DirFS(p), ".", p)
}

// list walks a folder of the file system, following links as a Kubernetes mount has them.
func list(fsys fs.FS, root, prefix string) ([]file, error) {
	name := func(p string) string {
		if prefix == "" {
			return p
		}
		return filepath.Join(prefix, filepath.FromSlash(p))
	}
	info, err := fs.Stat(fsys, root)
	if err != nil {
		return nil, err
	}
	open := func(p string) file {
		return file{name: name(p), open: func() (io.ReadCloser, error) { return fsys.Open(p) }, found: p != root}
	}
	if !info.IsDir() {
		return []file{open(root)}, nil
	}
	var files []file
	err = fs.WalkDir(fsys, root, func(p string, d fs.DirEntry, err error) error {
		if err != nil && p == root {
			return fmt.Errorf("%s: %w", name(p), err)
		}
		if err != nil { // a folder within: told of like a file
			files = append(files, file{name: name(p), open: func() (io.ReadCloser, error) { return nil, err }, found: true})
			return fs.SkipDir
		}
		if p != root && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(p)) {
			return nil
		}
		// A link to a folder looks like a file here.
		if info, err := fs.Stat(fsys, p); err == nil && info.IsDir() {
			return nil
		}
		files = append(files, open(p))
		return nil
	})
	return files, err
}

// Check reads rules as [Load] does and returns everything there is to say about them, whatever its severity: of each
// file, of each object alone, and of all objects together that can be read. The error is of what cannot be opened.
func Check(paths ...string) ([]Finding, error) {
	var files []file
	for _, p := range paths {
		found, err := listOS(p)
		if err != nil {
			return nil, fmt.Errorf("mesh: %w", err)
		}
		files = append(files, found...)
	}
	objects, findings, _, err := parse(paths, files)
	if err != nil {
		return nil, err
	}
	set, findings := assemble(objects, findings)
	return finding.Tidy(append(findings, analyze.Set(set)...)), nil
}

func load(paths []string, files []file) (*Rules, error) {
	objects, findings, unreadable, err := parse(paths, files)
	if err != nil {
		return nil, err
	}
	return build(objects, findings, unreadable...)
}

// parse reads and decodes the files that the paths led to. What cannot be read within a folder is a finding, and among
// the errors for callers who ask for the cause.
func parse(paths []string, files []file) (objects []*Object, findings []Finding, unreadable []error, err error) {
	for _, f := range files {
		data, err := read(f)
		if err != nil && f.found {
			unreadable = append(unreadable, err)
			findings = append(findings, Finding{Position: finding.Position{File: f.name}, Severity: finding.Error, Code: finding.CodeUnreadable,
				Message: fmt.Sprintf("cannot be read: %v", err)})
			continue
		}
		if err != nil {
			return nil, nil, nil, fmt.Errorf("mesh: %w", err)
		}
		if len(data) > maxFile {
			findings = append(findings, Finding{Position: finding.Position{File: f.name}, Severity: finding.Error, Code: finding.CodeSyntax,
				Message: fmt.Sprintf("the file is larger than %d MiB", maxFile>>20)})
			continue
		}
		o, more := rule.Parse(f.name, data)
		objects, findings = append(objects, o...), append(findings, more...)
	}
	if len(objects) == 0 && !finding.HasErrors(findings) {
		findings = append(findings, emptyFinding(paths, files))
	}
	return objects, findings, unreadable, nil
}

func emptyFinding(paths []string, files []file) Finding {
	f := Finding{Severity: finding.Error, Code: finding.CodeEmpty, Message: "no rule in any of the files"}
	switch len(files) {
	case 0:
		f.File = strings.Join(paths, ", ")
		f.Message = "no file that ends in .yaml, .yml or .json"
	case 1:
		f.File = files[0].name
		f.Message = "no rule in the file"
	default:
		f.File = strings.Join(paths, ", ")
	}
	return f
}

func read(f file) (data []byte, err error) {
	r, err := f.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	data, err = io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	return data, nil
}
