package mesh_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

// witness is an endpoint that keeps what it got and answers with its name. It is safe for concurrent use.
type witness struct {
	name string
	next http.Handler // answers in its place; nil for none

	mu   sync.Mutex
	got  []string // "POST host/path body"
	head []http.Header
}

func (w *witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	line := fmt.Sprintf("%s %s%s %s", r.Method, r.Host, r.URL.RequestURI(), body)
	if err != nil {
		line += err.Error()
	}
	w.mu.Lock()
	w.got = append(w.got, strings.TrimSpace(line))
	w.head = append(w.head, r.Header)
	w.mu.Unlock()
	if w.next != nil {
		w.next.ServeHTTP(rw, r)
		return
	}
	_, _ = io.WriteString(rw, w.name)
}

func (w *witness) lines() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(slices.Values(w.got))
}

// twins are services a.com and b.com with an endpoint each.
var twins = rules(entry("a.com", "10.0.0.1"), entry("b.com", "10.0.0.2"))

func to(host string) string { return "route: [{destination: {host: " + host + "}}]" }

// What a mirror gets is what the destination gets, after all rewriting, and nobody waits for it.
func TestMirror(t *testing.T) {
	tests := []struct {
		name, http, method, body string
		header                   []string
		stream                   bool // the body can be read once
		want, wantMirror         []string
	}{
		{"a GET", "mirror: {host: b.com}, " + to("a.com"), "GET", "", nil, false, []string{"GET a.com/x?y=1"}, []string{"GET a.com/x?y=1"}},
		{"rewritten", "match: [{uri: {prefix: /x}}], rewrite: {uri: /z, authority: c.com}, mirror: {host: b.com}, " + to("a.com"), "GET", "", nil, false,
			[]string{"GET c.com/z?y=1"}, []string{"GET c.com/z?y=1"}},
		{"a body", "mirror: {host: b.com}, " + to("a.com"), "POST", "hello", nil, false, []string{"POST a.com/x?y=1 hello"}, []string{"POST a.com/x?y=1 hello"}},
		{"a body that is read once", "mirror: {host: b.com}, " + to("a.com"), "POST", "hello", nil, true, []string{"POST a.com/x?y=1 hello"}, []string{"POST a.com/x?y=1 hello"}},
		{"several", "mirrors: [{destination: {host: b.com}}, {destination: {host: b.com}, percentage: {value: 100}}], " + to("a.com"), "POST", "hello", nil, false,
			[]string{"POST a.com/x?y=1 hello"}, []string{"POST a.com/x?y=1 hello", "POST a.com/x?y=1 hello"}},
		{"0 percent", "mirror: {host: b.com}, mirrorPercentage: {value: 0}, " + to("a.com"), "GET", "", nil, false, []string{"GET a.com/x?y=1"}, nil},
		{"no such subset", "mirror: {host: b.com, subset: v9}, " + to("a.com"), "GET", "", nil, false, []string{"GET a.com/x?y=1"}, nil},
		{"an upgrade", "mirror: {host: b.com}, " + to("a.com"), "GET", "", []string{"connection: upgrade", "upgrade: websocket"}, false, []string{"GET a.com/x?y=1"}, nil},
		{"too long to be kept", "mirror: {host: b.com}, " + to("a.com"), "PUT", strings.Repeat("x", 1<<20+1), nil, false,
			[]string{"PUT a.com/x?y=1 " + strings.Repeat("x", 1<<20+1)}, nil},
		{"longer than was known", "mirror: {host: b.com}, " + to("a.com"), "PUT", strings.Repeat("x", 1<<20+1), nil, true,
			[]string{"PUT a.com/x?y=1 " + strings.Repeat("x", 1<<20+1)}, nil},
		{"just short enough", "mirror: {host: b.com}, " + to("a.com"), "PUT", strings.Repeat("x", 1<<20), nil, true,
			[]string{"PUT a.com/x?y=1 " + strings.Repeat("x", 1<<20)}, []string{"PUT a.com/x?y=1 " + strings.Repeat("x", 1<<20)}},
		{"an abort", "fault: {abort: {httpStatus: 500, percentage: {value: 100}}}, mirror: {host: b.com}, " + to("a.com"), "GET", "", nil, false, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := open(t, rules(twins, virtual("a.com", "[{"+tt.http+"}]")), nil)
				a, b := &witness{name: "a"}, &witness{name: "b", next: meshtest.Hang}
				var body io.Reader
				if tt.body != "" {
					body = strings.NewReader(tt.body)
				}
				req := newRequest(t, tt.method, "http://a.com/x?y=1", body, tt.header...)
				if tt.stream {
					req.GetBody, req.ContentLength = nil, -1
				}
				began := time.Now()
				resp, err := clientOf(m, meshtest.Fleet{"10.0.0.1:80": a, "10.0.0.2:80": b}).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				drain(t, resp)
				if took := time.Since(began); took > 0 {
					t.Errorf("the caller waited %v", took)
				}
				synctest.Wait()
				if diff := cmp.Diff(a.lines(), tt.want); diff != "" {
					t.Errorf("destination (-got +want):\n%.300s", diff)
				}
				if diff := cmp.Diff(b.lines(), tt.wantMirror); diff != "" {
					t.Errorf("mirror (-got +want):\n%.300s", diff)
				}
				if got := m.Mirrors().Running; got != int64(len(tt.wantMirror)) {
					t.Errorf("%d copies are running, want %d", got, len(tt.wantMirror))
				}
				_ = m.Close() // ends those that hang
				if got := m.Mirrors().Running; got != 0 {
					t.Errorf("%d copies are running after Close", got)
				}
			})
		})
	}
}

