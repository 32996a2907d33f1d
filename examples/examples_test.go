package examples

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	_ "github.com/go-inmesh/inmesh/mesh/meshtest" // the programs' own imports, so that go test knows when to run them again
)

// TestExamples runs the programs that end by themselves, and holds what they print. A server and the demo of the talk
// have tests of their own.
func TestExamples(t *testing.T) {
	bin := t.TempDir()
	programs := map[string]string{
		"client": `(?s)^hello, you asked greeter for /hello
cluster: outbound\|80\|\|greeter\.default\.svc\.cluster\.local
rule: default/greeter at rules\.yaml:18:5 - attempts: 1
Get "http://greeter/v2/hello": route: no route matches .*
flag: NR
$`,
		"reload": `^at first: v1
after the change: v2
with a broken file: v2
  mesh: 1 invalid: .*web\.yaml:2:1: error: a list in brackets that is not closed \[MESH0001\]
mended: v1
$`,
		"gateway": `(?s)^GET /cart/7
HTTP/1\.1 200 OK\r
.*X-Served-By: 127\.0\.0\.1:[0-9]+\r
.*
/carts/7 for 192\.0\.2\.1, asked of shop\.example
.*GET /
HTTP/1\.1 302 Found\r
.*Location: http://shop\.example/cart/\r
`,
		"aspects": `^attempt 1 of /a to outbound\|80\|\|api\.default\.svc\.cluster\.local
/a 200 served
attempt 1 of /b to outbound\|80\|\|api\.default\.svc\.cluster\.local
/b 200 served
attempt 1 of /c to outbound\|80\|\|api\.default\.svc\.cluster\.local
/c 429 quota used up
/off Get "http://api/off": the API is closed true
$`,
	}
	args := []string{"build", "-o", bin + string(filepath.Separator)}
	for name := range programs {
		args = append(args, "./"+name)
		if _, err := os.ReadFile(filepath.Join(name, "main.go")); err != nil { // go test notes what is read, too
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, want := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			out, err := exec.CommandContext(ctx, filepath.Join(bin, name)).CombinedOutput()
			if err != nil || !regexp.MustCompile(want).Match(out) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
