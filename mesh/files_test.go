package mesh_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

// sink remembers what a source said.
type sink struct {
	mu    sync.Mutex
	lines []string
}

func (s *sink) add(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

// all is everything that was said, a line each.
func (s *sink) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines)
}

func (s *sink) Update(r *mesh.Rules) error {
	var names []string
	for _, o := range r.Objects() {
		names = append(names, o.Name)
	}
	s.add("rules " + strings.Join(names, " "))
	return nil
}

func (s *sink) UpdateEndpoints(mesh.ServiceRef, []mesh.Endpoint) error { return nil }
func (s *sink) Failed(err error)                                       { s.add("failed " + err.Error()) }

// teapot is a rule under a name of its own.
func teapot(name string) string { return virtual(name, "[{directResponse: {status: 418}}]") }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// watch follows the paths until the test ends. Polling is off, unless it is what is tested.
func watch(t *testing.T, f *mesh.FilesSource) *sink {
	t.Helper()
	s := &sink{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	if f.Debounce == 0 {
		f.Debounce = 5 * time.Millisecond
	}
	if f.Poll == 0 {
		f.Poll = time.Hour
	}
	go func() { done <- f.Watch(ctx, s) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch returned %v, want the context's error", err)
		}
	})
	return s
}

func (s *sink) expect(t *testing.T, want string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		got := ""
		if len(s.lines) > 0 {
			got = s.lines[len(s.lines)-1]
		}
		s.mu.Unlock()
		if strings.Contains(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %q, want %q", s.all(), want)
		}
	}
}

func TestFilesChanges(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("in place", func(t *testing.T) {
		file := t.TempDir() + "/rules.yaml"
		write(t, file, teapot("a.com"))
		s := watch(t, mesh.Files(file))
		s.expect(t, "rules a.com")
		write(t, file, teapot("b.com"))
		s.expect(t, "rules b.com")
	})
	t.Run("a rename over it", func(t *testing.T) {
		file := t.TempDir() + "/rules.yaml"
		write(t, file, teapot("a.com"))
		s := watch(t, mesh.Files(file))
		for _, name := range []string{"a.com", "b.com", "c.com"} {
			write(t, file+".new", teapot(name))
			must(os.Rename(file+".new", file))
			s.expect(t, "rules "+name)
		}
	})
	t.Run("files of a folder come and go", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir+"/1.yaml", teapot("a.com"))
		s := watch(t, mesh.Files(dir))
		s.expect(t, "rules a.com")
		write(t, dir+"/2.yaml", teapot("b.com"))
		s.expect(t, "rules a.com b.com")
		write(t, dir+"/sub/deep/3.yaml", teapot("c.com"))
		s.expect(t, "rules a.com b.com c.com")
		write(t, dir+"/sub/deep/3.yaml", teapot("d.com"))
		s.expect(t, "rules a.com b.com d.com")
		must(os.Remove(dir + "/1.yaml"))
		s.expect(t, "rules b.com d.com")
		write(t, dir+"/README.txt", "not a rule")
		write(t, dir+"/.hidden.yaml", teapot("hidden.com"))
		write(t, dir+"/4.yaml", teapot("e.com"))
		s.expect(t, "rules b.com e.com d.com")
	})
	t.Run("a ConfigMap's swap", func(t *testing.T) {
		dir := t.TempDir()
		version := func(n int, name string) {
			write(t, fmt.Sprintf("%s/..v%d/rules.yaml", dir, n), teapot(name))
			must(os.Symlink(fmt.Sprintf("..v%d", n), dir+"/..tmp"))
			must(os.Rename(dir+"/..tmp", dir+"/..data"))
			if n > 1 {
				must(os.RemoveAll(fmt.Sprintf("%s/..v%d", dir, n-1)))
			}
		}
		version(1, "a.com")
		must(os.Symlink("..data/rules.yaml", dir+"/rules.yaml"))
		s, one := watch(t, mesh.Files(dir)), watch(t, mesh.Files(dir+"/rules.yaml"))
		for n, name := range []string{"a.com", "b.com", "c.com"} {
			if n > 0 {
				version(n+1, name)
			}
			s.expect(t, "rules "+name)
			one.expect(t, "rules "+name)
		}
	})
	t.Run("the folder is deleted and comes back", func(t *testing.T) {
		dir := t.TempDir() + "/rules"
		write(t, dir+"/1.yaml", teapot("a.com"))
		s := watch(t, &mesh.FilesSource{Paths: []string{dir}, Poll: 20 * time.Millisecond})
		s.expect(t, "rules a.com")
		must(os.RemoveAll(dir))
		s.expect(t, "failed")
		write(t, dir+"/1.yaml", teapot("b.com"))
		s.expect(t, "rules b.com")
	})
	t.Run("a path that is not there yet", func(t *testing.T) {
		file := t.TempDir() + "/rules.yaml"
		s := watch(t, mesh.Files(file))
		s.expect(t, "failed")
		write(t, file, teapot("a.com"))
		s.expect(t, "rules a.com")
	})
	t.Run("a bad file, then a good one", func(t *testing.T) {
		file := t.TempDir() + "/rules.yaml"
		write(t, file, teapot("a.com"))
		s := watch(t, mesh.Files(file))
		s.expect(t, "rules a.com")
		write(t, file, "kind: [broken")
		s.expect(t, "failed")
		write(t, file, teapot("b.com"))
		s.expect(t, "rules b.com")
	})
}

