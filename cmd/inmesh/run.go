package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/go-inmesh/inmesh/mesh"
)

// drainTime is how long requests under way may take when the gateway is told to stop.
const drainTime = 30 * time.Second

// run is an ingress gateway until the context ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := newFlags("run", "-f PATH... [-listen :8080] [-gateway NAME] [-debug 127.0.0.1:15000] [-watch]", stderr)
	var paths list
	fs.Var(&paths, "f", "file or folder of rules; may be given several times")
	listen := fs.String("listen", ":8080", "`address` to serve on")
	gateway := fs.String("gateway", "", "the Gateway or Ingress to be, as `name` or namespace/name; may be left out if there is one alone")
	debugAddr := fs.String("debug", "", "`address` for /debug/mesh/, /metrics and /readyz; empty means none")
	watch := fs.Bool("watch", false, "apply changes of the files while serving")
	accessLog := fs.Bool("access-log", false, "write an access log to standard output")
	rest, code, ok := parse(fs, args)
	if !ok {
		return code
	}
	if len(rest) > 0 || len(paths) == 0 {
		fs.Usage()
		return exitUsage
	}
	if *watch && slices.Contains(paths, "-") {
		fmt.Fprintln(stderr, "inmesh: standard input cannot be watched")
		return exitUsage
	}
	rules, code := load(paths, stderr)
	if rules == nil {
		return code
	}
	registry := prometheus.NewRegistry()
	o := &mesh.Options{Registerer: registry, Logger: slog.New(slog.NewTextHandler(stderr, nil))}
	if *accessLog {
		o.AccessLog = slog.New(slog.NewJSONHandler(stdout, nil))
	}
	m, err := mesh.New(rules, o)
	if err != nil {
		fmt.Fprintln(stderr, "inmesh:", err)
		return exitInvalid
	}
	defer func() { _ = m.Close() }()
	name, err := chooseGateway(m, *gateway)
	if err != nil {
		fmt.Fprintln(stderr, "inmesh:", err)
		return exitUsage
	}
	g := &server{mesh: m, stdout: stdout, errs: make(chan error, 3)}
	if err := g.listen("gateway "+name, *listen, m.Gateway(name), m.Listen); err != nil {
		fmt.Fprintln(stderr, "inmesh:", err)
		return exitUsage
	}
	if *debugAddr != "" {
		if err := g.listen("debug pages", *debugAddr, debugMux(m, registry), net.Listen); err != nil {
			fmt.Fprintln(stderr, "inmesh:", err)
			return exitUsage
		}
	}
	if *watch {
		go func() { g.errs <- m.Watch(ctx, mesh.Files(paths...)) }()
	}
	return g.serve(ctx, stderr)
}

// chooseGateway is the gateway asked for, or the only one that there is.
func chooseGateway(m *mesh.Mesh, name string) (string, error) {
	all := m.Gateways()
	if name == "" && len(all) == 1 {
		return all[0], nil
	}
	if len(all) == 0 {
		return "", errors.New("the rules have no Gateway and no Ingress")
	}
	if name == "" {
		return "", fmt.Errorf("choose one of the gateways with -gateway: %s", strings.Join(all, ", "))
	}
	var fit []string
	for _, g := range all {
		if g == name {
			return g, nil
		}
		if strings.HasSuffix(g, "/"+name) {
			fit = append(fit, g)
		}
	}
	switch len(fit) {
	case 0:
		return "", fmt.Errorf("no gateway %q among %s", name, strings.Join(all, ", "))
	case 1:
		return fit[0], nil
	}
	return "", fmt.Errorf("several gateways are called %q: choose one of %s", name, strings.Join(fit, ", "))
}

// server serves the gateway, then the debug pages, until it is told to stop.
type server struct {
	mesh    *mesh.Mesh
	stdout  io.Writer
	servers []*http.Server
	errs    chan error // of each server and of the watch
}

// listen opens the address and begins to serve.
func (g *server) listen(what, address string, h http.Handler, open func(network, address string) (net.Listener, error)) error {
	ln, err := open("tcp", address)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Hour, Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	g.servers = append(g.servers, s)
	fmt.Fprintf(g.stdout, "%s on http://%s\n", what, ln.Addr())
	go func() { g.errs <- s.Serve(ln) }()
	return nil
}

// serve waits for the end and drains: the debug pages stay, so that /readyz says what is going on.
func (g *server) serve(ctx context.Context, stderr io.Writer) int {
	code := exitOK
	select {
	case <-ctx.Done():
	case err := <-g.errs:
		if err != nil && ctx.Err() == nil {
			fmt.Fprintln(stderr, "inmesh:", err)
			code = exitInvalid
		}
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	gateway := make(chan error, 1)
	go func() { gateway <- g.servers[0].Shutdown(drain) }()
	err := errors.Join(g.mesh.Shutdown(drain), <-gateway)
	for _, s := range g.servers[1:] {
		err = errors.Join(err, s.Shutdown(drain))
	}
	if err != nil {
		fmt.Fprintln(stderr, "inmesh: not all requests ended in time:", err)
		code = exitInvalid
	}
	return code
}

// debugMux is what operators look at.
func debugMux(m *mesh.Mesh, registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/debug/mesh/", m.DebugHandler())
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := m.Ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	return mux
}
