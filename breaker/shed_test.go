package breaker_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/go-inmesh/inmesh/breaker"
)

func newAdmission(t testing.TB, s *breaker.AdmissionControl) *breaker.Admission {
	t.Helper()
	a, err := breaker.NewAdmission(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// ended reports so many requests, of which so many were successes.
func ended(a *breaker.Admission, requests, successes int) {
	for i := range requests {
		code := 503
		if i < successes {
			code = 200
		}
		a.Report(code, nil, nil)
	}
}

// The probability of a refusal, as calculated by hand from Envoy's formula.
func TestAdmissionProbability(t *testing.T) {
	tests := []struct {
		name                string
		spec                breaker.AdmissionControl
		requests, successes int
		want                float64
	}{
		{"nothing yet", breaker.AdmissionControl{}, 0, 0, 0},
		{"all well", breaker.AdmissionControl{}, 100, 100, 0},
		{"at the threshold", breaker.AdmissionControl{}, 100, 95, 0},
		{"below it", breaker.AdmissionControl{}, 100, 94, 0.010422},                                            // (100 - 94/0.95) / 101
		{"half", breaker.AdmissionControl{}, 100, 50, 0.468994},                                                // (100 - 52.6316) / 101
		{"half of what is enough", breaker.AdmissionControl{SRThreshold: 50}, 100, 25, 0.495050},               // (100 - 50) / 101
		{"none of many", breaker.AdmissionControl{}, 100, 0, 0.8},                                              // 0.990, capped
		{"none, capped at all", breaker.AdmissionControl{MaxRejectionProbability: 100}, 100, 0, 0.990099},      // 100 / 101
		{"none of one", breaker.AdmissionControl{}, 1, 0, 0.5},                                                 // 1 / 2
		{"half, aggressive", breaker.AdmissionControl{Aggression: 2}, 100, 50, 0.684832},                       // √0.468994
		{"too few a second", breaker.AdmissionControl{RPSThreshold: 101}, 100, 0, 0},                           // 100 in less than a second
		{"just enough a second", breaker.AdmissionControl{RPSThreshold: 100}, 100, 0, 0.8},                     //
		{"threshold of all", breaker.AdmissionControl{SRThreshold: 100}, 99, 98, 0.01},                         // 1 / 100
		{"above the threshold, aggressive", breaker.AdmissionControl{Aggression: 3, SRThreshold: 50}, 9, 9, 0}, // -9 / 10
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, draw := range []float64{tt.want - 0.000002, tt.want + 0.000002} {
					tt.spec.Rand = func() float64 { return draw }
					a := newAdmission(t, &tt.spec)
					ended(a, tt.requests, tt.successes)
					if got := a.Status().Probability; math.Abs(got-tt.want) > 0.000001 {
						t.Errorf("got %.6f, want %.6f", got, tt.want)
					}
					err := a.Admit(incoming())
					if refused := draw > 0 && draw < tt.want; refused != errors.Is(err, breaker.ErrAdmissionDenied) {
						t.Errorf("draw %.6f: got %v, want refused %v", draw, err, refused)
					}
				}
			})
		})
	}
}

// The window slides: what is older than it does not count any more.
func TestAdmissionWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(t, &breaker.AdmissionControl{SamplingWindow: 10 * time.Second})
		counts := func() string { s := a.Status(); return fmt.Sprintf("%d/%d", s.Successes, s.Requests) }
		for _, step := range []struct {
			after               time.Duration
			requests, successes int
			want                string
		}{
			{0, 10, 5, "5/10"},
			{1500 * time.Millisecond, 10, 10, "15/20"},
			{8 * time.Second, 0, 0, "15/20"},        // 9.5 s
			{500 * time.Millisecond, 0, 0, "10/10"}, // 10 s: the first second is over
			{time.Second - 1, 0, 0, "10/10"},
			{1, 1, 0, "0/1"},
			{time.Hour, 0, 0, "0/0"},
			{0, 2, 1, "1/2"},
		} {
			time.Sleep(step.after)
			ended(a, step.requests, step.successes)
			if got := counts(); got != step.want {
				t.Errorf("after %v more: got %s, want %s", step.after, got, step.want)
			}
		}
	})
}

// The average of requests a second counts from the first one in the window.
func TestAdmissionAverage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(t, &breaker.AdmissionControl{RPSThreshold: 10})
		time.Sleep(time.Hour)
		ended(a, 20, 0)
		for _, want := range []float64{0.8, 0.8, 0.8, 0, 0} { // 20, 20/1, 20/2, 20/3 …
			if got := a.Status().Probability; got != want {
				t.Errorf("got %v, want %v", got, want)
			}
			time.Sleep(time.Second)
		}
	})
}

