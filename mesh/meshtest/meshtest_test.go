package meshtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// over is a client straight over the fleet, whose one address is a:80.
func over(h http.HandlerFunc) *http.Client { return &http.Client{Transport: meshtest.Fleet{"a:80": h}} }

func do(t *testing.T, client *http.Client, req *http.Request, err error) *http.Response {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func TestFleetAddresses(t *testing.T) {
	fleet := meshtest.Fleet{"10.0.0.1:9080": meshtest.Name("ip"), "a.com:80": meshtest.Name("http"), "a.com:443": meshtest.Name("https"),
		"b.com": meshtest.Name("bare"), "/run/app.sock": meshtest.Name("unix"), "dead:80": nil}
	for url, want := range map[string]string{"http://10.0.0.1:9080/": "ip", "http://a.com/": "http", "https://a.com/": "https", "http://b.com/": "bare"} {
		if got := meshtest.Do(t, &http.Client{Transport: fleet}, "GET", url); got.Body != want {
			t.Errorf("%s: got %+v, want %s", url, got, want)
		}
	}
	for _, url := range []string{"http://10.0.0.2:9080/", "http://dead/"} {
		got := meshtest.Do(t, &http.Client{Transport: fleet}, "GET", url)
		op, ok := errors.AsType[*net.OpError](got.Err)
		if !errors.Is(got.Err, syscall.ECONNREFUSED) || !ok || op.Op != "dial" {
			t.Errorf("%s: got %v, want a refused connection", url, got.Err)
		}
	}
}

// The handler sees the request as a server would.
func TestFleetRequest(t *testing.T) {
	client := over(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		got := fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.URL, " ", r.Host, " ", r.Proto, " ", r.ContentLength, " ", r.Header.Get("X-A"), " ", string(b), " ", err)
		if want := "POST /x?y=1 /x?y=1 host.com HTTP/1.1 7 b payload <nil>"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if host, _, err := net.SplitHostPort(r.RemoteAddr); err != nil || net.ParseIP(host) == nil {
			t.Errorf("RemoteAddr %q", r.RemoteAddr)
		}
		r.Header.Set("X-A", "changed") // its own copy
	})
	req, err := http.NewRequest("POST", "http://a/x?y=1", strings.NewReader("payload"))
	req.Host = "host.com"
	req.Header.Set("X-A", "b")
	_ = do(t, client, req, err)
	if req.Header.Get("X-A") != "b" {
		t.Error("the handler changed the client's request")
	}
}

func TestFleetWithoutABody(t *testing.T) {
	client := over(func(w http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); len(b) != 0 || err != nil || r.ContentLength != 0 {
			t.Errorf("got %q, %v, length %d", b, err, r.ContentLength)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	req, err := http.NewRequest("GET", "http://a/", nil)
	if resp := do(t, client, req, err); resp.StatusCode != 204 || resp.Status != "204 No Content" {
		t.Errorf("got %s", resp.Status)
	}
}

// Both directions stream: each line is answered before the next one is sent.
func TestFleetStreams(t *testing.T) {
	client := over(func(w http.ResponseWriter, r *http.Request) {
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			_, _ = fmt.Fprintln(w, "echo", lines.Text())
			_ = http.NewResponseController(w).Flush()
		}
	})
	pr, pw := io.Pipe()
	go func() { _, _ = io.WriteString(pw, "0\n") }()
	req, err := http.NewRequest("POST", "http://a/", pr)
	lines := bufio.NewScanner(do(t, client, req, err).Body)
	for i := range 5 {
		if want := fmt.Sprint("echo ", i); !lines.Scan() || lines.Text() != want {
			t.Errorf("got %q, want %q", lines.Text(), want)
		}
		_, _ = fmt.Fprintln(pw, i+1)
	}
	_ = pw.Close()
	for lines.Scan() {
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
}

func TestFleetHeader(t *testing.T) {
	client := over(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-A", "1")
		w.Header().Set("Content-Length", "4")
		w.WriteHeader(201)
		w.WriteHeader(500)         // too late
		w.Header().Set("X-B", "2") // too late
		_, _ = io.WriteString(w, "text")
	})
	req, err := http.NewRequest("GET", "http://a/", nil)
	resp := do(t, client, req, err)
	if diff := cmp.Diff(resp.Header, http.Header{"X-A": {"1"}, "Content-Length": {"4"}}); diff != "" || resp.StatusCode != 201 || resp.ContentLength != 4 {
		t.Errorf("%d, length %d (-got +want):\n%s", resp.StatusCode, resp.ContentLength, diff)
	}
}

func TestFleetHead(t *testing.T) {
	client := over(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "4")
		n, err := io.WriteString(w, "text")
		if n != 4 || err != nil {
			t.Error(n, err)
		}
	})
	req, err := http.NewRequest("HEAD", "http://a/", nil)
	resp := do(t, client, req, err)
	if b, err := io.ReadAll(resp.Body); len(b) != 0 || err != nil || resp.ContentLength != 4 {
		t.Errorf("got %q, %v, length %d", b, err, resp.ContentLength)
	}
}

