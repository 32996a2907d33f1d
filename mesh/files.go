package mesh

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// FilesSource watches files and folders. Make one with [Files].
type FilesSource struct {
	// Paths are what [Load] is given.
	Paths []string
	// Debounce is how long the files must have been quiet before they are read. Zero means 100 ms.
	Debounce time.Duration
	// Poll is how often the files are looked at where the system does not report changes, and as a safety net
	// where it does. Zero means 10 s.
	Poll time.Duration
}

// Files is a [Source] over files and folders, as [Load] reads them. It sees files that are written in place, put
// there by a rename, and swapped by the link "..data" as in a Kubernetes ConfigMap mount.
func Files(paths ...string) *FilesSource { return &FilesSource{Paths: paths} }

// Watch reads the files at once and after every change. What cannot be read or used is reported to the sink.
func (f *FilesSource) Watch(ctx context.Context, sink Sink) error {
	if len(f.Paths) == 0 {
		return errors.New("mesh: Files needs at least one path")
	}
	debounce, poll := f.Debounce, f.Poll
	if debounce <= 0 {
		debounce = 100 * time.Millisecond
	}
	if poll <= 0 {
		poll = 10 * time.Second
	}
	var events chan fsnotify.Event
	var errs chan error
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		defer func() { _ = watcher.Close() }()
		events, errs = watcher.Events, watcher.Errors
	}
	var last string
	apply := func() {
		if watcher != nil {
			f.watchFolders(watcher)
		}
		now := f.fingerprint()
		if now == last {
			return
		}
		last = now
		rules, err := Load(f.Paths...)
		if err != nil {
			sink.Failed(err)
			return
		}
		_ = sink.Update(rules) // the sink has recorded it
	}
	apply()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	quiet := time.NewTimer(debounce)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			quiet.Reset(debounce)
		case _, ok := <-errs: // an overflow, mostly: look for ourselves
			if !ok {
				errs = nil
				continue
			}
			quiet.Reset(debounce)
		case <-quiet.C:
			apply()
		case <-ticker.C:
			apply()
		}
	}
}

// watchFolders watches the folders, not the files: a file that is replaced by a rename would be lost. What is
// watched already stays so.
func (f *FilesSource) watchFolders(w *fsnotify.Watcher) {
	for _, p := range f.Paths {
		if p == "-" {
			continue
		}
		info, err := os.Stat(p)
		if err != nil || !info.IsDir() {
			_ = w.Add(filepath.Dir(p))
		}
		if err != nil || !info.IsDir() {
			continue
		}
		_ = filepath.WalkDir(p, func(name string, d os.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return nil //nolint:nilerr // what cannot be looked into is not watched
			}
			if name != p && strings.HasPrefix(d.Name(), ".") {
				return filepath.SkipDir
			}
			_ = w.Add(name)
			return nil
		})
	}
}

// fingerprint tells one state of the files from another without reading them: names, sizes, times, link targets.
func (f *FilesSource) fingerprint() string {
	var b strings.Builder
	for _, p := range f.Paths {
		files, err := listOS(p)
		if err != nil {
			fmt.Fprintf(&b, "%s: %v\n", p, err)
			continue
		}
		for _, file := range files {
			if info, err := os.Stat(file.name); err != nil {
				fmt.Fprintf(&b, "%s: %v\n", file.name, err)
			} else {
				fmt.Fprintf(&b, "%s %d %d %v\n", file.name, info.Size(), info.ModTime().UnixNano(), inode(info))
			}
		}
	}
	return b.String()
}