// With half of the requests failing, 46.9 % are to be refused: by priority that is of the least important first.
func TestAdmissionPriorities(t *testing.T) {
	levels := []string{"critical", "normal", "batch"}
	tests := []struct {
		name     string
		arrivals map[string]int // names as requests have them
		want     map[string]float64
	}{
		{"all alike", map[string]int{"normal": 1000}, map[string]float64{"normal": 0.469}},
		{"enough of the last", map[string]int{"critical": 200, "normal": 200, "batch": 600}, map[string]float64{"critical": 0, "normal": 0, "batch": 0.782}},
		{"too few of the last", map[string]int{"critical": 500, "normal": 400, "batch": 100}, map[string]float64{"critical": 0, "normal": 0.922, "batch": 1}},
		{"too few of both", map[string]int{"critical": 800, "normal": 100, "batch": 100}, map[string]float64{"critical": 0.336, "normal": 1, "batch": 1}},
		{"no name is the last", map[string]int{"critical": 500, "": 500}, map[string]float64{"critical": 0, "": 0.938}},
		{"unknown names too", map[string]int{"critical": 500, "me first": 500}, map[string]float64{"critical": 0, "me first": 0.938}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				draw := 1.0
				a := newAdmission(t, &breaker.AdmissionControl{Priorities: levels, PriorityHeader: "x-priority", Rand: func() float64 { return draw }})
				for name, n := range tt.arrivals {
					for range n {
						if err := a.Admit(incoming("X-Priority: " + name)); err != nil {
							t.Fatal(err)
						}
					}
				}
				ended(a, 100, 50)
				for name, want := range tt.want {
					for _, d := range []float64{-0.003, 0.003} {
						draw = want + d
						refused := a.Admit(incoming("X-Priority: "+name)) != nil
						if expected := d < 0 && want > 0; refused != expected {
							t.Errorf("%q, draw %.3f: got refused %v, want %v", name, draw, refused, expected)
						}
					}
				}
			})
		})
	}
}

// The context goes before the header, and the default may be any of the priorities.
func TestAdmissionPriorityOfContext(t *testing.T) {
	a := newAdmission(t, &breaker.AdmissionControl{Priorities: []string{"high", "low"}, DefaultPriority: "high", PriorityHeader: "x-priority",
		Rand: func() float64 { return 0.3 }})
	low := incoming("X-Priority: low")
	_ = a.Admit(low)
	_ = a.Admit(incoming())
	ended(a, 100, 50)
	if a.Admit(incoming()) != nil {
		t.Error("no name: got refused, want the default, high")
	}
	if a.Admit(low) == nil {
		t.Error("low by header: got admitted")
	}
	if a.Admit(low.WithContext(breaker.WithPriority(t.Context(), "high"))) != nil {
		t.Error("high by context: got refused")
	}
	if got := breaker.PriorityFrom(context.Background()); got != "" {
		t.Errorf("got %q, want none", got)
	}
}

// Whatever the mix is, the share of all that is refused is the same, no one is refused before all who matter less,
// and at most one level is refused by chance.
func TestAdmissionSharesProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		levels := []string{"a", "b", "c", "d"}
		n := rapid.SliceOfN(rapid.IntRange(0, 100), 4, 4).Draw(rt, "arrivals")
		requests := rapid.IntRange(1, 300).Draw(rt, "requests")
		successes := rapid.IntRange(0, requests).Draw(rt, "successes")
		synctest.Test(t, func(t *testing.T) {
			share := func(level int) float64 { // found by bisection: a fresh one each time, so that the mix stays
				low, high := 0.0, 1.0
				for range 20 {
					draw := (low + high) / 2
					a := newAdmission(t, &breaker.AdmissionControl{Priorities: levels, PriorityHeader: "p", Rand: func() float64 { return draw }})
					for i, l := range levels {
						k := n[i]
						if i == level {
							k-- // the one that asks is one of them
						}
						r := incoming("P: " + l)
						for range k {
							_ = a.Admit(r)
						}
					}
					ended(a, requests, successes)
					if a.Admit(incoming("P: "+levels[level])) != nil {
						low = draw
					} else {
						high = draw
					}
				}
				return low
			}
			total, refused, partly, before := 0, 0.0, 0, 1.0
			for i := len(levels) - 1; i >= 0; i-- {
				if n[i] == 0 {
					continue
				}
				p := share(i)
				total += n[i]
				refused += p * float64(n[i])
				if p > 1e-6 && p < 1-1e-6 {
					partly++
				}
				if p > before+1e-6 {
					rt.Fatalf("%s: got %v, more than who matters less: %v", levels[i], p, before)
				}
				before = p
			}
			if total == 0 {
				return
			}
			want := max(0, min(0.8, (float64(requests)-float64(successes)/0.95)/float64(requests+1)))
			if got := refused / float64(total); math.Abs(got-want) > 1e-3 || partly > 1 {
				rt.Fatalf("got %v refused, %d levels partly, want %v", got, partly, want)
			}
		})
	})
}

