package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// clean has nothing that check could say a word about.
const clean = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web}
spec:
  hosts: [web.example]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.0.0.1}]
`

const typos = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web.example]
  http:
  - timeot: 3s
    rute: []
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: other}
spec:
  hosts: [web.example]
  http:
  - route: [{destination: {host: web.example}}]
    fault:
      abort: {httpStatus: 99, percentage: {value: 100}}
      delay: {fixedDelay: -1s}
`

// oldForm is read, with a word about how it is written today.
const oldForm = clean + `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web.example]
  http:
  - route: [{destination: {host: web.example}}]
    fault: {delay: {fixedDelay: 1s, percent: 10}}
`

const broken = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec: {host: web.example
`

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files []string
		code  int
		out   []string // each a part of the output
	}{
		{"valid", []string{"a.yaml", clean}, exitOK, []string{"0 errors, 0 warnings, 0 notes\n"}},
		{"a note is no fault", []string{"a.yaml", clean + "---\nkind: Deployment\napiVersion: apps/v1\nmetadata: {name: d}\n"},
			exitOK, []string{"0 errors, 0 warnings, 1 note\n", "a.yaml:11:7: info: Deployment default/d: kind"}},
		{"a warning is no fault", []string{"a.yaml", oldForm}, exitOK,
			[]string{"0 errors, 1 warning, 0 notes\n", "a.yaml:18:", "warning: VirtualService default/web: spec.http[0].fault.delay.percent"}},
		{"all faults of all files", []string{"a.yaml", typos, "b.yaml", broken, "c.json", `{"kind": "Gateway", "apiVersion": "networking.istio.io/v1", "spec": {"servers": 1}}`},
			exitInvalid, []string{"a.yaml:7:5: error: VirtualService default/web: spec.http[0].timeot: unknown field", "did you mean timeout?",
				"a.yaml:8:5: error: VirtualService default/web: spec.http[0].rute", "did you mean route?",
				"a.yaml:18:27: error: VirtualService default/other: spec.http[0].fault.abort.httpStatus: 99", "a.yaml:19:",
				"b.yaml:4:", "c.json:1:"}},
		{"empty folder", nil, exitInvalid, []string{"error: no file that ends in .yaml, .yml or .json [MESH0013]", "1 error,"}},
		{"empty file", []string{"a.yaml", "# nothing\n"}, exitInvalid, []string{"a.yaml: error: no rule in the file [MESH0013]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := folder(t, tt.files...)
			got := inmesh(t, "check", dir)
			if got.code != tt.code || got.errors != "" {
				t.Errorf("got code %d and errors %q, want %d and none", got.code, got.errors, tt.code)
			}
			for _, want := range tt.out {
				if !strings.Contains(got.out, want) {
					t.Errorf("got %s\nwant %q in it", got.out, want)
				}
			}
			if strings.Contains(got.out, "\x1b") {
				t.Errorf("got colour where nobody looks:\n%q", got.out)
			}
		})
	}
}

// TestCheckJSON: one object a line, each with the ten fields and no other.
func TestCheckJSON(t *testing.T) {
	dir := folder(t, "a.yaml", typos, "b.yaml", clean)
	for _, args := range [][]string{{"-o", "json", dir}, {dir, "-o", "json"}, {"-o=json", "--", dir}} {
		got := inmesh(t, append([]string{"check"}, args...)...)
		if got.code != exitInvalid {
			t.Fatalf("%q: got %+v, want code 1", args, got)
		}
		lines := strings.Split(strings.TrimSuffix(got.out, "\n"), "\n")
		if len(lines) < 2 {
			t.Fatalf("got %q, want a line for each fault", got.out)
		}
		for _, line := range lines {
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			want := []string{"code", "column", "file", "kind", "line", "message", "name", "namespace", "path", "severity"}
			if diff := cmp.Diff(slices.Sorted(maps.Keys(fields)), want); diff != "" {
				t.Errorf("%s (-got +want):\n%s", line, diff)
			}
		}
		var first struct {
			File, Kind, Namespace, Name, Path, Severity string
			Line, Column                                int
		}
		if err := json.Unmarshal([]byte(lines[0]), &first); err != nil {
			t.Fatal(err)
		}
		want := first
		want.File, want.Line, want.Column = filepath.Join(dir, "a.yaml"), 7, 5
		want.Kind, want.Namespace, want.Name, want.Path, want.Severity = "VirtualService", "default", "web", "spec.http[0].timeot", "error"
		if diff := cmp.Diff(first, want); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
	}
}

func TestCheckWhatCannotBeRead(t *testing.T) {
	dir := folder(t, "a.yaml", clean)
	got := inmesh(t, "check", dir, filepath.Join(dir, "none.yaml"))
	if got.code != exitUsage || got.out != "" || !strings.Contains(got.errors, "none.yaml") {
		t.Errorf("got %+v, want code 2 and the file's name", got)
	}
	locked := filepath.Join(dir, "a.yaml")
	if err := os.Chmod(locked, 0); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Open(locked); err == nil {
		_ = f.Close()
		t.Skip("files without permissions can be read here: a superuser, or Windows")
	}
	if got = inmesh(t, "check", dir); got.code != exitUsage || !strings.Contains(got.errors, "a.yaml") {
		t.Errorf("got %+v, want code 2 and the file's name", got)
	}
}

func TestCheckStandardInput(t *testing.T) {
	if got := inmeshBinary(t, clean, "check", "-"); got.code != exitOK || got.out != "0 errors, 0 warnings, 0 notes\n" {
		t.Errorf("got %+v, want a clean bill", got)
	}
	if got := inmeshBinary(t, typos, "check", "-"); got.code != exitInvalid || !strings.Contains(got.out, "-:7:5: error: ") {
		t.Errorf("got %+v, want code 1 and the place", got)
	}
	if got := inmeshBinary(t, "", "check", "-"); got.code != exitInvalid {
		t.Errorf("nothing: got %+v, want code 1", got)
	}
	if got := inmeshBinary(t, string(bytes.Repeat([]byte{0xff, 0}, 1000)), "check", "-"); got.code != exitInvalid || strings.Contains(got.errors, "panic") {
		t.Errorf("noise: got %+v, want code 1", got)
	}
}
