// Command diet is the demo of the talk "Putting microservices on a diet: with Istio", with no sidecar and no cluster:
// hello-istio in two versions, spelling-service that calls a-, b-, c- and alphabet-service, and the gateway, each
// with a mesh of its own, in one process on loopback.
//
// Without flags it applies the talk's rules one after another, plays the client, and prints what was expected beside
// what was seen. It ends with exit code 0 only if all agree.
//
//	go run ./examples/diet                  # the walk, in about 12 seconds
//	go run ./examples/diet -serve           # stays up, for curl and a browser
//	go run ./examples/diet -rules DIR       # the same with the manifests of a folder, the talk's own for instance
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	rules := flag.String("rules", "", "take the manifests from this `folder`, not from those built in")
	serve := flag.Bool("serve", false, "stay up after applying the rules, for curl and a browser")
	listen := flag.String("listen", "127.0.0.1:8080", "the gateway's `address` with -serve")
	variant := flag.String("variant", "hello-istio-50-50.yaml", "with -serve: the `file` with the VirtualService to apply")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx, *rules, *serve, *listen, *variant); err != nil {
		fmt.Fprintln(os.Stderr, "diet:", err)
		stop()
		os.Exit(1)
	}
}

// demo starts everything, walks or serves, and takes everything down.
func demo(ctx context.Context, folder string, serve bool, listen, variant string) error {
	began := time.Now()
	manifests, err := readManifests(folder)
	if err != nil {
		return err
	}
	address := "127.0.0.1:0"
	if serve {
		address = listen
	}
	t, err := startTown(manifests, address)
	if err != nil {
		return err
	}
	defer t.stop()
	if serve {
		return serveUntil(ctx, t, variant)
	}
	report := newReport(os.Stdout)
	if err := walk(ctx, t, report); err != nil {
		return err
	}
	report.end(time.Since(began))
	if report.failed > 0 {
		return fmt.Errorf("%d of %d observations differ from what the rules say", report.failed, report.rows)
	}
	return nil
}

// serveUntil keeps the demo up and says how to use it.
func serveUntil(ctx context.Context, t *town, variant string) error {
	if err := t.apply(variant); err != nil {
		return err
	}
	fmt.Printf(`The gateway listens on http://%[1]s with the rule of %[2]s.

  curl -H 'Host: hello-istio.cloud' http://%[1]s/api/hello
  curl -H 'Host: spelling.cloud' 'http://%[1]s/api/spell?word=abcz'
  curl http://%[1]s/debug/mesh/clusters

In a browser: http://%[1]s/api/hello and http://%[1]s/api/spell?word=abcz

Ctrl-C ends it.
`, t.gateway, variant)
	<-ctx.Done()
	return nil
}
