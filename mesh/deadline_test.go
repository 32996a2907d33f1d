package mesh_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

// What the caller of a server says of its patience becomes the deadline of the handler's context, and never a later one.
func TestDeadlineOfHandler(t *testing.T) {
	const grpc = "content-type: application/grpc"
	tests := []struct {
		name   string
		header []string
		own    time.Duration // of the server itself; 0 is none
		want   time.Duration // 0 is none
		code   int           // where the handler is not asked
	}{
		{"nothing said", nil, 0, 0, 0},
		{"a mesh's client", []string{"x-envoy-expected-rq-timeout-ms: 1500"}, 0, 1500 * time.Millisecond, 0},
		{"later than our own", []string{"x-envoy-expected-rq-timeout-ms: 1500"}, time.Second, time.Second, 0},
		{"earlier than our own", []string{"x-envoy-expected-rq-timeout-ms: 1500"}, 2 * time.Second, 1500 * time.Millisecond, 0},
		{"gRPC", []string{grpc, "grpc-timeout: 2S"}, 0, 2 * time.Second, 0},
		{"both: the smaller", []string{grpc, "grpc-timeout: 2S", "x-envoy-expected-rq-timeout-ms: 1500"}, 0, 1500 * time.Millisecond, 0},
		{"both: the smaller, the other way", []string{grpc, "grpc-timeout: 1S", "x-envoy-expected-rq-timeout-ms: 1500"}, 0, time.Second, 0},
		{"grpc-timeout is for gRPC", []string{"grpc-timeout: 2S"}, 0, 0, 0},
		{"what cannot be read", []string{grpc, "grpc-timeout: soon", "x-envoy-expected-rq-timeout-ms: 1s"}, 0, 0, 0},
		{"negative", []string{"x-envoy-expected-rq-timeout-ms: -5"}, 0, 0, 0},
		{"more than anyone means", []string{"x-envoy-expected-rq-timeout-ms: 99999999999999999999"}, 0, 0, 0},
		{"0 is none", []string{"x-envoy-expected-rq-timeout-ms: 0"}, 0, 0, 0},
		{"0 of gRPC is late", []string{grpc, "grpc-timeout: 0n"}, 0, 0, 200},
		{"an upgrade", []string{"connection: upgrade", "upgrade: websocket", "x-envoy-expected-rq-timeout-ms: 1500"}, 0, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := false
				h := open(t, "", nil).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					asked = true
					at, ok := r.Context().Deadline()
					if ok != (tt.want > 0) || ok && time.Until(at) != tt.want {
						t.Errorf("got %v, %v, want %v", time.Until(at), ok, tt.want)
					}
				}))
				req := newRequest(t, "POST", "http://a.com/", nil, tt.header...)
				if tt.own > 0 {
					ctx, cancel := context.WithTimeout(req.Context(), tt.own)
					defer cancel()
					req = req.WithContext(ctx)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, req)
				if asked != (tt.code == 0) || tt.code != 0 && (w.Code != tt.code || w.Header().Get("Grpc-Status") != "4") {
					t.Errorf("asked: %v, answered %d %v", asked, w.Code, w.Header())
				}
			})
		})
	}
}

// What is late before the application begins is not begun, and the cause says why.
func TestDeadlineRefusesWhatIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		slow := func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(time.Second)
				cause = context.Cause(r.Context())
				next.ServeHTTP(w, r)
			})
		}
		h := open(t, "", &mesh.Options{Aspects: mesh.Aspects{BeforeAuthorization: []func(http.Handler) http.Handler{slow}}}).Handler(
			http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the application was asked") }))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, newRequest(t, "GET", "http://a.com/", nil, "x-envoy-expected-rq-timeout-ms: 500"))
		if w.Code != 504 || w.Body.String() != "request deadline exceeded" {
			t.Errorf("got %d %q", w.Code, w.Body)
		}
		if !errors.Is(cause, mesh.ErrLate) || !errors.Is(cause, context.DeadlineExceeded) {
			t.Errorf("got the cause %v", cause)
		}
	})
}

