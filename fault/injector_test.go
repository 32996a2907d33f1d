package fault

import (
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"
)

func delay(d time.Duration, p *networking.Percent) *networking.HTTPFaultInjection_Delay {
	return &networking.HTTPFaultInjection_Delay{
		HttpDelayType: &networking.HTTPFaultInjection_Delay_FixedDelay{FixedDelay: durationpb.New(d)}, Percentage: p,
	}
}

func abortHTTP(code int32, p *networking.Percent) *networking.HTTPFaultInjection_Abort {
	return &networking.HTTPFaultInjection_Abort{
		ErrorType: &networking.HTTPFaultInjection_Abort_HttpStatus{HttpStatus: code}, Percentage: p,
	}
}

func abortGRPC(name string, p *networking.Percent) *networking.HTTPFaultInjection_Abort {
	return &networking.HTTPFaultInjection_Abort{
		ErrorType: &networking.HTTPFaultInjection_Abort_GrpcStatus{GrpcStatus: name}, Percentage: p,
	}
}

func percentOf(v float64) *networking.Percent { return &networking.Percent{Value: v} }

func compile(t *testing.T, spec *networking.HTTPFaultInjection) *Injector {
	t.Helper()
	in, err := New(spec)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return in
}

func TestNewRefuses(t *testing.T) {
	tests := []struct {
		name string
		spec *networking.HTTPFaultInjection
		want string // part of the error
	}{
		{"nil", nil, "fault: "},
		{"empty", &networking.HTTPFaultInjection{}, "fault: "},
		{"status too low", &networking.HTTPFaultInjection{Abort: abortHTTP(99, nil)}, "abort.httpStatus"},
		{"status too high", &networking.HTTPFaultInjection{Abort: abortHTTP(601, nil)}, "abort.httpStatus"},
		{"gRPC status by number", &networking.HTTPFaultInjection{Abort: abortGRPC("14", nil)}, "abort.grpcStatus"},
		{"gRPC status in lower case", &networking.HTTPFaultInjection{Abort: abortGRPC("unavailable", nil)}, "abort.grpcStatus"},
		{"http2Error", &networking.HTTPFaultInjection{Abort: &networking.HTTPFaultInjection_Abort{
			ErrorType: &networking.HTTPFaultInjection_Abort_Http2Error{Http2Error: "x"},
		}}, "abort.http2Error"},
		{"exponential delay", &networking.HTTPFaultInjection{Delay: &networking.HTTPFaultInjection_Delay{
			HttpDelayType: &networking.HTTPFaultInjection_Delay_ExponentialDelay{ExponentialDelay: durationpb.New(time.Second)},
		}}, "delay.exponentialDelay"},
		{"delay of a microsecond", &networking.HTTPFaultInjection{Delay: delay(time.Microsecond, nil)}, "delay.fixedDelay"},
		{"percentage too high", &networking.HTTPFaultInjection{Delay: delay(time.Second, percentOf(100.1))}, "delay.percentage"},
		{"percentage too fine", &networking.HTTPFaultInjection{Abort: abortHTTP(500, percentOf(0.00001))}, "abort.percentage"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.spec)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "fault: ") {
				t.Errorf("got %v, want an error of fault about %q", err, tt.want)
			}
		})
	}
}

