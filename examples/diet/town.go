package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/mesh"
)

// town is all services and the gateway, each with a mesh of its own and an address on loopback.
type town struct {
	manifests manifests
	meshes    []*mesh.Mesh
	servers   []*http.Server
	entries   []*mesh.Object // a WorkloadEntry for each service: where it runs
	gateway   string         // its address
	edge      *mesh.Mesh
	spelling  *mesh.Mesh
	alphabet  *alphabet
	client    *http.Client // reaches the gateway whatever host it asks for
}

// startTown starts all services, without any rule yet.
func startTown(m manifests, gateway string) (*town, error) {
	t := &town{manifests: m, alphabet: &alphabet{}}
	start := func(app, version string, handler func(*mesh.Mesh) http.Handler) {
		own, _ := mesh.New(nil, &mesh.Options{
			Workload: mesh.Workload{Name: app + "-" + version, Namespace: "default", Labels: map[string]string{"app": app, "version": version}},
			Logger:   slog.New(slog.DiscardHandler),
		})
		t.meshes = append(t.meshes, own)
		addr, err := t.listen("127.0.0.1:0", own.Handler(handler(own)))
		if err == nil {
			err = t.enter(app, version, addr)
		}
		if err != nil {
			panic(err) // loopback has no port left
		}
		if app == "spelling-service" {
			t.spelling = own
		}
	}
	start("hello-istio", "v1", hello("Hello Istio.", "v1"))
	start("hello-istio", "v2", hello("Hello Istio, on a diet.", "v2"))
	start("spelling-service", "v1", spelling)
	start("a-service", "v1", letter("A", "Alpha"))
	start("b-service", "v1", letter("B", "Bravo"))
	start("c-service", "v1", letter("C", "Charlie"))
	start("alphabet-service", "v1", func(*mesh.Mesh) http.Handler { return t.alphabet })

	var err error
	t.edge, err = mesh.New(nil, &mesh.Options{
		Workload: mesh.Workload{Name: "istio-ingressgateway", Namespace: "default", Labels: map[string]string{"istio": "ingressgateway"}},
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	t.meshes = append(t.meshes, t.edge)
	if t.gateway, err = t.listen(gateway, t.frontDoor()); err != nil {
		t.stop()
		return nil, err
	}
	dialer := &net.Dialer{}
	t.client = &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, t.gateway)
		},
	}}
	return t, nil
}

// frontDoor is both gateways behind one port, and the debug pages.
func (t *town) frontDoor() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("hello-istio.cloud/", t.edge.Gateway("hello-istio-gateway"))
	mux.Handle("spelling.cloud/", t.edge.Gateway("spelling-gateway"))
	mux.Handle("/debug/mesh/", t.spelling.DebugHandler())
	return mux
}

// listen serves on the address and tells the one that it got.
func (t *town) listen(address string, h http.Handler) (string, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	t.servers = append(t.servers, s)
	go func() { _ = s.Serve(ln) }()
	return ln.Addr().String(), nil
}

// enter tells where a version of a service runs: its WorkloadEntry, as a VM's would be.
func (t *town) enter(app, version, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	o, err := mesh.NewObject("default", app+"-"+version, &networking.WorkloadEntry{
		Address: host, Ports: map[string]uint32{"http": uint32(n)}, Labels: map[string]string{"app": app, "version": version},
	})
	t.entries = append(t.entries, o)
	return err
}

// apply puts the rules in place everywhere: those that always hold and the named ones.
func (t *town) apply(variants ...string) error {
	rules, err := t.manifests.with(variants...)
	if err != nil {
		return err
	}
	places, err := mesh.Build(t.entries...)
	if err != nil {
		return err
	}
	if rules, err = mesh.Join(rules, places); err != nil {
		return err
	}
	for _, m := range t.meshes {
		err = errors.Join(err, m.Update(rules))
	}
	return err
}

// stop ends all servers and meshes.
func (t *town) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var group sync.WaitGroup
	for _, s := range t.servers {
		group.Go(func() { _ = s.Shutdown(ctx) })
	}
	group.Wait()
	for _, m := range t.meshes {
		_ = m.Close()
	}
	if t.client != nil {
		t.client.CloseIdleConnections()
	}
}