func TestAdmissionSuccesses(t *testing.T) {
	grpc := func(trailer string) (http.Header, http.Header) {
		h := http.Header{"Content-Type": {"application/grpc+proto"}}
		if trailer == "" {
			return h, nil
		}
		return h, http.Header{"Grpc-Status": {trailer}}
	}
	own := breaker.SuccessCriteria{HTTP: []breaker.StatusRange{{200, 300}, {404, 405}}, GRPC: []int{0}}
	tests := []struct {
		name    string
		of      breaker.SuccessCriteria
		code    int
		trailer string // of gRPC; "-" for HTTP
		want    int64
	}{
		{"200", breaker.SuccessCriteria{}, 200, "-", 1},
		{"404", breaker.SuccessCriteria{}, 404, "-", 1},
		{"499", breaker.SuccessCriteria{}, 499, "-", 1},
		{"500", breaker.SuccessCriteria{}, 500, "-", 0},
		{"no answer", breaker.SuccessCriteria{}, 0, "-", 0},
		{"own 299", own, 299, "-", 1},
		{"own 300", own, 300, "-", 0},
		{"own 404", own, 404, "-", 1},
		{"OK", breaker.SuccessCriteria{}, 200, "0", 1},
		{"CANCELLED", breaker.SuccessCriteria{}, 200, "1", 1},
		{"UNKNOWN", breaker.SuccessCriteria{}, 200, "2", 1},
		{"DEADLINE_EXCEEDED", breaker.SuccessCriteria{}, 200, "4", 0},
		{"PERMISSION_DENIED", breaker.SuccessCriteria{}, 200, "7", 1},
		{"RESOURCE_EXHAUSTED", breaker.SuccessCriteria{}, 200, "8", 0},
		{"ABORTED", breaker.SuccessCriteria{}, 200, "10", 0},
		{"UNIMPLEMENTED", breaker.SuccessCriteria{}, 200, "12", 1},
		{"INTERNAL", breaker.SuccessCriteria{}, 200, "13", 0},
		{"UNAVAILABLE", breaker.SuccessCriteria{}, 200, "14", 0},
		{"UNAUTHENTICATED", breaker.SuccessCriteria{}, 200, "16", 1},
		{"own UNAUTHENTICATED", own, 200, "16", 0},
		{"no status", breaker.SuccessCriteria{}, 200, "", 0},
		{"no number", breaker.SuccessCriteria{}, 200, "fine", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newAdmission(t, &breaker.AdmissionControl{SuccessCriteria: tt.of})
			var h, trailer http.Header
			if tt.trailer != "-" {
				h, trailer = grpc(tt.trailer)
			}
			a.Report(tt.code, h, trailer)
			if s := a.Status(); s.Requests != 1 || s.Successes != tt.want {
				t.Errorf("got %+v, want %d successes", s, tt.want)
			}
		})
	}
}

// What a handler's end counts as.
func TestAdmissionHandler(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name string
		next http.HandlerFunc
		ctx  context.Context
		want string // successes / requests
	}{
		{"nothing written", func(http.ResponseWriter, *http.Request) {}, nil, "1/1"},
		{"a body alone", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hi") }, nil, "1/1"},
		{"an error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, nil, "0/1"},
		{"a hint, then an error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(502) }, nil, "0/1"},
		{"flushed", func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
			w.WriteHeader(500)
		}, nil, "1/1"},
		{"copied", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, strings.NewReader("hi")) }, nil, "1/1"},
		{"a panic", func(http.ResponseWriter, *http.Request) { panic("no") }, nil, "0/1"},
		{"a panic after the answer", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); panic("no") }, nil, "1/1"},
		{"the client has left", func(http.ResponseWriter, *http.Request) {}, gone, "0/0"},
		{"gRPC with a trailer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.WriteHeader(200)
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "14")
		}, nil, "0/1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newAdmission(t, &breaker.AdmissionControl{})
			r := incoming()
			if tt.ctx != nil {
				r = r.WithContext(tt.ctx)
			}
			func() {
				defer func() { _ = recover() }()
				a.Handler(tt.next).ServeHTTP(httptest.NewRecorder(), r)
			}()
			if s := a.Status(); fmt.Sprintf("%d/%d", s.Successes, s.Requests) != tt.want {
				t.Errorf("got %+v, want %s", s, tt.want)
			}
		})
	}
}