func TestDecide(t *testing.T) {
	tests := []struct {
		name  string
		spec  *networking.HTTPFaultInjection
		draws []float64 // all that may be drawn
		delay time.Duration
		abort int
		flags string
	}{
		{"no percentage hits nothing", &networking.HTTPFaultInjection{Delay: delay(time.Second, nil), Abort: abortHTTP(500, nil)}, nil, 0, 0, ""},
		{"0 percent draws nothing", &networking.HTTPFaultInjection{Delay: delay(time.Second, percentOf(0))}, nil, 0, 0, ""},
		{
			"100 percent draws nothing",
			&networking.HTTPFaultInjection{Delay: delay(time.Second, percentOf(100)), Abort: abortHTTP(500, percentOf(100))},
			nil, time.Second, 500, "DI,FI",
		},
		{"below the share", &networking.HTTPFaultInjection{Abort: abortHTTP(503, percentOf(50))}, []float64{0.4999999}, 0, 503, "FI"},
		{"at the share", &networking.HTTPFaultInjection{Abort: abortHTTP(503, percentOf(50))}, []float64{0.5}, 0, 0, ""},
		{"the smallest share hits", &networking.HTTPFaultInjection{Abort: abortHTTP(503, percentOf(0.0001))}, []float64{0.0000009}, 0, 503, "FI"},
		{"the smallest share misses", &networking.HTTPFaultInjection{Abort: abortHTTP(503, percentOf(0.0001))}, []float64{0.000001}, 0, 0, ""},
		{
			"each draws for itself: delay only",
			&networking.HTTPFaultInjection{Delay: delay(time.Second, percentOf(50)), Abort: abortHTTP(500, percentOf(50))},
			[]float64{0.1, 0.9}, time.Second, 0, "DI",
		},
		{
			"each draws for itself: abort only",
			&networking.HTTPFaultInjection{Delay: delay(time.Second, percentOf(50)), Abort: abortHTTP(500, percentOf(50))},
			[]float64{0.9, 0.1}, 0, 500, "FI",
		},
		{
			"the old percent",
			&networking.HTTPFaultInjection{Delay: &networking.HTTPFaultInjection_Delay{
				HttpDelayType: delay(time.Second, nil).HttpDelayType, Percent: 20,
			}},
			[]float64{0.19}, time.Second, 0, "DI",
		},
		{
			"the percentage wins over the old percent",
			&networking.HTTPFaultInjection{Delay: &networking.HTTPFaultInjection_Delay{
				HttpDelayType: delay(time.Second, nil).HttpDelayType, Percent: 100, Percentage: percentOf(0),
			}},
			nil, 0, 0, "",
		},
		{
			"an abort without a status does nothing",
			&networking.HTTPFaultInjection{Abort: &networking.HTTPFaultInjection_Abort{Percentage: percentOf(100)}},
			nil, 0, 0, "",
		},
		{
			"a delay without a length does nothing",
			&networking.HTTPFaultInjection{Delay: &networking.HTTPFaultInjection_Delay{Percentage: percentOf(100)}},
			nil, 0, 0, "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := compile(t, tt.spec)
			left := tt.draws
			in.Rand = func() float64 {
				if len(left) == 0 {
					t.Fatal("drew more often than wanted")
				}
				v := left[0]
				left = left[1:]
				return v
			}
			d := in.Decide()
			reply, ok := d.Abort()
			if d.Delay != tt.delay || reply.Status != tt.abort || ok != (tt.abort != 0) || d.Flags() != tt.flags {
				t.Errorf("got delay %v, abort %d, flags %q; want %v, %d, %q", d.Delay, reply.Status, d.Flags(), tt.delay, tt.abort, tt.flags)
			}
			if len(left) != 0 {
				t.Errorf("left %d draws, want none", len(left))
			}
		})
	}
}

func TestNilInjectsNothing(t *testing.T) {
	var in *Injector
	if d := in.Decide(); d != (Decision{}) || in.Flags() != "" || in.String() != "none" {
		t.Errorf("got %+v, %q, %q; want nothing", d, in.Flags(), in.String())
	}
}

// TestShares draws 200,000 times with a fixed seed. The shares lie within 4.9 standard deviations of those that
// the rule asks for, which a right one fails once in a million seeds.
func TestShares(t *testing.T) {
	const n = 200_000
	in := compile(t, &networking.HTTPFaultInjection{Delay: delay(time.Second, percentOf(12.5)), Abort: abortHTTP(500, percentOf(0.3))})
	in.Rand = rand.New(rand.NewPCG(1, 2)).Float64
	var delayed, aborted, both int
	for range n {
		d := in.Decide()
		_, abort := d.Abort()
		if d.Delay > 0 {
			delayed++
		}
		if abort {
			aborted++
		}
		if d.Delay > 0 && abort {
			both++
		}
	}
	for _, tt := range []struct {
		name string
		got  int
		p    float64
	}{{"delay", delayed, 0.125}, {"abort", aborted, 0.003}, {"both", both, 0.125 * 0.003}} {
		if want, off := tt.p*n, 4.9*math.Sqrt(n*tt.p*(1-tt.p)); math.Abs(float64(tt.got)-want) > off {
			t.Errorf("%s: got %d of %d, want %.0f ± %.0f", tt.name, tt.got, n, want, off)
		}
	}
}

