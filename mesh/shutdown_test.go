package mesh_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

func TestReady(t *testing.T) {
	m := open(t, entry("a.com", "10.0.0.1"), nil)
	if err := m.Ready(t.Context()); err != nil {
		t.Errorf("got %v", err)
	}
	_ = m.Close()
	if err := m.Ready(t.Context()); !errors.Is(err, mesh.ErrClosed) {
		t.Errorf("closed: got %v", err)
	}
}

func byDNS(host string) string {
	return "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " + host + "}\nspec: {hosts: [" + host + "], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n"
}

// Ready waits for the first answers of DNS, all at once, and says whose are missing.
func TestReadyWaitsForDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, rules(byDNS("a.com"), byDNS("b.com")), &mesh.Options{LookupHost: func(ctx context.Context, host string) ([]string, error) {
			time.Sleep(time.Second)
			return []string{"10.0.0.1"}, nil
		}})
		began := time.Now()
		if err := m.Ready(t.Context()); err != nil || time.Since(began) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		if err := m.Ready(t.Context()); err != nil || time.Since(began) != time.Second {
			t.Errorf("again: got %v after %v", err, time.Since(began))
		}
	})
}

func TestReadyTellsWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		noSuchHost := errors.New("no such host")
		m := open(t, rules(byDNS("a.com"), byDNS("b.com")), &mesh.Options{LookupHost: func(_ context.Context, host string) ([]string, error) {
			if host == "a.com" {
				return nil, noSuchHost
			}
			return []string{"10.0.0.1"}, nil
		}})
		if err := m.Ready(t.Context()); !errors.Is(err, noSuchHost) || !strings.Contains(err.Error(), "a.com") || strings.Contains(err.Error(), "b.com") {
			t.Errorf("got %v", err)
		}
		slow := open(t, byDNS("a.com"), &mesh.Options{LookupHost: func(ctx context.Context, _ string) ([]string, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := slow.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// Shutdown's order: not ready, keep-alives off, no new connections, what is under way completes, closed.
func TestShutdown(t *testing.T) {
	arrived, next := make(chan struct{}), make(chan struct{})
	m := open(t, entry("a.com", "10.0.0.1"), &mesh.Options{Registerer: prometheus.NewRegistry()})
	client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("a")})
	handler := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(arrived)
			<-next
			// What the application calls while it answers still goes out.
			a := meshtest.Do(t, client, "GET", "http://a.com/")
			_, _ = io.WriteString(w, a.Body)
		}
	}))
	ln, err := m.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(ln) }()
	defer func() { _ = server.Close() }()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	outside := &http.Client{Transport: base}
	url := "http://" + ln.Addr().String()
	got := make(chan meshtest.Answer)
	go func() { got <- meshtest.Do(t, outside, "GET", url+"/slow") }()
	<-arrived
	done := make(chan error)
	go func() { done <- m.Shutdown(t.Context()) }()
	eventually(t, "not ready", func() bool { return m.Ready(t.Context()) != nil })
	eventually(t, "the listener is closed", func() bool {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	// On a connection that is still open, answers say that it will close.
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Header().Get("Connection") != "close" {
		t.Errorf("headers %v, want Connection: close", w.Header())
	}
	select {
	case err := <-done:
		t.Fatalf("Shutdown returned %v while a request was under way", err)
	default:
	}
	close(next)
	if a := <-got; a.Body != "a" {
		t.Errorf("the request under way got %+v", a)
	}
	if err := <-done; err != nil {
		t.Errorf("Shutdown returned %v", err)
	}
	if a := meshtest.Do(t, client, "GET", "http://a.com/"); !errors.Is(a.Err, mesh.ErrClosed) {
		t.Errorf("a new request got %+v", a)
	}
	if _, err := m.Listen("tcp", "127.0.0.1:0"); !errors.Is(err, mesh.ErrClosed) {
		t.Errorf("Listen: %v", err)
	}
}

// Shutdown waits for requests of clients, to the end of their bodies, too.
func TestShutdownWaitsForClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, entry("a.com", "10.0.0.1"), nil)
		resp, err := m.Transport(meshtest.Fleet{"10.0.0.1:80": meshtest.Name("a")}).RoundTrip(newRequest(t, "GET", "http://a.com/", nil))
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Minute, func() { drain(t, resp) })
		began := time.Now()
		if err := m.Shutdown(t.Context()); err != nil || time.Since(began) != time.Minute {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
	})
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, entry("a.com", "10.0.0.1"), nil)
		resp, err := m.Transport(meshtest.Fleet{"10.0.0.1:80": meshtest.Name("a")}).RoundTrip(newRequest(t, "GET", "http://a.com/", nil))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := m.Update(nil); !errors.Is(err, mesh.ErrClosed) {
			t.Errorf("it is not closed: %v", err)
		}
		drain(t, resp) // what is under way may end
	})
}

