package observe_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/go-inmesh/inmesh/observe"
)

// informed is a recorder that takes informational headers, as a server does.
type informed struct{ *httptest.ResponseRecorder }

func (w informed) WriteHeader(code int) {
	if code >= 200 {
		w.ResponseRecorder.WriteHeader(code)
	}
}

func TestHandler(t *testing.T) {
	tests := []struct {
		name    string
		method  string
		handler func(w http.ResponseWriter, req *http.Request, cancel func())
		want    string
		bytes   int64
		panics  any
	}{
		{name: "writes nothing", handler: func(http.ResponseWriter, *http.Request, func()) {},
			want: "response_code=200 response_flags=- 1"},
		{name: "writes", handler: func(w http.ResponseWriter, _ *http.Request, _ func()) {
			_, _ = w.Write([]byte("ab"))
			_, _ = io.WriteString(w, "cd")
			_, _ = io.Copy(w, strings.NewReader("ef"))
			w.WriteHeader(500) // superfluous
		}, want: "response_code=200 response_flags=- 1", bytes: 6},
		{name: "hints, then fails", handler: func(w http.ResponseWriter, _ *http.Request, _ func()) {
			w.WriteHeader(100)
			w.WriteHeader(103)
			w.WriteHeader(103)
			http.Error(w, "no", 500)
		}, want: "response_code=500 response_flags=- 1", bytes: 3},
		{name: "flushes only", handler: func(w http.ResponseWriter, _ *http.Request, _ func()) { w.(http.Flusher).Flush() },
			want: "response_code=200 response_flags=- 1"},
		{name: "HEAD", method: "HEAD", handler: func(w http.ResponseWriter, _ *http.Request, _ func()) {
			_, _ = io.WriteString(w, "not sent")
		}, want: "response_code=200 response_flags=- 1"},
		{name: "panics", handler: func(http.ResponseWriter, *http.Request, func()) { panic("oh") }, panics: "oh",
			want: "response_code=503 response_flags=UC 1"},
		{name: "aborts", handler: func(w http.ResponseWriter, _ *http.Request, _ func()) {
			w.WriteHeader(201)
			panic(http.ErrAbortHandler)
		}, panics: http.ErrAbortHandler, want: "response_code=201 response_flags=UC 1"},
		{name: "client left", handler: func(_ http.ResponseWriter, _ *http.Request, cancel func()) { cancel() },
			want: "response_code=0 response_flags=DC 1"},
		{name: "client left in the middle", handler: func(w http.ResponseWriter, _ *http.Request, cancel func()) {
			_, _ = io.WriteString(w, "ab")
			cancel()
		}, want: "response_code=200 response_flags=DC 1", bytes: 2},
		{name: "refused by somebody who knows", handler: func(w http.ResponseWriter, req *http.Request, _ func()) {
			r := &observe.CallFrom(req.Context()).Record
			r.Flags, r.Details = observe.FlagRL, "request_rate_limited"
			w.WriteHeader(429)
		}, want: "response_code=429 response_flags=RL 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			reg := prometheus.NewRegistry()
			o := newObserver(t, &observe.Options{Registerer: reg,
				Service: observe.NewService("reviews.default.svc", "reviews", "default")})
			var call *observe.Call
			h := o.Handler(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				call = observe.CallFrom(req.Context())
				tt.handler(w, req, cancel)
			}))
			req := httptest.NewRequestWithContext(ctx, tt.method, "/", nil)
			func() {
				defer func() {
					if got := recover(); got != tt.panics {
						t.Errorf("got panic %v, want %v", got, tt.panics)
					}
				}()
				h.ServeHTTP(informed{httptest.NewRecorder()}, req)
			}()
			if got := told(t, reg); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if call.Record.BytesSent != tt.bytes {
				t.Errorf("got %d bytes, want %d", call.Record.BytesSent, tt.bytes)
			}
		})
	}
}

// parts can be put together to any kind of ResponseWriter.
type (
	base   struct{ http.ResponseWriter }
	flush  struct{ *int }
	hijack struct{ *int }
	reader struct{ *int }
	push   struct{ *int }
)

func (f flush) Flush() { *f.int |= 1 }
func (h hijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	*h.int |= 2
	return nil, nil, nil
}

func (r reader) ReadFrom(io.Reader) (int64, error) {
	*r.int |= 4
	return 9, nil
}

func (p push) Push(string, *http.PushOptions) error {
	*p.int |= 8
	return nil
}

