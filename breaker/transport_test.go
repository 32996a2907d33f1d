package breaker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/internal/answer"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// body is a request's or response's body that knows whether it was closed.
type body struct {
	io.Reader
	closed atomic.Bool
}

func (b *body) Close() error {
	b.closed.Store(true)
	return nil
}

func status(code int) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			r.Body.Close()
		}
		return &http.Response{StatusCode: code, Body: &body{Reader: strings.NewReader("hello")}, Request: r}, nil
	}
}

// talk is the talk's rule: one connection, one in line; one error ejects, for 5 s.
func talk() *networking.TrafficPolicy {
	return &networking.TrafficPolicy{
		ConnectionPool: &networking.ConnectionPoolSettings{
			Tcp:  &networking.ConnectionPoolSettings_TCPSettings{MaxConnections: 1},
			Http: &networking.ConnectionPoolSettings_HTTPSettings{Http1MaxPendingRequests: 1},
		},
		OutlierDetection: &networking.OutlierDetection{
			Consecutive_5XxErrors: wrapperspb.UInt32(1), Interval: durationpb.New(time.Second),
			BaseEjectionTime: durationpb.New(5 * time.Second), MaxEjectionPercent: 100,
		},
	}
}

func newBreaker(t testing.TB, p *networking.TrafficPolicy) *breaker.Breaker {
	t.Helper()
	b, err := breaker.New(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func request(t testing.TB, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, &body{Reader: strings.NewReader("body")})
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func drain(t testing.TB, resp *http.Response) {
	t.Helper()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Error(err)
	}
	resp.Body.Close()
}

func TestEjectedHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, talk())
		var events []string
		hook := func(e breaker.Event) { events = append(events, fmt.Sprint(e.Endpoint, " ", e.Cause, " ", e.Returned)) }
		b.OnEject, b.OnReturn = hook, hook
		code := 503
		rt := b.Transport(roundTrip(func(r *http.Request) (*http.Response, error) { return status(code)(r) }))

		resp, err := rt.RoundTrip(request(t, "http://alphabet:8080/a"))
		if err != nil || resp.StatusCode != 503 {
			t.Fatalf("got %v, %v, want the 503 itself", resp, err)
		}
		drain(t, resp)
		code = 200
		req := request(t, "http://alphabet:8080/b")
		_, err = rt.RoundTrip(req)
		var e *answer.Error
		if !errors.Is(err, breaker.ErrEjected) || !errors.As(err, &e) {
			t.Fatalf("got %v, want ErrEjected", err)
		}
		if e.ResponseFlag() != "UH" || e.StatusCode() != 503 || e.Body != "no healthy upstream" {
			t.Errorf("got %+v, want 503, UH and Envoy's text", e)
		}
		if !req.Body.(*body).closed.Load() {
			t.Error("the request's body is not closed")
		}
		resp, err = rt.RoundTrip(request(t, "http://other:8080/"))
		if err != nil {
			t.Fatalf("another host: got %v", err)
		}
		drain(t, resp)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		resp, err = rt.RoundTrip(request(t, "http://alphabet:8080/b"))
		if err != nil {
			t.Fatalf("after 5s: got %v", err)
		}
		drain(t, resp)
		want := []string{"alphabet:8080 CONSECUTIVE_5XX false", "alphabet:8080 CONSECUTIVE_5XX true"}
		if d := cmp.Diff(want, events); d != "" {
			t.Errorf("events, -want +got:\n%s", d)
		}
	})
}

