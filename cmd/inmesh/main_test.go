package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if path, err := binary(); err == nil {
			_ = os.RemoveAll(filepath.Dir(path))
		}
		os.Exit(code)
	}))
}

// binary builds the command once and returns its path.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "inmesh")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "inmesh")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return path, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// said is what a run of the command printed and how it ended.
type said struct {
	code        int
	out, errors string
}

// inmesh runs the command within the test.
func inmesh(t *testing.T, args ...string) said {
	t.Helper()
	var out, errs bytes.Buffer
	code := execute(t.Context(), args, &out, &errs)
	return said{code, out.String(), errs.String()}
}

// inmeshBinary runs the built command with something on its standard input.
func inmeshBinary(t *testing.T, stdin string, args ...string) said {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return said{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// folder writes files, given as name, text, name, text, and returns their folder.
func folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i+1 < len(files); i += 2 {
		write(t, dir, files[i], files[i+1])
	}
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestUsage(t *testing.T) {
	dir := folder(t, "web.yaml", valid)
	for _, tt := range []struct {
		name string
		args []string
		code int
		out  string // what is on one of the outputs
	}{
		{"nothing", nil, exitUsage, "usage: inmesh COMMAND"},
		{"help", []string{"help"}, exitOK, "usage: inmesh COMMAND"},
		{"unknown command", []string{"apply"}, exitUsage, `unknown command "apply"`},
		{"version", []string{"version"}, exitOK, "inmesh "},
		{"help of a command", []string{"check", "-h"}, exitOK, "usage: inmesh check [-o text|json] PATH..."},
		{"unknown flag", []string{"check", "-x", dir}, exitUsage, "flag provided but not defined: -x"},
		{"unknown format", []string{"check", "-o", "xml", dir}, exitUsage, "want text or json"},
		{"check without a path", []string{"check"}, exitUsage, "usage: inmesh check"},
		{"explain without a URL", []string{"explain", "-f", dir}, exitUsage, "usage: inmesh explain"},
		{"explain without rules", []string{"explain", "http://web/"}, exitUsage, "usage: inmesh explain"},
		{"explain with two URLs", []string{"explain", "-f", dir, "http://a/", "http://b/"}, exitUsage, "usage: inmesh explain"},
		{"explain with a header without a colon", []string{"explain", "-f", dir, "-H", "x", "http://web/"}, exitUsage, `header "x": want 'name: value'`},
		{"explain with a header without a name", []string{"explain", "-f", dir, "-H", ": x", "http://web/"}, exitUsage, "want 'name: value'"},
		{"explain with a label without a value", []string{"explain", "-f", dir, "-labels", "app", "http://web/"}, exitUsage, `label "app": want name=value`},
		{"explain of no host", []string{"explain", "-f", dir, "/path"}, exitUsage, "the URL has no host"},
		{"explain of another scheme", []string{"explain", "-f", dir, "ftp://web/"}, exitUsage, `scheme "ftp" is not http or https`},
		{"explain of a bad method", []string{"explain", "-f", dir, "-X", "A B", "http://web/"}, exitUsage, "invalid method"},
		{"explain of an unknown gateway", []string{"explain", "-f", dir, "-gateway", "none", "http://web/"}, exitUsage, `no Gateway or Ingress "none"; there are default/edge`},
		{"run without rules", []string{"run"}, exitUsage, "usage: inmesh run"},
		{"run with an argument", []string{"run", "-f", dir, "more"}, exitUsage, "usage: inmesh run"},
		{"run and watch standard input", []string{"run", "-f", "-", "-watch"}, exitUsage, "standard input cannot be watched"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := inmesh(t, tt.args...)
			if got.code != tt.code || !strings.Contains(got.out+got.errors, tt.out) {
				t.Errorf("got %+v, want code %d and %q", got, tt.code, tt.out)
			}
		})
	}
}

// valid has a gateway, a service in two versions, and routes with something of everything that explain shows.
const valid = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: [shop.example]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web, shop.example]
  gateways: [mesh, edge]
  http:
  - name: beta
    match: [{headers: {x-user: {exact: ann}}, sourceLabels: {app: front}}]
    route: [{destination: {host: web, subset: v2}}]
  - name: team
    match: [{sourceNamespace: team}]
    route: [{destination: {host: web, subset: v9}}]
  - name: old
    match: [{uri: {prefix: /old/}}]
    redirect: {uri: /new/, redirectCode: 308}
  - name: teapot
    match: [{uri: {exact: /teapot}, method: {exact: POST}}]
    directResponse: {status: 418, body: {string: short and stout}}
  - name: main
    match: [{uri: {prefix: /api/}}]
    rewrite: {uri: /v1/, authority: web.internal}
    timeout: 2s
    retries: {attempts: 3, perTryTimeout: 500ms, retryOn: 5xx}
    fault: {delay: {fixedDelay: 1s, percentage: {value: 10}}, abort: {httpStatus: 503, percentage: {value: 0.5}}}
    corsPolicy: {allowOrigins: [{exact: "https://shop.example"}], allowMethods: [GET], maxAge: 1h}
    headers: {request: {set: {x-a: "1"}, add: {x-b: "2"}, remove: [x-c]}, response: {set: {x-d: "3"}}}
    route:
    - {destination: {host: web, subset: v1}, weight: 90}
    - {destination: {host: web, subset: v2}, weight: 10}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web}
spec:
  hosts: [web.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints:
  - {address: 10.0.0.1, labels: {version: v1}}
  - {address: 10.0.0.2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
`