// TestWriterCanDoWhatItCould puts each combination of optional interfaces behind our writer.
func TestWriterCanDoWhatItCould(t *testing.T) {
	b := base{httptest.NewRecorder()}
	n := new(int)
	f, h, r, p := flush{n}, hijack{n}, reader{n}, push{n}
	writers := []http.ResponseWriter{
		0: b,
		1: struct {
			base
			flush
		}{b, f},
		2: struct {
			base
			hijack
		}{b, h},
		3: struct {
			base
			flush
			hijack
		}{b, f, h},
		4: struct {
			base
			reader
		}{b, r},
		5: struct {
			base
			flush
			reader
		}{b, f, r},
		6: struct {
			base
			hijack
			reader
		}{b, h, r},
		7: struct {
			base
			flush
			hijack
			reader
		}{b, f, h, r},
		8: struct {
			base
			push
		}{b, p},
		9: struct {
			base
			flush
			push
		}{b, f, p},
		10: struct {
			base
			hijack
			push
		}{b, h, p},
		11: struct {
			base
			flush
			hijack
			push
		}{b, f, h, p},
		12: struct {
			base
			reader
			push
		}{b, r, p},
		13: struct {
			base
			flush
			reader
			push
		}{b, f, r, p},
		14: struct {
			base
			hijack
			reader
			push
		}{b, h, r, p},
		15: struct {
			base
			flush
			hijack
			reader
			push
		}{b, f, h, r, p},
	}
	for want, w := range writers {
		*n = 0
		o := newObserver(t, nil)
		c := &observe.Call{}
		o.StartServer(c, httptest.NewRequest("GET", "/", nil))
		got := c.Writer(w)
		if u, ok := got.(interface{ Unwrap() http.ResponseWriter }); !ok || u.Unwrap() != w {
			t.Errorf("%d: does not unwrap to what it wraps", want)
		}
		if v, ok := got.(http.Flusher); ok {
			v.Flush()
		}
		if v, ok := got.(http.Hijacker); ok {
			_, _, _ = v.Hijack()
		}
		if v, ok := got.(io.ReaderFrom); ok {
			_, _ = v.ReadFrom(strings.NewReader(""))
		}
		if v, ok := got.(http.Pusher); ok {
			_ = v.Push("/", nil)
		}
		if *n != want {
			t.Errorf("got abilities %04b, want %04b", *n, want)
		}
		if _, ok := got.(interface{ FlushError() error }); ok != (want&1 != 0) {
			t.Errorf("%d: got FlushError %v", want, ok)
		}
		if err := http.NewResponseController(got).EnableFullDuplex(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("%d: got %v, want not supported", want, err)
		}
	}
}

// TestResponseController reaches net/http's own writer through ours.
func TestResponseController(t *testing.T) {
	o := newObserver(t, nil)
	s := httptest.NewServer(o.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		if err := errors.Join(c.EnableFullDuplex(), c.Flush()); err != nil {
			t.Error(err)
		}
	})))
	defer s.Close()
	resp, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	s.Client().CloseIdleConnections()
}

// TestOuterRequest looks at what the server and middleware outside of us see after the handler.
func TestOuterRequest(t *testing.T) {
	var form bytes.Buffer
	mw := multipart.NewWriter(&form)
	part, _ := mw.CreateFormFile("file", "a.txt")
	_, _ = io.WriteString(part, strings.Repeat("x", 1<<12))
	_ = mw.Close()
	mux := http.NewServeMux()
	var file string
	mux.HandleFunc("POST /up", func(_ http.ResponseWriter, req *http.Request) {
		if err := req.ParseMultipartForm(1); err != nil {
			t.Error(err)
			return
		}
		f, _ := req.MultipartForm.File["file"][0].Open()
		if f, ok := f.(*os.File); ok {
			file = f.Name()
		}
		_ = f.Close()
	})
	o := newObserver(t, nil)
	pattern := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		o.Handler(mux).ServeHTTP(w, req)
		pattern = req.Pattern
	}))
	defer s.Close()
	resp, err := s.Client().Post(s.URL+"/up", mw.FormDataContentType(), &form)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	s.Client().CloseIdleConnections()
	s.Close()
	if _, err := os.Stat(file); file == "" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the server did not remove %q: %v", file, err)
	}
	if pattern != "POST /up" {
		t.Errorf("got pattern %q, want POST /up", pattern)
	}
}

func TestCertifiedSource(t *testing.T) {
	id, _ := url.Parse("spiffe://cluster.local/ns/shop/sa/cart")
	web, _ := url.Parse("https://example.com")
	tests := []struct {
		name string
		uris []*url.URL
		want string
	}{
		{"SPIFFE", []*url.URL{web, id}, "source_principal=spiffe://cluster.local/ns/shop/sa/cart " +
			"source_workload_namespace=shop source_cluster=Kubernetes connection_security_policy=mutual_tls 1"},
		{"no SPIFFE", []*url.URL{web}, "source_principal=unknown " +
			"source_workload_namespace=unknown source_cluster=unknown connection_security_policy=mutual_tls 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reg := prometheus.NewRegistry()
			o := newObserver(t, &observe.Options{Registerer: reg})
			req := httptest.NewRequest("GET", "/", nil)
			req.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{URIs: tt.uris}}}
			o.Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), req)
			line := samples(t, reg, "istio_requests_total")[0]
			if got := labels(t, line, "source_principal", "source_workload_namespace", "source_cluster",
				"connection_security_policy"); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestRequestID(t *testing.T) {
	o := newObserver(t, nil)
	seen := map[string]bool{}
	for range 100 {
		req := httptest.NewRequest("GET", "/", nil)
		ctx := o.StartServer(&observe.Call{}, req)
		id := observe.RequestID(ctx)
		if seen[id] || len(id) != 36 || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) ||
			strings.Count(id, "-") != 4 || req.Header.Get("X-Request-Id") != id {
			t.Fatalf("got %q, want a new UUID of version 4", id)
		}
		seen[id] = true
	}
	req := httptest.NewRequest("GET", "/", nil)
	req.Header.Set("X-Request-Id", "kept")
	if got := observe.RequestID(o.StartServer(&observe.Call{}, req)); got != "kept" {
		t.Errorf("got %q, want kept", got)
	}
	if got := observe.RequestID(t.Context()); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
}