// Requests of every kind of ending count as over: Shutdown returns at once.
func TestShutdownAfterEveryPath(t *testing.T) {
	for _, tt := range paths {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				docs := []string{entry("a.com", "10.0.0.1")}
				if tt.rules != "" {
					docs = append(docs, tt.rules)
				}
				m := open(t, rules(docs...), &tt.opts)
				base := tt.base
				if base == nil && !tt.own {
					base = meshtest.Fleet{"10.0.0.1:80": meshtest.Status(200), "elsewhere.com": meshtest.Status(200)}
				}
				target := tt.url
				if target == "" {
					target = "http://a.com/"
				}
				req := newRequest(t, "PUT", target, newBody("x"))
				if tt.spoil != nil {
					tt.spoil(t, req, m)
				}
				if resp, err := m.Transport(base).RoundTrip(req); err == nil {
					_ = resp.Body.Close()
				}
				began := time.Now()
				if err := m.Shutdown(t.Context()); err != nil || time.Since(began) != 0 {
					t.Errorf("got %v after %v", err, time.Since(began))
				}
			})
		})
	}
}

func TestClose(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	server := httptest.NewServer(meshtest.Name("a"))
	defer server.Close()
	addr := server.Listener.Addr().String()
	m, err := mesh.New(meshtest.Rules(t, rules(entry("a.com", addr), byDNS("b.com"), destination("a.com", ejecting))), &mesh.Options{Logger: quiet,
		Registerer: prometheus.NewRegistry(), LookupHost: func(ctx context.Context, _ string) ([]string, error) {
			<-ctx.Done() // a lookup that hangs ends with the mesh
			return nil, ctx.Err()
		}})
	if err != nil {
		t.Fatal(err)
	}
	client := clientOf(m, nil)
	for _, url := range []string{"http://a.com/", "http://" + addr + "/"} {
		if got := meshtest.Do(t, client, "GET", url); got.Body != "a" {
			t.Errorf("got %+v", got)
		}
	}
	late, err := client.Get("http://" + addr + "/") // under way while the mesh is closed
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error)
	go func() {
		_, err := client.Do(newRequest(t, "GET", "http://b.com/", nil))
		waiting <- err
	}()
	ln, err := m.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Millisecond)
	for range 2 {
		if err := m.Close(); err != nil {
			t.Errorf("Close returned %v", err)
		}
	}
	if err := <-waiting; err == nil {
		t.Error("a request without an address succeeded")
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	if got := drain(t, late); got != "a" {
		t.Errorf("the request under way got %q", got)
	}
	if got := meshtest.Do(t, client, "GET", "http://a.com/"); !errors.Is(got.Err, mesh.ErrClosed) {
		t.Errorf("got %+v", got)
	}
}

// Meshes come and go in one process, with one registry.
func TestCloseFreesTheRegistry(t *testing.T) {
	reg := prometheus.NewRegistry()
	for range 3 {
		m, err := mesh.New(meshtest.Rules(t, entry("a.com", "10.0.0.1")), &mesh.Options{Registerer: reg})
		if err != nil {
			t.Fatal(err)
		}
		_ = m.Close()
	}
	if _, err := reg.Gather(); err != nil {
		t.Error(err)
	}
}

// A mesh that could not be made leaves nothing behind.
func TestNewThatFails(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "istio_requests_total", Help: "in the way"}))
	m, err := mesh.New(meshtest.Rules(t, rules(entry("a.com", "10.0.0.1"), destination("a.com", ejecting))), &mesh.Options{Registerer: reg})
	if err == nil || m != nil {
		_ = m.Close()
		t.Errorf("got %v, %v, want the registry's refusal", m, err)
	}
}
