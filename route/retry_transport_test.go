package route

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestRetryTransportLeavesTheRequest has the caller's request as it was, whatever happens to it.
func TestRetryTransportLeavesTheRequest(t *testing.T) {
	r := post(t.Context(), strings.NewReader("hello"))
	r.Header.Set("X-Envoy-Max-Retries", "1")
	r.Header.Set("X-Envoy-Retry-On", "5xx")
	before, body := r.Header.Clone(), r.Body
	var sent []http.Header
	p := mustRetry(t, &networking.HTTPRetry{Attempts: 3, PerTryTimeout: durationpb.New(time.Minute), RetryOn: "5xx"})
	p.Rand = func() float64 { return 0 }
	resp, err := p.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		sent = append(sent, r.Header.Clone())
		return &http.Response{StatusCode: 503, Body: http.NoBody, Request: r}, nil
	})).RoundTrip(r)
	if err != nil || resp.StatusCode != 503 {
		t.Fatalf("got %v, %v; want 503", resp, err)
	}
	if diff := cmp.Diff(r.Header, before); diff != "" || r.Body != body {
		t.Errorf("the caller's request was changed:\n%s", diff)
	}
	want := []http.Header{
		{"X-Envoy-Attempt-Count": {"1"}, "X-Envoy-Expected-Rq-Timeout-Ms": {"60000"}},
		{"X-Envoy-Attempt-Count": {"2"}, "X-Envoy-Expected-Rq-Timeout-Ms": {"60000"}},
	}
	if diff := cmp.Diff(sent, want); diff != "" {
		t.Errorf("headers sent (-got +want):\n%s", diff)
	}
}

func TestRetryTransportPassesOn(t *testing.T) {
	base := &idler{}
	client := &http.Client{Transport: mustRetry(t, nil).Transport(base)}
	client.CloseIdleConnections()
	if base.closed != 1 {
		t.Errorf("next was told %d times to close idle connections, want 1", base.closed)
	}
	if resp, err := client.Get("http://reviews/"); err != nil || resp.StatusCode != 200 {
		t.Errorf("got %v, %v; want 200", resp, err)
	}
	var never *RetryPolicy
	if resp, err := never.Transport(base).RoundTrip(get(t.Context())); err != nil || resp.StatusCode != 200 {
		t.Errorf("without a policy: got %v, %v; want 200", resp, err)
	}
}

type idler struct{ closed int }

func (*idler) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
}

func (i *idler) CloseIdleConnections() { i.closed++ }

// TestRetryWire sends bodies of every kind through net/http's own transport to a server that fails in every way,
// from several callers at once: each call ends in a whole answer or in a typed error, and nothing is left behind.
func TestRetryWire(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var turn atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fail := func() {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				c.Close()
			}
		}
		switch turn.Add(1) % 5 {
		case 0: // answered before the body was read
			w.WriteHeader(503)
			_, _ = io.WriteString(w, strings.Repeat("x", 100<<10))
		case 1: // cut in the body
			_, _ = io.ReadFull(r.Body, make([]byte, 10))
			fail()
		case 2: // cut after the body
			_, _ = io.Copy(io.Discard, r.Body)
			fail()
		case 3: // silent
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-r.Context().Done():
			case <-time.After(5 * time.Second):
			}
		default:
			text, _ := io.ReadAll(r.Body)
			_, _ = w.Write(text)
		}
	}))
	defer srv.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	p := mustRetry(t, &networking.HTTPRetry{
		Attempts: 8, RetryOn: "5xx", PerTryTimeout: durationpb.New(50 * time.Millisecond), Backoff: durationpb.New(time.Millisecond),
	})
	client := &http.Client{Transport: p.Transport(base)}

	texts := []string{"", "short text", strings.Repeat("0123456789", 30_000), strings.Repeat("0123456789", 150_000)}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 12 {
				text := texts[(w+i)%len(texts)]
				var body io.Reader = strings.NewReader(text)
				if i%2 == 1 {
					body = &stream{Reader: body, end: make(chan struct{})}
				}
				req, err := http.NewRequestWithContext(t.Context(), "POST", srv.URL, body)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := client.Do(req)
				if err != nil {
					if flag, ok := errors.AsType[interface {
						error
						ResponseFlag() string
					}](err); !ok || flag.ResponseFlag() == "" {
						t.Errorf("got %v, want an error with a flag", err)
					}
				} else {
					got, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if resp.StatusCode == 200 && err == nil && string(got) != text {
						t.Errorf("got %d bytes back, want %d", len(got), len(text))
					}
				}
				s, ok := body.(*stream)
				if !ok {
					continue
				}
				select {
				case <-s.end: // net/http may take a moment for it
				case <-time.After(5 * time.Second):
				}
				if n := s.closed.Load(); n != 1 {
					t.Errorf("body of %d bytes closed %d times, want 1", len(text), n)
				}
			}
		})
	}
	wg.Wait()
	base.CloseIdleConnections()
	srv.Close()
}