func TestPermitLastsAsLongAsTheBody(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name string
		body io.ReadCloser
		end  func(io.ReadCloser)
	}{
		{"read to the end", nil, func(b io.ReadCloser) { _, _ = io.Copy(io.Discard, b) }},
		{"closed", nil, func(b io.ReadCloser) { b.Close() }},
		{"closed twice", nil, func(b io.ReadCloser) { b.Close(); b.Close() }},
		{"read and closed", nil, func(b io.ReadCloser) { _, _ = io.Copy(io.Discard, b); b.Close() }},
		{"broken", &body{Reader: io.MultiReader(strings.NewReader("x"), failing{broken})}, func(b io.ReadCloser) { _, _ = io.ReadAll(b) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t, talk())
				rt := b.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
					resp, _ := status(200)(r)
					if tt.body != nil {
						resp.Body = tt.body
					}
					return resp, nil
				}))
				first, err := rt.RoundTrip(request(t, "http://a"))
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan error)
				for range 2 {
					go func() {
						resp, err := rt.RoundTrip(request(t, "http://a"))
						if err == nil {
							resp.Body.Close()
						}
						done <- err
					}()
				}
				if err := <-done; !errors.Is(err, breaker.ErrOverflow) {
					t.Errorf("third: got %v, want ErrOverflow", err)
				}
				synctest.Wait()
				select {
				case err := <-done:
					t.Errorf("second: got %v before the first body's end", err)
				default:
				}
				tt.end(first.Body)
				if err := <-done; err != nil {
					t.Errorf("second: got %v", err)
				}
				resp, err := rt.RoundTrip(request(t, "http://a")) // nothing was returned twice or kept
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
			})
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestPermitComesBackWithoutABody(t *testing.T) {
	results := map[string]roundTrip{
		"error": func(*http.Request) (*http.Response, error) { return nil, context.Canceled },
		"no body": func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 204, Body: http.NoBody}, nil
		},
		"nil body": func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 204}, nil },
		"panic":    func(*http.Request) (*http.Response, error) { panic("here") },
	}
	for name, next := range results {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(t, talk())
			rt := b.Transport(next)
			for range 5 { // the second would wait for ever, the third overflow
				func() {
					defer func() { _ = recover() }()
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					resp, err := rt.RoundTrip(request(t, "http://a").WithContext(ctx))
					if errors.Is(err, breaker.ErrOverflow) || errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("got %v", err)
					}
					if err == nil && resp.Body == nil {
						t.Error("got a nil body")
					}
				}()
			}
		})
	}
}

type rwc struct{ bytes.Buffer }

func (*rwc) Close() error { return nil }

func TestUpgradeKeepsWrite(t *testing.T) {
	conn := &rwc{}
	b := newBreaker(t, talk())
	resp, err := b.Transport(roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 101, Body: conn}, nil
	})).RoundTrip(request(t, "http://a"))
	if err != nil {
		t.Fatal(err)
	}
	w, ok := resp.Body.(io.Writer)
	if !ok {
		t.Fatal("the body of a 101 lost Write")
	}
	_, _ = io.WriteString(w, "frame")
	if got := conn.String(); got != "frame" {
		t.Errorf("got %q, want %q", got, "frame")
	}
	resp.Body.Close()
}

type closer struct {
	roundTrip
	n int
}

func (c *closer) CloseIdleConnections() { c.n++ }

func TestCloseIdleConnections(t *testing.T) {
	b := newBreaker(t, nil)
	next := &closer{roundTrip: status(200)}
	(&http.Client{Transport: b.Transport(next)}).CloseIdleConnections()
	(&http.Client{Transport: b.Transport(status(200))}).CloseIdleConnections()
	if next.n != 1 {
		t.Errorf("got %d calls, want 1", next.n)
	}
}

func TestPortLevelSettings(t *testing.T) {
	p := talk()
	p.PortLevelSettings = []*networking.TrafficPolicy_PortTrafficPolicy{
		{Port: &networking.PortSelector{Number: 443}, OutlierDetection: &networking.OutlierDetection{
			MaxEjectionPercent: 100, Consecutive_5XxErrors: wrapperspb.UInt32(2),
		}},
	}
	b := newBreaker(t, p)
	rt := b.Transport(status(500))
	for i, tt := range []struct {
		url  string
		want int // requests until it is ejected
	}{{"http://a", 1}, {"https://a", 2}, {"http://a:443", 2}, {"https://a:80", 1}} {
		host := strings.Replace(tt.url, "//a", fmt.Sprintf("//host%d", i), 1)
		got := 0
		for ; got < 5; got++ {
			resp, err := rt.RoundTrip(request(t, host))
			if err != nil {
				break
			}
			resp.Body.Close()
		}
		if got != tt.want {
			t.Errorf("%s: ejected after %d, want %d", tt.url, got, tt.want)
		}
	}
}