func TestFleetTrailers(t *testing.T) {
	client := over(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := r.Trailer["X-In"]; !ok {
			t.Error("the request's trailer is not announced")
		}
		w.Header().Set("Trailer", "X-Out, X-Never")
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("X-Out", r.Trailer.Get("X-In"))
		w.Header().Set(http.TrailerPrefix+"X-Late", "late")
	})
	req, err := http.NewRequest("POST", "http://a/", strings.NewReader("text"))
	req.Trailer = http.Header{"X-In": {"1"}}
	resp := do(t, client, req, err)
	if _, ok := resp.Trailer["X-Out"]; !ok {
		t.Error("the answer's trailer is not announced")
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	if diff := cmp.Diff(resp.Trailer, http.Header{"X-Out": {"1"}, "X-Late": {"late"}, "X-Never": nil}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
	if len(resp.Header) != 0 {
		t.Errorf("trailers are among the headers: %v", resp.Header)
	}
}

func TestFleetInformational(t *testing.T) {
	client := over(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "x")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
	})
	var got []int
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { got = append(got, code); return nil }})
	req, err := http.NewRequestWithContext(ctx, "GET", "http://a/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if diff := cmp.Diff(got, []int{103}); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}

// A panic is a connection that breaks: before the header no answer, after it a body that does not end.
func TestFleetPanics(t *testing.T) {
	for _, value := range []any{http.ErrAbortHandler, "broken"} {
		client := over(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/late" {
				_, _ = io.WriteString(w, "begin")
				w.(http.Flusher).Flush()
			}
			panic(value)
		})
		if got := meshtest.Do(t, client, "GET", "http://a/"); !errors.Is(got.Err, syscall.ECONNRESET) {
			t.Errorf("%v: got %+v", value, got)
		}
		if got := meshtest.Do(t, client, "GET", "http://a/late"); got.Body != "begin" || !errors.Is(got.Err, syscall.ECONNRESET) {
			t.Errorf("%v late: got %+v", value, got)
		}
	}
	if got := meshtest.Do(t, &http.Client{Transport: meshtest.Fleet{"a:80": meshtest.Reset}}, "GET", "http://a/"); !errors.Is(got.Err, syscall.ECONNRESET) {
		t.Errorf("Reset: got %+v", got)
	}
}

// A client that leaves ends the handler's context, and hears its own context's error.
func TestFleetCancel(t *testing.T) {
	for _, path := range []string{"/before", "/in-the-body"} {
		synctest.Test(t, func(t *testing.T) {
			ended := false
			client := over(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/in-the-body" {
					w.(http.Flusher).Flush()
				}
				<-r.Context().Done()
				ended = true
				_, err := io.WriteString(w, strings.Repeat("x", 1<<20)) // does not block
				if err == nil {
					t.Error("the handler writes to nobody")
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "GET", "http://a"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				_ = resp.Body.Close()
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if synctest.Wait(); !ended {
				t.Error("the handler's context did not end")
			}
		})
	}
}

// A body that is closed before its end ends the handler.
func TestFleetClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wg sync.WaitGroup
		wg.Add(1)
		client := over(func(w http.ResponseWriter, r *http.Request) {
			defer wg.Done()
			for {
				if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
					break
				}
			}
			<-r.Context().Done()
		})
		req, err := http.NewRequest("GET", "http://a/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadFull(resp.Body, make([]byte, 1<<17))
		_ = resp.Body.Close()
		wg.Wait()
	})
}

