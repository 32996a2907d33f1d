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
	err := t.startServices()
	if err == nil {
		err = t.startGateway(gateway)
	}
	if err != nil {
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

// startServices starts each version of each service, and notes where it runs.
func (t *town) startServices() error {
	for _, s := range []struct {
		app, version string
		handler      func(*mesh.Mesh) http.Handler
	}{
		{"hello-istio", "v1", hello("Hello Istio.", "v1")},
		{"hello-istio", "v2", hello("Hello Istio, on a diet.", "v2")},
		{"spelling-service", "v1", spelling},
		{"a-service", "v1", letter("A", "Alpha")},
		{"b-service", "v1", letter("B", "Bravo")},
		{"c-service", "v1", letter("C", "Charlie")},
		{"alphabet-service", "v1", func(*mesh.Mesh) http.Handler { return t.alphabet }},
	} {
		own, err := t.newMesh(s.app+"-"+s.version, map[string]string{"app": s.app, "version": s.version})
		if err != nil {
			return err
		}
		addr, err := t.listen("127.0.0.1:0", own.Handler(s.handler(own)))
		if err == nil {
			err = t.enter(s.app, s.version, addr)
		}
		if err != nil {
			return err
		}
		if s.app == "spelling-service" {
			t.spelling = own
		}
	}
	return nil
}

// startGateway starts the gateway on its address.
func (t *town) startGateway(address string) (err error) {
	if t.edge, err = t.newMesh("istio-ingressgateway", map[string]string{"istio": "ingressgateway"}); err != nil {
		return err
	}
	t.gateway, err = t.listen(address, t.frontDoor())
	return err
}

// newMesh is the mesh of one workload, without any rule yet.
func (t *town) newMesh(name string, labels map[string]string) (*mesh.Mesh, error) {
	m, err := mesh.New(nil, &mesh.Options{
		Workload: mesh.Workload{Name: name, Namespace: "default", Labels: labels},
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err == nil {
		t.meshes = append(t.meshes, m)
	}
	return m, err
}

// frontDoor is both gateways behind one port, and the debug pages. A browser, which asks for the address that it is
// given, finds the services by their paths.
func (t *town) frontDoor() http.Handler {
	hello, spelling := t.edge.Gateway("hello-istio-gateway"), t.edge.Gateway("spelling-gateway")
	mux := http.NewServeMux()
	mux.Handle("hello-istio.cloud/", hello)
	mux.Handle("spelling.cloud/", spelling)
	mux.Handle("/api/hello", under("hello-istio.cloud", hello))
	mux.Handle("/api/spell", under("spelling.cloud", spelling))
	mux.Handle("/debug/mesh/", t.spelling.DebugHandler())
	return mux
}

// under is the handler for requests that ask for another host.
func under(host string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.Host = host
		h.ServeHTTP(w, r)
	})
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