// stream is a body that can be read only once. It tells of its end.
type stream struct {
	io.Reader
	end    chan struct{}
	closed atomic.Int64
}

func (s *stream) Close() error {
	if s.closed.Add(1) == 1 {
		close(s.end)
	}
	return nil
}

// TestCallAllocs holds the price of a call that goes well the first time: nothing for the retries that wait in
// case it does not, and the context's own for a timeout.
func TestCallAllocs(t *testing.T) {
	resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}
	send := SenderFunc(func(*http.Request, int) (*http.Response, error) { return resp, nil })
	retry := mustRetry(t, &networking.HTTPRetry{Attempts: 3, RetryOn: "5xx,unavailable"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := get(ctx)
	tests := []struct {
		name string
		call func() *Call
		want float64
	}{
		{"nothing", func() *Call { return &Call{} }, 1},
		{"retries armed", func() *Call { return &Call{Retry: retry} }, 1},
		{"a timeout too", func() *Call { return &Call{Retry: retry, Timeout: time.Minute} }, 9},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := testing.AllocsPerRun(100, func() {
				c := tt.call()
				own := r
				if ctx := c.Begin(ctx, r); ctx != r.Context() {
					own = r.WithContext(ctx)
				}
				if _, err := c.Do(own, send); err != nil {
					t.Fatal(err)
				}
			})
			if got > tt.want {
				t.Errorf("got %v allocations, the call's own among them; want at most %v", got, tt.want)
			}
		})
	}
}

func BenchmarkCall(b *testing.B) {
	resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(nil))}
	send := SenderFunc(func(*http.Request, int) (*http.Response, error) { return resp, nil })
	retry := mustRetry(b, nil)
	limited := mustRetry(b, &networking.HTTPRetry{Attempts: 1, PerTryTimeout: durationpb.New(time.Second)})
	for _, bb := range []struct {
		name    string
		retry   *RetryPolicy
		timeout time.Duration
	}{{"none", nil, 0}, {"retries", retry, 0}, {"timeout", retry, time.Minute}, {"perTry", limited, 0}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			r := get(b.Context())
			for b.Loop() {
				c := &Call{Retry: bb.retry, Timeout: bb.timeout}
				own := r
				if ctx := c.Begin(r.Context(), r); ctx != r.Context() {
					own = r.WithContext(ctx)
				}
				out, err := c.Do(own, send)
				if err != nil {
					b.Fatal(err)
				}
				out.Body.Close()
				resp.Body = http.NoBody
			}
		})
	}
}

func BenchmarkTakeOverrides(b *testing.B) {
	h := http.Header{"Accept": {"*/*"}, "X-Request-Id": {"1"}, "User-Agent": {"go"}, "Traceparent": {"x"}, "Accept-Encoding": {"gzip"}, "Authorization": {"x"}}
	b.ReportAllocs()
	for b.Loop() {
		TakeOverrides(h)
	}
}