// body counts how often it was closed.
type body struct {
	io.Reader
	closed int
}

func (b *body) Close() error { b.closed++; return nil }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAbort(t *testing.T) {
	tests := []struct {
		name  string
		abort *networking.HTTPFaultInjection_Abort
		grpc  bool
		code  int
		body  string
		want  http.Header
	}{
		{
			"HTTP", abortHTTP(555, percentOf(100)), false, 555, Body,
			http.Header{"Content-Type": {"text/plain"}, "Content-Length": {"18"}},
		},
		{
			"HTTP status to a gRPC client", abortHTTP(503, percentOf(100)), true, 200, "",
			http.Header{"Content-Type": {"application/grpc"}, "Grpc-Status": {"14"}, "Grpc-Message": {Body}},
		},
		{
			"gRPC status to a gRPC client", abortGRPC("PERMISSION_DENIED", percentOf(100)), true, 200, "",
			http.Header{"Content-Type": {"application/grpc"}, "Grpc-Status": {"7"}, "Grpc-Message": {Body}},
		},
		{
			"gRPC status to an HTTP client", abortGRPC("PERMISSION_DENIED", percentOf(100)), false, 403, Body,
			http.Header{"Content-Type": {"text/plain"}, "Content-Length": {"18"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := compile(t, &networking.HTTPFaultInjection{Abort: tt.abort})
			b := &body{Reader: strings.NewReader("hello")}
			req := httptest.NewRequest("POST", "http://reviews/", b)
			if tt.grpc {
				req.Header.Set("Content-Type", "application/grpc")
			}

			resp, err := in.Transport(roundTripper(func(*http.Request) (*http.Response, error) {
				t.Error("next was called")
				return nil, io.EOF
			})).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != tt.code || string(text) != tt.body {
				t.Errorf("transport: got %d %q, want %d %q", resp.StatusCode, text, tt.code, tt.body)
			}
			if diff := cmp.Diff(resp.Header, tt.want); diff != "" {
				t.Errorf("transport: headers (-got +want):\n%s", diff)
			}
			if b.closed != 1 {
				t.Errorf("transport: body closed %d times, want 1", b.closed)
			}

			w := httptest.NewRecorder()
			in.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("next was called") })).ServeHTTP(w, req)
			if w.Code != tt.code || w.Body.String() != tt.body {
				t.Errorf("handler: got %d %q, want %d %q", w.Code, w.Body, tt.code, tt.body)
			}
		})
	}
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := compile(t, &networking.HTTPFaultInjection{Delay: delay(3*time.Second, percentOf(100))})
		next := roundTripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
		})
		start := time.Now()
		resp, err := in.Transport(next).RoundTrip(httptest.NewRequest("GET", "http://reviews/", nil))
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("got %v, %v; want 200", resp, err)
		}
		if got := time.Since(start); got != 3*time.Second {
			t.Errorf("transport took %v, want 3s", got)
		}

		start = time.Now()
		w := httptest.NewRecorder()
		in.Handler(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if got := time.Since(start); got != 3*time.Second || w.Code != 404 {
			t.Errorf("handler took %v and answered %d, want 3s and next's 404", got, w.Code)
		}
	})
}

func TestDelayThenAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := compile(t, &networking.HTTPFaultInjection{Delay: delay(time.Second, percentOf(100)), Abort: abortHTTP(500, percentOf(100))})
		start := time.Now()
		resp, err := in.Transport(nil).RoundTrip(httptest.NewRequest("GET", "http://reviews/", nil))
		if err != nil || resp.StatusCode != 500 || time.Since(start) != time.Second {
			t.Errorf("got %v, %v after %v; want 500 after 1s", resp, err, time.Since(start))
		}
	})
}

func TestDelayCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := compile(t, &networking.HTTPFaultInjection{Delay: delay(time.Hour, percentOf(100))})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		b := &body{Reader: strings.NewReader("hello")}
		req := httptest.NewRequest("POST", "http://reviews/", b).WithContext(ctx)
		resp, err := in.Transport(nil).RoundTrip(req)
		if resp != nil || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second || b.closed != 1 {
			t.Errorf("got %v, %v after %v, body closed %d times; want the deadline's error after 1s, once", resp, err, time.Since(start), b.closed)
		}

		w := httptest.NewRecorder()
		in.Handler(nil).ServeHTTP(w, req)
		if w.Code != 504 {
			t.Errorf("handler, deadline passed: got %d, want 504", w.Code)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		w = httptest.NewRecorder()
		in.Handler(nil).ServeHTTP(w, req.WithContext(gone))
		if w.Code != 499 {
			t.Errorf("handler, client gone: got %d, want 499", w.Code)
		}
	})
}

func TestString(t *testing.T) {
	tests := []struct {
		name        string
		spec        *networking.HTTPFaultInjection
		want, flags string
	}{
		{
			"both", &networking.HTTPFaultInjection{Delay: delay(2*time.Second, percentOf(50)), Abort: abortHTTP(500, percentOf(0.5))},
			"delay 2s 50%, abort 500 0.5%", "DI,FI",
		},
		{"gRPC", &networking.HTTPFaultInjection{Abort: abortGRPC("UNAVAILABLE", percentOf(100))}, "abort UNAVAILABLE 100%", "FI"},
		{"never", &networking.HTTPFaultInjection{Delay: delay(1500*time.Millisecond, nil)}, "delay 1.5s 0%", ""},
		{"nothing", &networking.HTTPFaultInjection{Abort: &networking.HTTPFaultInjection_Abort{}}, "none", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := compile(t, tt.spec)
			if in.String() != tt.want || in.Flags() != tt.flags {
				t.Errorf("got %q, %q; want %q, %q", in, in.Flags(), tt.want, tt.flags)
			}
		})
	}
}

func TestDecideAllocs(t *testing.T) {
	in := compile(t, &networking.HTTPFaultInjection{Delay: delay(time.Second, percentOf(10)), Abort: abortHTTP(500, percentOf(10))})
	if got := testing.AllocsPerRun(100, func() { _ = in.Decide() }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

// FuzzNew looks for rules that compile and then do something impossible.
func FuzzNew(f *testing.F) {
	f.Add(int64(time.Second), 50.0, int32(0), int32(500), "", 10.0, 0.5)
	f.Add(int64(0), 100.0, int32(20), int32(0), "UNAVAILABLE", 100.0, 0.0)
	f.Fuzz(func(t *testing.T, d int64, dp float64, old, code int32, status string, ap, draw float64) {
		spec := &networking.HTTPFaultInjection{Delay: delay(time.Duration(d), percentOf(dp)), Abort: abortHTTP(code, percentOf(ap))}
		if old != 0 {
			spec.Delay.Percentage, spec.Delay.Percent = nil, old
		}
		if status != "" {
			spec.Abort = abortGRPC(status, percentOf(ap))
		}
		in, err := New(spec)
		if err != nil {
			return
		}
		in.Rand = func() float64 { return math.Abs(math.Mod(draw, 1)) }
		dec := in.Decide()
		if reply, ok := dec.Abort(); ok && (reply.Status < 200 || reply.Status > 600) {
			t.Errorf("aborts with %d", reply.Status)
		}
		if dec.Delay < 0 || dec.Delay > 0 && dec.Delay != time.Duration(d) {
			t.Errorf("delays by %v, want %v", dec.Delay, time.Duration(d))
		}
		if dec.Flags() != "" && in.Flags() == "" {
			t.Errorf("flags %q of a rule that can set none", dec.Flags())
		}
	})
}