// The request's body is closed when the handler returns, read or not.
func TestFleetClosesTheBody(t *testing.T) {
	closed := make(chan struct{})
	client := over(func(http.ResponseWriter, *http.Request) {})
	req, err := http.NewRequest("POST", "http://a/", closing{strings.NewReader("unread"), closed})
	_ = do(t, client, req, err)
	<-closed
}

type closing struct {
	io.Reader
	closed chan struct{}
}

func (c closing) Close() error { close(c.closed); return nil }

func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &http.Client{Transport: meshtest.Fleet{"a:80": meshtest.Hang}, Timeout: time.Hour}
		began := time.Now()
		if got := meshtest.Do(t, client, "GET", "http://a/"); got.Err == nil || time.Since(began) != time.Hour {
			t.Errorf("got %+v after %v", got, time.Since(began))
		}
	})
}

// Handlers that ask for the connection learn that there is none.
func TestFleetHijack(t *testing.T) {
	client := over(func(w http.ResponseWriter, _ *http.Request) {
		if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("got %v", err)
		}
	})
	req, err := http.NewRequest("GET", "http://a/", nil)
	_ = do(t, client, req, err)
}

const split = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec: {hosts: [a.com], resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 10.0.0.1, labels: {version: v1}}, {address: 10.0.0.2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec: {host: a.com, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec: {hosts: [a.com], http: [{route: [{destination: {host: a.com, subset: v1}, weight: 90}, {destination: {host: a.com, subset: v2}, weight: 10}]}]}
`

func TestSpreadRepeats(t *testing.T) {
	fleet := meshtest.Fleet{"10.0.0.1:80": meshtest.Name("v1"), "10.0.0.2:80": meshtest.Name("v2")}
	one := meshtest.Spread(t, meshtest.Client(t, split, fleet), 200, "http://a.com/")
	two := meshtest.Spread(t, meshtest.Client(t, split, fleet), 200, "http://a.com/")
	if diff := cmp.Diff(one, two); diff != "" || one["v1"] < 160 || one["v1"] > 195 {
		t.Errorf("got %v, then (-got +want):\n%s", one, diff)
	}
	low := meshtest.NewWith(t, split, &mesh.Options{Rand: meshtest.Always(0)})
	if got := meshtest.Spread(t, &http.Client{Transport: low.Transport(fleet)}, 20, "http://a.com/"); got["v1"] != 20 {
		t.Errorf("Always(0): got %v", got)
	}
	high := meshtest.NewWith(t, split, &mesh.Options{Rand: meshtest.Always(0.95)})
	if got := meshtest.Spread(t, &http.Client{Transport: high.Transport(fleet)}, 20, "http://a.com/"); got["v2"] != 20 {
		t.Errorf("Always(0.95): got %v", got)
	}
}

// Rules that cannot be used end the test with all that is wrong.
func TestRulesThatAreWrong(t *testing.T) {
	fake := &failed{TB: t}
	func() {
		defer func() { _ = recover() }()
		meshtest.New(fake, "kind: VirtualService\n")
	}()
	if !strings.Contains(fake.text, "apiVersion") {
		t.Errorf("the test failed with %q", fake.text)
	}
}

// failed is a test that notes its failure.
type failed struct {
	testing.TB
	text string
}

func (f *failed) Helper() {}
func (f *failed) Fatal(args ...any) {
	f.text = fmt.Sprint(args...)
	panic("fatal")
}