// Many writes in a row are read once, when it is quiet.
func TestFilesDebounce(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/0.yaml", teapot("a0.com"))
	s := watch(t, &mesh.FilesSource{Paths: []string{dir}, Debounce: 200 * time.Millisecond})
	s.expect(t, "rules a0.com")
	for i := range 20 {
		write(t, fmt.Sprintf("%s/%d.yaml", dir, i), teapot(fmt.Sprintf("b%d.com", i)))
	}
	s.expect(t, "b9.com")
	if got := s.count(); got != 2 {
		t.Errorf("read %d times, want twice:\n%s", got, s.all())
	}
}

// What has not changed is not read again.
func TestFilesUnchanged(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/1.yaml", teapot("a.com"))
	s := watch(t, &mesh.FilesSource{Paths: []string{dir}, Poll: time.Millisecond})
	s.expect(t, "rules a.com")
	write(t, dir+"/README.md", "news")
	write(t, dir+"/2.yaml", teapot("b.com"))
	s.expect(t, "rules a.com b.com")
	if got := s.count(); got != 2 {
		t.Errorf("read %d times, want twice:\n%s", got, s.all())
	}
}

// Polling finds what the system does not report: here, a change behind a link to another folder.
func TestFilesPoll(t *testing.T) {
	real, dir := t.TempDir()+"/real.yaml", t.TempDir()
	write(t, real, teapot("a.com"))
	if err := os.Symlink(real, dir+"/rules.yaml"); err != nil {
		t.Skip("no links here:", err)
	}
	s := watch(t, &mesh.FilesSource{Paths: []string{dir}, Poll: 10 * time.Millisecond})
	s.expect(t, "rules a.com")
	write(t, real, teapot("b.com"))
	s.expect(t, "rules b.com")
}

func TestFilesNone(t *testing.T) {
	if err := mesh.Files().Watch(t.Context(), &sink{}); err == nil {
		t.Error("no path is no error")
	}
}

// The mesh obeys what is watched; what cannot be used is among the reloads, and the last good rules serve on.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/1.yaml", virtual("a.com", "[{directResponse: {status: 200, body: {string: one}}}]"))
	m := open(t, "", nil)
	client := clientOf(m, meshtest.Fleet{"a.com": meshtest.Name("outside")})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Watch(ctx, &mesh.FilesSource{Paths: []string{dir}, Debounce: 5 * time.Millisecond}) }()
	answers := func(want string) {
		t.Helper()
		eventually(t, want, func() bool { return meshtest.Do(t, client, "GET", "http://a.com/").Body == want })
	}
	answers("one")
	write(t, dir+"/1.yaml", virtual("a.com", "[{directResponse: {status: 200, body: {string: two}}}]"))
	answers("two")
	write(t, dir+"/1.yaml", virtual("a.com", "[{directResponse: {statsu: 200}}]"))
	eventually(t, "the failure is told", func() bool {
		list := m.Reloads()
		err := list[len(list)-1].Err
		return err != nil && strings.Contains(err.Error(), "1.yaml") && strings.Contains(err.Error(), "statsu")
	})
	answers("two")
	write(t, dir+"/1.yaml", virtual("a.com", "[{directResponse: {status: 200, body: {string: three}}}]"))
	answers("three")
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Watch returned %v, want nil as the context ended it", err)
	}
}

func TestWatchEndsWithTheMesh(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/1.yaml", teapot("a.com"))
	m := open(t, "", nil)
	done := make(chan error)
	go func() { done <- m.Watch(t.Context(), mesh.Files(dir)) }()
	eventually(t, "rules are there", func() bool { return len(m.Reloads()) > 1 })
	_ = m.Close()
	if err := <-done; err != nil {
		t.Errorf("Watch returned %v, want nil as the mesh ended it", err)
	}
}

// failing is a source that cannot go on.
type failing struct{}

var errSource = errors.New("the source is gone")

func (failing) Watch(_ context.Context, s mesh.Sink) error {
	r, err := mesh.Parse("x", []byte(teapot("a.com")))
	if err != nil {
		return err
	}
	if err := s.Update(r); err != nil {
		return err
	}
	if err := s.UpdateEndpoints(mesh.ServiceRef{Host: "unknown.com"}, nil); err == nil {
		return errors.New("endpoints of an unknown service were taken")
	}
	return errSource
}

func TestWatchReturnsTheSourcesError(t *testing.T) {
	m := open(t, "", nil)
	if err := m.Watch(t.Context(), failing{}); !errors.Is(err, errSource) {
		t.Errorf("got %v", err)
	}
	if got := meshtest.Do(t, clientOf(m, meshtest.Fleet{}), "GET", "http://a.com/"); got.Code != http.StatusTeapot {
		t.Errorf("the rules before are gone: %+v", got)
	}
}
