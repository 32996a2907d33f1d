package mesh_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/go-inmesh/inmesh/mesh"
)

// serve runs a handler behind the mesh on a real server, with everything on that looks at responses.
func serve(t *testing.T, h http.HandlerFunc, http2 bool) *http.Client {
	t.Helper()
	m := open(t, "", &mesh.Options{Registerer: prometheus.NewRegistry(), AccessLog: quiet})
	server := httptest.NewUnstartedServer(m.Handler(h))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = http2
	if http2 {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	client := server.Client()
	client.Transport = &addressed{client.Transport.(*http.Transport), server.Listener.Addr().String(), map[bool]string{true: "https", false: "http"}[http2]}
	return client
}

// addressed sends everything to one server.
type addressed struct {
	*http.Transport
	addr, scheme string
}

func (a *addressed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = a.scheme, a.addr
	return a.Transport.RoundTrip(r)
}

// versions runs a test over HTTP/1.1 and HTTP/2.
func versions(t *testing.T, f func(t *testing.T, http2 bool)) {
	for _, http2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP1", true: "HTTP2"}[http2], func(t *testing.T) { f(t, http2) })
	}
}

func TestHandlerFlush(t *testing.T) {
	versions(t, func(t *testing.T, http2 bool) {
		next := make(chan struct{})
		client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "one\n")
			w.(http.Flusher).Flush()
			<-next
			_, _ = io.WriteString(w, "two\n")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			<-next
		}, http2)
		resp, err := client.Do(newRequest(t, "GET", "http://a/", nil))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		lines := bufio.NewScanner(resp.Body)
		for _, want := range []string{"one", "two"} {
			if !lines.Scan() || lines.Text() != want {
				t.Errorf("got %q, want %q", lines.Text(), want)
			}
			next <- struct{}{}
		}
	})
}

func TestHandlerHijack(t *testing.T) {
	for name, hijack := range map[string]func(http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error){
		"by assertion": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
		"by controller": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				conn, rw, err := hijack(w)
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = conn.Close() }()
				_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
				_ = rw.Flush()
				line, _ := rw.ReadString('\n')
				_, _ = rw.WriteString("echo " + line)
				_ = rw.Flush()
			}, false)
			resp, err := client.Do(newRequest(t, "GET", "http://a/", nil, "connection: upgrade", "upgrade: echo"))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(resp.Body.(io.Writer), "hello\n")
			if got := drain(t, resp); got != "echo hello\n" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestHandlerReadFrom(t *testing.T) {
	file := t.TempDir() + "/big"
	if err := os.WriteFile(file, []byte(strings.Repeat("0123456789", 1<<16)), 0o600); err != nil {
		t.Fatal(err)
	}
	versions(t, func(t *testing.T, http2 bool) {
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if _, ok := w.(io.ReaderFrom); ok == http2 {
				t.Errorf("ReadFrom: %t", ok)
			}
			http.ServeFile(w, r, file)
		}, http2)
		resp, err := client.Do(newRequest(t, "GET", "http://a/", nil, "range: bytes=10-19"))
		if err != nil {
			t.Fatal(err)
		}
		if got := drain(t, resp); got != "0123456789" || resp.StatusCode != 206 {
			t.Errorf("%d %q", resp.StatusCode, got)
		}
	})
}

func TestHandlerDeadlines(t *testing.T) {
	versions(t, func(t *testing.T, http2 bool) {
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(w)
			if err := c.SetWriteDeadline(time.Now().Add(time.Hour)); err != nil {
				t.Error(err)
			}
			if err := c.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
				t.Error(err)
			}
			_, err := io.ReadAll(r.Body)
			fmt.Fprint(w, errors.Is(err, os.ErrDeadlineExceeded))
		}, http2)
		pr, pw := io.Pipe()
		defer func() { _ = pw.Close() }()
		resp, err := client.Do(newRequest(t, "POST", "http://a/", pr))
		if err != nil {
			t.Fatal(err)
		}
		if got := drain(t, resp); got != "true" {
			t.Errorf("the read deadline was kept: %s", got)
		}
	})
}

func TestHandlerFullDuplex(t *testing.T) {
	versions(t, func(t *testing.T, http2 bool) {
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			c := http.NewResponseController(w)
			if err := c.EnableFullDuplex(); err != nil && !http2 {
				t.Error(err)
			}
			for lines := bufio.NewScanner(r.Body); lines.Scan(); {
				fmt.Fprintf(w, "echo %s\n", lines.Text())
				_ = c.Flush()
			}
		}, http2)
		pr, pw := io.Pipe()
		go func() { _, _ = io.WriteString(pw, "0\n") }()
		resp, err := client.Do(newRequest(t, "POST", "http://a/", pr))
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(resp.Body)
		for i := range 3 {
			if want := fmt.Sprintf("echo %d", i); !lines.Scan() || lines.Text() != want {
				t.Errorf("got %q, want %q", lines.Text(), want)
			}
			if i < 2 {
				_, _ = fmt.Fprintf(pw, "%d\n", i+1)
			}
		}
		_ = pw.Close()
		drain(t, resp)
	})
}