// Hosts that are no longer used are forgotten, those with an ejection are not.
func TestManyHosts(t *testing.T) {
	b := newBreaker(t, talk())
	code := 500
	rt := b.Transport(roundTrip(func(r *http.Request) (*http.Response, error) { return status(code)(r) }))
	resp, err := rt.RoundTrip(request(t, "http://bad"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	code = 200
	for i := range 2000 {
		resp, err := rt.RoundTrip(request(t, fmt.Sprintf("http://host%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if _, err := rt.RoundTrip(request(t, "http://bad")); !errors.Is(err, breaker.ErrEjected) {
		t.Errorf("got %v, want ErrEjected", err)
	}
}

func TestNew(t *testing.T) {
	if _, err := breaker.New(&networking.TrafficPolicy{ConnectionPool: &networking.ConnectionPoolSettings{}}); err == nil {
		t.Error("an empty pool: want an error")
	}
	b := newBreaker(t, nil)
	resp, err := b.Transport(status(500)).RoundTrip(request(t, "http://a"))
	if err != nil {
		t.Fatal(err)
	}
	drain(t, resp)
}

func TestNotObeyed(t *testing.T) {
	p := talk()
	p.ConnectionPool.Tcp.ConnectTimeout = durationpb.New(time.Second)
	p.ConnectionPool.Http.MaxRetries = 3
	p.OutlierDetection.MaxEjectionPercent = 0
	p.Tls = &networking.ClientTLSSettings{}
	p.PortLevelSettings = []*networking.TrafficPolicy_PortTrafficPolicy{{LoadBalancer: &networking.LoadBalancerSettings{}}}
	var got []string
	for _, f := range breaker.NotObeyed(p) {
		got = append(got, f.Path)
	}
	want := []string{
		"connectionPool.tcp.connectTimeout", "connectionPool.http.maxRetries", "outlierDetection.maxEjectionPercent",
		"tls", "portLevelSettings[0].loadBalancer",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if got := breaker.NotObeyed(nil); got != nil {
		t.Errorf("nil: got %v", got)
	}
}

func TestResultOf(t *testing.T) {
	header := func(k, v string) http.Header { return http.Header{k: {v}} }
	timeout := &answer.Error{Sentinel: errors.New("slow"), Flag: answer.UpstreamTimeout, Status: 504, Cause: context.DeadlineExceeded}
	tests := []struct {
		name string
		resp *http.Response
		err  error
		want breaker.Result
	}{
		{"answer", &http.Response{StatusCode: 404}, nil, 404},
		{"gRPC unavailable", &http.Response{StatusCode: 200, Header: header("Grpc-Status", "14")}, nil, 503},
		{"gRPC fine", &http.Response{StatusCode: 200, Header: header("Grpc-Status", "0")}, nil, 200},
		{"gRPC garbage", &http.Response{StatusCode: 200, Header: header("Grpc-Status", "x")}, nil, 200},
		{"nothing", nil, nil, breaker.Ignored},
		{"cancelled", nil, fmt.Errorf("x: %w", context.Canceled), breaker.Ignored},
		{"refusal", nil, &answer.Error{Sentinel: breaker.ErrOverflow, Flag: "UO"}, breaker.Ignored},
		{"our time-out", nil, timeout, breaker.TimedOut},
		{"deadline", nil, context.DeadlineExceeded, breaker.TimedOut},
		{"dial", nil, &net.OpError{Op: "dial", Err: errors.New("refused")}, breaker.ConnectFailed},
		{"reset", nil, &net.OpError{Op: "read", Err: errors.New("reset")}, breaker.Reset},
		{"closed", nil, io.EOF, breaker.Reset},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := breaker.ResultOf(tt.resp, tt.err); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// The errors of net/http itself, over real sockets.
func TestResultOfRealErrors(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
			return
		}
		panic(http.ErrAbortHandler)
	}))
	defer plain.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer secure.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	next := &http.Transport{}
	defer next.CloseIdleConnections()
	tests := []struct {
		name, url string
		want      breaker.Result
	}{
		{"refused", gone.URL, breaker.ConnectFailed},
		{"aborted", plain.URL, breaker.Reset},
		{"slow", plain.URL + "/slow", breaker.TimedOut},
		{"unknown certificate", secure.URL, breaker.ConnectFailed},
		{"TLS to a plain port", strings.Replace(plain.URL, "http:", "https:", 1), breaker.ConnectFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if tt.want != breaker.TimedOut {
				ctx = t.Context()
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, tt.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := next.RoundTrip(req)
			if got := breaker.ResultOf(resp, err); got != tt.want {
				t.Errorf("%v: got %d, want %d", err, got, tt.want)
			}
		})
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