// The headers of a copy are those of the first attempt, but that no span is recorded for it.
func TestMirrorHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, rules(twins, virtual("a.com", "[{timeout: 3s, retries: {attempts: 2, retryOn: 5xx}, headers: {request: {set: {x-set: v}, remove: [x-gone]}}, mirror: {host: b.com}, "+to("a.com")+"}]")), nil)
		a, b := &witness{next: meshtest.Status(503)}, &witness{}
		resp, err := clientOf(m, meshtest.Fleet{"10.0.0.1:80": a, "10.0.0.2:80": b}).Do(newRequest(t, "GET", "http://a.com/", nil, "x-gone: 1", "x-b3-sampled: 1", "b3: 1-2-1"))
		if err != nil {
			t.Fatal(err)
		}
		drain(t, resp)
		synctest.Wait()
		if len(a.head) != 3 || len(b.head) != 1 {
			t.Fatalf("%d attempts and %d copies, want 3 and 1", len(a.head), len(b.head))
		}
		want := a.head[0].Clone()
		want.Set("X-B3-Sampled", "0")
		want.Set("B3", "1-2-0")
		if diff := cmp.Diff(b.head[0], want); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
		if b.head[0].Get("X-Envoy-Attempt-Count") != "1" || b.head[0].Get("X-Envoy-Expected-Rq-Timeout-Ms") != "3000" || b.head[0].Get("X-Set") != "v" {
			t.Errorf("got %v", b.head[0])
		}
	})
}

// One number serves all mirrors of a request: the smaller share lies in the larger.
func TestMirrorShares(t *testing.T) {
	tests := []struct {
		draw        float64
		small, half int
	}{{0.05, 1, 1}, {0.0999, 1, 1}, {0.1, 0, 1}, {0.3, 0, 1}, {0.5, 0, 0}, {0.9, 0, 0}}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			m := open(t, rules(twins, entry("c.com", "10.0.0.3"), virtual("a.com", `[{mirrors: [{destination: {host: b.com}, percentage: {value: 10}},
			  {destination: {host: c.com}, percentage: {value: 50}}], `+to("a.com")+"}]")), &mesh.Options{Rand: meshtest.Always(tt.draw)})
			b, c := &witness{}, &witness{}
			meshtest.Do(t, clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("a"), "10.0.0.2:80": b, "10.0.0.3:80": c}), "GET", "http://a.com/")
			synctest.Wait()
			if len(b.got) != tt.small || len(c.got) != tt.half {
				t.Errorf("drawn %v: %d and %d copies, want %d and %d", tt.draw, len(b.got), len(c.got), tt.small, tt.half)
			}
		})
	}
}