// A deadline crosses three hops, and every hop has less of it left; the last one ends with the first one's patience.
func TestDeadlineAcrossHops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left []time.Duration
		var ended time.Duration
		began := time.Now()
		fleet := meshtest.Fleet{}
		m := open(t, rules(entry("a.com", "10.0.0.1"), entry("b.com", "10.0.0.2"), entry("c.com", "10.0.0.3"),
			virtual("a.com", "[{timeout: 2s, "+to("a.com")+"}]"), virtual("c.com", "[{timeout: 10s, "+to("c.com")+"}]")), nil)
		client := clientOf(m, fleet)
		hop := func(next string) http.Handler {
			return m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				at, _ := r.Context().Deadline()
				left = append(left, time.Until(at))
				time.Sleep(100 * time.Millisecond)
				if next == "" {
					<-r.Context().Done()
					ended = time.Since(began)
					time.Sleep(time.Millisecond) // an answer at the very end would race with it
					return
				}
				req, _ := http.NewRequestWithContext(r.Context(), "GET", next, nil)
				resp, err := client.Do(req)
				if err != nil {
					if verdict(err) != "-" {
						t.Errorf("%s: got %v, want the caller's own end", next, err)
					}
					time.Sleep(time.Millisecond)
					w.WriteHeader(500)
					return
				}
				_, _ = io.Copy(w, resp.Body)
				_ = resp.Body.Close()
			}))
		}
		fleet["10.0.0.1:80"], fleet["10.0.0.2:80"], fleet["10.0.0.3:80"] = hop("http://b.com/"), hop("http://c.com/"), hop("")
		got := meshtest.Do(t, client, "GET", "http://a.com/")
		if verdict(got.Err) != "504 UT" || time.Since(began) != 2*time.Second {
			t.Errorf("got %+v after %v", got, time.Since(began))
		}
		time.Sleep(10 * time.Millisecond) // all hops end
		synctest.Wait()
		want := []time.Duration{2 * time.Second, 1900 * time.Millisecond, 1800 * time.Millisecond}
		if len(left) != 3 || left[0] != want[0] || left[1] != want[1] || left[2] != want[2] || ended != 2*time.Second {
			t.Errorf("left %v, want %v; the last ended after %v", left, want, ended)
		}
	})
}

// A request whose time is over before it begins goes nowhere.
func TestDeadlineOfClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, entry("a.com", "10.0.0.1"), nil)
		rt := m.Transport(roundTripper(func(*http.Request) (*http.Response, error) {
			t.Error("sent")
			return nil, errors.New("sent")
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		time.Sleep(2 * time.Second)
		b := newBody("x")
		for _, url := range []string{"http://a.com/", "http://elsewhere.com/"} {
			_, err := rt.RoundTrip(newRequest(t, "POST", url, b).WithContext(ctx))
			if !errors.Is(err, context.DeadlineExceeded) || verdict(err) != "-" || b.closes.Load() == 0 {
				t.Errorf("%s: got %v; body closed %d times", url, err, b.closes.Load())
			}
			if o := mesh.Outcome(nil, err); o == nil || o.Flags != "DC" || o.Attempts != 0 {
				t.Errorf("%s: outcome %+v", url, o)
			}
		}
	})
}

// Handlers never have more time than the caller, the server or anyone said.
func TestDeadlineProperties(t *testing.T) {
	m := open(t, "", nil)
	rapid.Check(t, func(rt *rapid.T) {
		header := http.Header{}
		if rapid.Bool().Draw(rt, "expected") {
			header.Set("X-Envoy-Expected-Rq-Timeout-Ms", rapid.StringMatching(`-?[0-9]{0,11}[a-z ]?`).Draw(rt, "ms"))
		}
		if rapid.Bool().Draw(rt, "grpc") {
			header.Set("Content-Type", "application/grpc")
			header.Set("Grpc-Timeout", rapid.StringMatching(`[0-9+-]{0,10}[HMSmunx]?`).Draw(rt, "grpc-timeout"))
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if rapid.Bool().Draw(rt, "own") {
			limit := time.Duration(rapid.IntRange(1, 1<<40).Draw(rt, "limit")) + time.Second
			ctx, cancel = context.WithTimeout(ctx, limit)
			defer cancel()
		}
		own, hasOwn := ctx.Deadline()
		req := httptest.NewRequestWithContext(ctx, "POST", "http://a.com/", nil)
		req.Header = header
		m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if at, ok := r.Context().Deadline(); hasOwn && (!ok || at.After(own)) {
				rt.Errorf("%v became %v, %v", own, at, ok)
			}
		})).ServeHTTP(httptest.NewRecorder(), req)
	})
}