// A refusal is a bare 503 that does not count itself; the application may still take over the connection.
func TestAdmissionAnswers(t *testing.T) {
	a := newAdmission(t, &breaker.AdmissionControl{Rand: func() float64 { return 0 }})
	server := httptest.NewServer(a.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nhello")
		_ = rw.Flush()
		_ = conn.Close()
	})))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("got %v, %v", resp, err)
	}
	for a.Status().Requests == 0 {
		time.Sleep(time.Millisecond)
	}
	ended(a, 10, 0)
	before := a.Status()
	got, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(got.Body)
	got.Body.Close()
	if got.StatusCode != 503 || len(b) != 0 {
		t.Errorf("got %d %q", got.StatusCode, b)
	}
	if s := a.Status(); s.Requests != before.Requests || s.Rejected != 1 {
		t.Errorf("got %+v, want no further request", s)
	}
}

// What the end of a round trip counts as, on a client.
func TestAdmissionTransport(t *testing.T) {
	grpc := func(trailer http.Header, err error) roundTrip {
		return func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/grpc"}}, Trailer: trailer, Request: r,
				Body: &body{Reader: io.MultiReader(strings.NewReader("x"), failing{err})}}, nil
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name string
		next roundTrip
		ctx  context.Context
		want string
	}{
		{"200", status(200), t.Context(), "1/1"},
		{"503", status(503), t.Context(), "0/1"},
		{"no answer", func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, t.Context(), "0/1"},
		{"the caller has left", func(r *http.Request) (*http.Response, error) { return nil, r.Context().Err() }, gone, "0/0"},
		{"gRPC OK", grpc(http.Header{"Grpc-Status": {"0"}}, io.EOF), t.Context(), "1/1"},
		{"gRPC UNAVAILABLE", grpc(http.Header{"Grpc-Status": {"14"}}, io.EOF), t.Context(), "0/1"},
		{"gRPC broken off", grpc(nil, io.ErrUnexpectedEOF), t.Context(), "0/1"},
		{"gRPC left by the caller", grpc(nil, context.Canceled), t.Context(), "0/0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newAdmission(t, &breaker.AdmissionControl{})
			resp, err := a.Transport(tt.next).RoundTrip(incoming().WithContext(tt.ctx))
			if err == nil {
				_, _ = io.ReadAll(resp.Body)
				_, _ = io.ReadAll(resp.Body) // again: it counts once
				resp.Body.Close()
			}
			if s := a.Status(); fmt.Sprintf("%d/%d", s.Successes, s.Requests) != tt.want {
				t.Errorf("got %+v, want %s", s, tt.want)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		a := newAdmission(t, &breaker.AdmissionControl{Rand: func() float64 { return 0 }})
		ended(a, 10, 0)
		b := &body{Reader: strings.NewReader("x")}
		_, err := a.Transport(status(200)).RoundTrip(httptest.NewRequest("POST", "http://a/", b))
		var refusal interface{ StatusCode() int }
		if !errors.Is(err, breaker.ErrAdmissionDenied) || !errors.As(err, &refusal) || refusal.StatusCode() != 503 || !b.closed.Load() {
			t.Errorf("got %v, body closed %v", err, b.closed.Load())
		}
	})
}

func TestAdmissionAllocations(t *testing.T) {
	a := newAdmission(t, &breaker.AdmissionControl{Priorities: []string{"high", "low"}, PriorityHeader: "x-priority"})
	r := incoming("X-Priority: high")
	ended(a, 10, 5)
	if got := testing.AllocsPerRun(1000, func() {
		_ = a.Admit(r)
		a.Report(200, nil, nil)
	}); got > 0.5 { // a second that begins makes a cell
		t.Errorf("got %v allocations, want 0", got)
	}
}

func BenchmarkAdmission(b *testing.B) {
	a := newAdmission(b, &breaker.AdmissionControl{})
	r := incoming()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if a.Admit(r) == nil {
				a.Report(200, nil, nil)
			}
		}
	})
}