// A mirror has its own cluster's limits and outlier detection, the route's timeout, and no retries; what becomes of it
// is nothing to the caller.
func TestMirrorIsOnItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, rules(twins, destination("b.com", "trafficPolicy: {connectionPool: {http: {http2MaxRequests: 2}}, outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100, baseEjectionTime: 60s}}"),
			virtual("a.com", "[{timeout: 5s, retries: {attempts: 3, retryOn: 5xx}, mirror: {host: b.com}, "+to("a.com")+"}]")), nil)
		b := &witness{next: meshtest.Hang}
		client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("a"), "10.0.0.2:80": b})
		for range 3 {
			if got := meshtest.Do(t, client, "GET", "http://a.com/"); got.Body != "a" {
				t.Errorf("got %+v", got)
			}
		}
		synctest.Wait()
		if got := m.Mirrors(); len(b.got) != 2 || got.Running != 2 || got.Failed != 1 {
			t.Errorf("%d copies arrived, %+v; want 2, for the third is one too many", len(b.got), got)
		}
		time.Sleep(5*time.Second + time.Millisecond)
		if got := m.Mirrors(); got.Running != 0 || got.Failed != 3 || got.Sent != 3 {
			t.Errorf("after the route's timeout: %+v", got)
		}
		// Two timeouts have ejected the mirror's endpoint, which is nothing to the destination's.
		if got := meshtest.Do(t, client, "GET", "http://b.com/"); verdict(got.Err) != "503 UH" {
			t.Errorf("b.com: %+v", got)
		}
		if got := meshtest.Do(t, client, "GET", "http://a.com/"); got.Body != "a" {
			t.Errorf("a.com: %+v", got)
		}
	})
}

// There are at most so many copies at a time; what is beyond is left out and counted.
func TestMirrorLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, rules(twins, virtual("a.com", "[{mirror: {host: b.com}, "+to("a.com")+"}]")), &mesh.Options{MaxMirrors: 3})
		b := &witness{next: meshtest.Hang}
		client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("a"), "10.0.0.2:80": b})
		for range 10 {
			meshtest.Do(t, client, "GET", "http://a.com/")
		}
		synctest.Wait()
		want := mesh.MirrorCounts{Limit: 3, Running: 3, Sent: 3, Dropped: 7}
		if got := m.Mirrors(); got != want || len(b.got) != 3 {
			t.Errorf("got %+v and %d copies, want %+v", got, len(b.got), want)
		}
		w := httptest.NewRecorder()
		m.DebugHandler().ServeHTTP(w, httptest.NewRequest("GET", "/debug/mesh/mirrors", nil))
		var page mesh.MirrorCounts
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || page != want {
			t.Errorf("the debug page says %s, %v", w.Body, err)
		}
		_ = m.Close()
		want.Running, want.Failed = 0, 3
		if got := m.Mirrors(); got != want {
			t.Errorf("after Close: got %+v, want %+v", got, want)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		m := open(t, rules(twins, virtual("a.com", "[{mirror: {host: b.com}, "+to("a.com")+"}]")), &mesh.Options{MaxMirrors: -1})
		meshtest.Do(t, clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("a"), "10.0.0.2:80": meshtest.Name("b")}), "GET", "http://a.com/")
		if got := m.Mirrors(); got.Sent != 0 || got.Dropped != 1 {
			t.Errorf("switched off: %+v", got)
		}
	})
}

// A body that never goes out whole is not mirrored, and its place is free again.
func TestMirrorOfHalfABody(t *testing.T) {
	for _, stream := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := open(t, rules(twins, virtual("a.com", "[{retries: {attempts: 0}, mirror: {host: b.com}, "+to("a.com")+"}]")), nil)
			b := &witness{}
			client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = r.Body.Read(make([]byte, 2))
				w.WriteHeader(413)
			}), "10.0.0.2:80": b})
			req := newRequest(t, "POST", "http://a.com/", strings.NewReader("hello"))
			if stream {
				req.GetBody, req.ContentLength = nil, -1
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			drain(t, resp)
			synctest.Wait()
			if got := m.Mirrors(); len(b.got) != 0 || got.Running != 0 || got.Unfinished != 1 {
				t.Errorf("%d copies, %+v", len(b.got), got)
			}
		})
	}
}

