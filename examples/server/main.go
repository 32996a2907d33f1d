// Command server is the smallest server: a handler behind the mesh, which observes requests, knows who calls, and ends in
// order. It listens on loopback until it is interrupted.
//
//	go run ./examples/server & curl http://127.0.0.1:8080/; curl http://127.0.0.1:8080/metrics
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/go-inmesh/inmesh/mesh"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	registry := prometheus.NewRegistry()
	m, err := mesh.New(nil, &mesh.Options{
		Workload:   mesh.Workload{Name: "greeter", Labels: map[string]string{"app": "greeter", "version": "v1"}},
		Registerer: registry,
		AccessLog:  slog.Default(),
	})
	if err != nil {
		log.Fatal(err)
	}
	app := http.NewServeMux()
	app.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })

	mux := http.NewServeMux()
	mux.Handle("/", m.Handler(app))
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := m.Ready(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	ln, err := m.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(ln) }()
	<-ctx.Done()

	drain, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := m.Shutdown(drain); err != nil {
		log.Print(err)
	}
	if err := server.Shutdown(drain); err != nil {
		log.Print(err)
	}
}