func TestHandlerInformational(t *testing.T) {
	versions(t, func(t *testing.T, http2 bool) {
		client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusProcessing)
			w.Header().Set("Link", "</a.css>")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusAccepted)
		}, http2)
		var got []int
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { got = append(got, code); return nil }}
		req := newRequest(t, "GET", "http://a/", nil)
		resp, err := client.Do(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
		if err != nil {
			t.Fatal(err)
		}
		drain(t, resp)
		if diff := cmp.Diff(got, []int{102, 103, 103}); diff != "" || resp.StatusCode != 202 {
			t.Errorf("%d (-got +want):\n%s", resp.StatusCode, diff)
		}
	})
}

func TestHandlerImplicitOK(t *testing.T) {
	versions(t, func(t *testing.T, http2 bool) {
		client := serve(t, func(http.ResponseWriter, *http.Request) {}, http2)
		resp, err := client.Do(newRequest(t, "GET", "http://a/", nil))
		if err != nil {
			t.Fatal(err)
		}
		if got := drain(t, resp); got != "" || resp.StatusCode != 200 {
			t.Errorf("%d %q", resp.StatusCode, got)
		}
	})
}

func TestHandlerTrailers(t *testing.T) {
	versions(t, func(t *testing.T, http2 bool) {
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			_, _ = io.Copy(w, r.Body)
			w.Header().Set("X-Sum", r.Trailer.Get("X-Sum"))
			w.Header().Set(http.TrailerPrefix+"X-Late", "late")
		}, http2)
		req := newRequest(t, "POST", "http://a/", io.MultiReader(strings.NewReader("text")))
		req.Trailer = http.Header{"X-Sum": {"42"}}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		drain(t, resp)
		if diff := cmp.Diff(resp.Trailer, http.Header{"X-Sum": {"42"}, "X-Late": {"late"}}); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
	})
}

// A panic goes on to the server, which knows what to do; so does the one that asks it to be silent.
func TestHandlerPanics(t *testing.T) {
	m := open(t, "", nil)
	for _, value := range []any{http.ErrAbortHandler, "broken", errors.New("broken")} {
		func() {
			defer func() {
				if got := recover(); got != value {
					t.Errorf("recovered %v, want %v", got, value)
				}
			}()
			m.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(value) })).
				ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		}()
	}
	// The request counts as over: a shutdown does not wait for it.
	if err := m.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestHandlerPanicBreaksTheConnection(t *testing.T) {
	versions(t, func(t *testing.T, http2 bool) {
		client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, http2)
		resp, err := client.Do(newRequest(t, "GET", "http://a/", nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(resp.Body); err == nil {
			t.Error("the body ended well, want it broken off")
		}
		_ = resp.Body.Close()
	})
}

// The handler's request is what came in, and what it calls with its context carries the request id on.
func TestHandlerRequest(t *testing.T) {
	m := open(t, "", nil)
	var sent http.Header
	client := clientOf(open(t, entry("a.com", "10.0.0.1"), nil), roundTripper(func(r *http.Request) (*http.Response, error) {
		sent = r.Header
		return respond(r, 200, ""), nil
	}))
	w := httptest.NewRecorder()
	m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("name") != "" || r.URL.Path != "/x" {
			t.Errorf("got %s", r.URL)
		}
		req, _ := http.NewRequestWithContext(r.Context(), "GET", "http://a.com/", nil)
		resp, err := client.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		_ = resp.Body.Close()
		w.WriteHeader(http.StatusTeapot)
	})).ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
	if w.Code != http.StatusTeapot {
		t.Errorf("got %d", w.Code)
	}
	if id := sent.Get("X-Request-Id"); len(id) != 36 {
		t.Errorf("sent x-request-id %q, want the server's", id)
	}
}

// A nil handler is the default mux.
func TestHandlerNil(t *testing.T) {
	w := httptest.NewRecorder()
	open(t, "", nil).Handler(nil).ServeHTTP(w, httptest.NewRequest("GET", "/nobody/registered/this", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("got %d", w.Code)
	}
}

// Telemetry gets to know how the handler answered.
func TestHandlerIsTold(t *testing.T) {
	log := newBuffer()
	m := open(t, "", &mesh.Options{AccessLog: slog.New(slog.NewJSONHandler(log, nil))})
	for _, h := range []http.HandlerFunc{
		func(http.ResponseWriter, *http.Request) {},
		func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "text") },
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) },
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		func() {
			defer func() { _ = recover() }()
			m.Handler(h).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		}()
	}
	_ = m.Close()
	var got []string
	for line := range strings.Lines(log.String()) {
		var r struct {
			Code  int    `json:"response_code"`
			Sent  int    `json:"bytes_sent"`
			Flags string `json:"response_flags"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(r.Code, r.Sent, r.Flags))
	}
	if diff := cmp.Diff(got, []string{"200 0-", "200 4-", "418 0-", "503 0UC"}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

// The server sees what the mux found: patterns and path values work below the mesh and around it.
func TestHandlerPatterns(t *testing.T) {
	m := open(t, "", nil)
	mux := http.NewServeMux()
	mux.Handle("GET /users/{id}", m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.PathValue("id")) })))
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/users/7", nil)
	mux.ServeHTTP(w, r)
	if w.Body.String() != "7" {
		t.Errorf("the mesh below a mux: got %q", w.Body)
	}
	mux = http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(http.ResponseWriter, *http.Request) {})
	r = httptest.NewRequest("GET", "/users/7", nil)
	m.Handler(mux).ServeHTTP(httptest.NewRecorder(), r)
	if r.Pattern != "GET /users/{id}" {
		t.Errorf("the mesh around a mux: pattern %q", r.Pattern)
	}
}