// The first attempt whose body went out whole is what is mirrored, once.
func TestMirrorOfRetries(t *testing.T) {
	for _, stream := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := open(t, rules(entry("a.com", "10.0.0.1"), entry("b.com", "10.0.0.2"), virtual("a.com", "[{retries: {attempts: 3, retryOn: 5xx}, mirror: {host: b.com}, "+to("a.com")+"}]")), nil)
			tries := 0
			a := &witness{}
			b := &witness{}
			client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tries++; tries == 1 {
					panic(http.ErrAbortHandler) // nothing was read
				}
				a.next = meshtest.Status(map[bool]int{true: 503, false: 200}[tries == 2])
				a.ServeHTTP(w, r)
			}), "10.0.0.2:80": b})
			req := newRequest(t, "POST", "http://a.com/", strings.NewReader("hello"))
			if stream {
				req.GetBody, req.ContentLength = nil, -1
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			drain(t, resp)
			synctest.Wait()
			if got := m.Mirrors(); !slices.Equal(b.lines(), []string{"POST a.com/ hello"}) || len(a.got) != 2 || got.Running != 0 {
				t.Errorf("tries got %q, the mirror %q; %+v", a.got, b.got, got)
			}
		})
	}
}

// Neither the caller's context nor its aspects hear of a copy; the caller's leaving does not end it.
func TestMirrorOutlivesTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		m := open(t, rules(twins, virtual("a.com", "[{mirror: {host: b.com}, "+to("a.com")+"}]")), &mesh.Options{Aspects: mesh.Aspects{
			Attempt: []func(http.RoundTripper) http.RoundTripper{func(next http.RoundTripper) http.RoundTripper {
				return roundTripper(func(r *http.Request) (*http.Response, error) {
					attempts++
					return next.RoundTrip(r)
				})
			}},
		}})
		ended := false
		client := clientOf(m, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("a"), "10.0.0.2:80": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			ended = r.Context().Err() == nil
		})})
		ctx, cancel := context.WithCancel(t.Context())
		req := newRequest(t, "GET", "http://a.com/", nil).WithContext(ctx)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Later", "1") // the request is the caller's again
		drain(t, resp)
		cancel()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !ended || attempts != 1 || m.Mirrors().Failed != 0 {
			t.Errorf("ended well: %v, %d attempts seen, %+v", ended, attempts, m.Mirrors())
		}
	})
}

// A base transport that panics on a mirror's goroutine does not end the process.
func TestMirrorPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, rules(twins, virtual("a.com", "[{mirror: {host: b.com}, "+to("a.com")+"}]")), nil)
		client := clientOf(m, roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "10.0.0.2:80" {
				panic("no")
			}
			return respond(r, 200, "a"), nil
		}))
		if got := meshtest.Do(t, client, "GET", "http://a.com/"); got.Body != "a" {
			t.Errorf("got %+v", got)
		}
		synctest.Wait()
		if got := m.Mirrors(); got.Failed != 1 || got.Running != 0 {
			t.Errorf("got %+v", got)
		}
	})
}

// Over real connections, too: both get the body, with its trailers.
func TestMirrorSockets(t *testing.T) {
	trailers := make(chan string, 2)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		trailers <- string(b) + " " + r.Trailer.Get("X-Sum")
	})
	m := open(t, rules(entry("a.com", listen(t, h)), entryPort("b.com", 80, "http2", listen(t, h)), virtual("a.com", "[{mirror: {host: b.com}, "+to("a.com")+"}]")), nil)
	req := newRequest(t, "POST", "http://a.com/", strings.NewReader("hello"))
	req.ContentLength, req.Trailer = -1, http.Header{"X-Sum": {"5"}}
	resp, err := clientOf(m, nil).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	drain(t, resp)
	for range 2 {
		if got := <-trailers; got != "hello 5" {
			t.Errorf("got %q", got)
		}
	}
}

// TestMirrorProperties plays random upstreams and mirrors: the caller's answer comes when it would come without a
// mirror, and every place is given back.
func TestMirrorProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		work := func(label string) time.Duration {
			return time.Duration(8*rapid.IntRange(0, 40).Draw(rt, label)) * time.Millisecond
		}
		upstream, mirror, timeout := work("upstream"), work("mirror"), time.Duration(2*rapid.IntRange(0, 200).Draw(rt, "timeout")+1)*time.Millisecond // never at the same time
		chunks := rapid.SliceOfN(rapid.IntRange(1, 1<<19), 0, 4).Draw(rt, "chunks")
		pause, stream := work("pause"), rapid.Bool().Draw(rt, "stream")
		reads := rapid.IntRange(0, 1<<21).Draw(rt, "reads")
		breaks := rapid.Bool().Draw(rt, "breaks")
		limit := rapid.IntRange(-1, 3).Draw(rt, "limit")
		play := func(t *testing.T, mirrored bool) (took time.Duration, outcome string) {
			http1 := "[{timeout: " + timeout.String() + ", retries: {attempts: 1, retryOn: 5xx, backoff: 20ms}, " + to("a.com")
			if mirrored {
				http1 += ", mirrors: [{destination: {host: b.com}}, {destination: {host: b.com}, percentage: {value: 30}}]"
			}
			m := open(t, rules(twins, virtual("a.com", http1+"}]")), &mesh.Options{MaxMirrors: limit, Rand: meshtest.Always(0.2)})
			serve := func(d time.Duration) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.CopyN(io.Discard, r.Body, int64(reads))
					time.Sleep(d)
					if breaks {
						panic(http.ErrAbortHandler)
					}
					_, _ = io.WriteString(w, "ok")
				})
			}
			var body io.Reader
			var all []byte
			for _, n := range chunks {
				all = append(all, make([]byte, n)...)
			}
			if stream {
				r, w := io.Pipe()
				body = r
				go func() {
					for _, n := range chunks {
						if _, err := w.Write(make([]byte, n)); err != nil {
							return
						}
						time.Sleep(pause / 4)
					}
					_ = w.Close()
				}()
			} else {
				body = strings.NewReader(string(all))
			}
			began := time.Now()
			resp, err := m.Transport(meshtest.Fleet{"10.0.0.1:80": serve(upstream), "10.0.0.2:80": serve(mirror)}).RoundTrip(newRequest(t, "POST", "http://a.com/", body))
			took = time.Since(began)
			if outcome = verdict(err); err == nil {
				outcome = resp.Status
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			time.Sleep(time.Second)
			if got := m.Mirrors(); got.Running != 0 {
				rt.Errorf("%d copies are still running: %+v", got.Running, got)
			}
			_ = m.Close()
			return took, outcome
		}
		synctest.Test(t, func(t *testing.T) {
			took, outcome := play(t, false)
			with, also := play(t, true)
			switch {
			case stream && with <= took+timeout: // while a body comes in, the timeout looks at it once in a while
			case took != with || outcome != also:
				rt.Errorf("%s after %v without a mirror, %s after %v with one", outcome, took, also, with)
			}
		})
	})
}

var errBody = errors.New("the caller's body failed")

// A body that fails is the caller's failure, and no copy of it is sent.
func TestMirrorOfABrokenBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := open(t, rules(twins, virtual("a.com", "[{mirror: {host: b.com}, "+to("a.com")+"}]")), nil)
		b := &witness{}
		r, w := io.Pipe()
		go func() {
			_, _ = io.WriteString(w, "hel")
			_ = w.CloseWithError(errBody)
		}()
		_, err := clientOf(m, meshtest.Fleet{"10.0.0.1:80": &witness{}, "10.0.0.2:80": b}).Do(newRequest(t, "POST", "http://a.com/", r))
		synctest.Wait()
		if got := m.Mirrors(); len(b.got) != 0 || got.Running != 0 || got.Unfinished != 1 {
			t.Errorf("%v; %d copies, %+v", err, len(b.got), got)
		}
	})
}
