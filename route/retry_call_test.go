package route

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// reply is a body that counts its closings and stalls where it should.
type reply struct {
	io.Reader
	closed int
}

func (b *reply) Close() error { b.closed++; return nil }

// stall is a reader that never gets anything, until its context ends.
type stall struct{ ctx context.Context }

func (s stall) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, context.Cause(s.ctx)
}

// upstream plays one step per try and remembers what it saw.
type upstream struct {
	steps  []func(*http.Request) (*http.Response, error)
	seen   []*http.Request
	bodies []string
	lost   []*reply
	at     []time.Duration
	start  time.Time
}

func (u *upstream) Send(r *http.Request, n int) (*http.Response, error) {
	if u.start.IsZero() {
		u.start = time.Now()
	}
	u.at = append(u.at, time.Since(u.start))
	u.seen = append(u.seen, r)
	step := u.steps[min(n, len(u.steps))-1]
	return step(r)
}

// answers is a step that reads and closes the request's body and gives a response of the status.
func (u *upstream) answers(code int, kv ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			text, _ := io.ReadAll(r.Body)
			u.bodies = append(u.bodies, string(text))
			r.Body.Close()
		}
		b := &reply{Reader: strings.NewReader("text")}
		u.lost = append(u.lost, b)
		h := http.Header{}
		for i := 0; i < len(kv); i += 2 {
			h.Set(kv[i], kv[i+1])
		}
		return &http.Response{StatusCode: code, Header: h, Body: b, ContentLength: 4, Request: r}, nil
	}
}

// fails is a step that ends with the error, the body read or not.
func (u *upstream) fails(err error, read bool) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			if read {
				text, _ := io.ReadAll(r.Body)
				u.bodies = append(u.bodies, string(text))
			}
			r.Body.Close()
		}
		return nil, err
	}
}

// hangs is a step that ends only with its context.
func (u *upstream) hangs(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		io.Copy(io.Discard, r.Body)
		defer r.Body.Close()
	}
	<-r.Context().Done()
	return nil, context.Cause(r.Context())
}

func get(ctx context.Context) *http.Request {
	r, err := http.NewRequestWithContext(ctx, "GET", "http://reviews/a", nil)
	if err != nil {
		panic(err)
	}
	return r
}

func refusedErr() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

const refusedText = "remote connection failure, transport failure reason: delayed connect error: Connection refused"

// half draws the middle of every pause.
func half() float64 { return 0.5 }

func TestCallOutcomes(t *testing.T) {
	type want struct {
		Code     int // of the response; 0 for an error
		Status   int // of the error
		Flags    string
		Body     string
		Attempts int
		At       []time.Duration // when each try began
		Took     time.Duration
	}
	const ms = time.Millisecond
	five := func(n int32) *networking.HTTPRetry { return &networking.HTTPRetry{Attempts: n, RetryOn: "5xx"} }
	tests := []struct {
		name    string
		spec    *networking.HTTPRetry
		timeout time.Duration
		head    http.Header
		steps   func(*upstream) []func(*http.Request) (*http.Response, error)
		want    want
	}{
		{
			"first try good", nil, 0, nil,
			func(u *upstream) []func(*http.Request) (*http.Response, error) {
				return list(u.answers(200))
			},
			want{Code: 200, Attempts: 1, At: []time.Duration{0}},
		},
		{
			"a plain 503 is not retried by default", nil, 0, nil,
			func(u *upstream) []func(*http.Request) (*http.Response, error) { return list(u.answers(503)) },
			want{Code: 503, Attempts: 1, At: []time.Duration{0}},
		},
		{
			"connect failures are, twice", nil, 0, nil,
			func(u *upstream) []func(*http.Request) (*http.Response, error) {
				return list(u.fails(refusedErr(), false))
			},
			want{
				Status: 503, Flags: "UF,URX", Attempts: 3, Body: resetText + "retried and the latest reset reason: " + refusedText,
				At: []time.Duration{0, 12500 * time.Microsecond, 37500 * time.Microsecond}, Took: 37500 * time.Microsecond,
			},
		},
		{
			"no retries at all", &networking.HTTPRetry{}, 0, nil,
			func(u *upstream) []func(*http.Request) (*http.Response, error) {
				return list(u.fails(refusedErr(), false))
			},
			want{Status: 503, Flags: "UF", Attempts: 1, Body: resetText + "reset reason: " + refusedText, At: []time.Duration{0}},
		},
		{
			"good in the end", five(3), 0, nil,
			func(u *upstream) []func(*http.Request) (*http.Response, error) {
				return list(u.answers(500), u.fails(io.EOF, true), u.answers(200))
			},
			want{Code: 200, Attempts: 3, At: []time.Duration{0, 12500 * time.Microsecond, 37500 * time.Microsecond}, Took: 37500 * time.Microsecond},
		},
		{
			"bad to the end: the last answer, with URX", five(1), 0, nil,
			func(u *upstream) []func(*http.Request) (*http.Response, error) {
				return list(u.answers(500), u.answers(502))
			},
			want{Code: 502, Flags: "URX", Attempts: 2, At: []time.Duration{0, 12500 * time.Microsecond}, Took: 12500 * time.Microsecond},
		},
		{
			"then something else went wrong", five(3), 0, nil,
			func(u *upstream) []func(*http.Request) (*http.Response, error) {
				return list(u.answers(500), u.fails(&answer.Error{Sentinel: ErrNoHealthyUpstream, Flag: "UH", Status: 503, Body: "no healthy upstream"}, true))
			},
			want{Status: 503, Flags: "UH", Body: "no healthy upstream", Attempts: 2, At: []time.Duration{0, 12500 * time.Microsecond}, Took: 12500 * time.Microsecond},
		},
		{
			"overflow is never retried", five(3), 0, nil,
			func(u *upstream) []func(*http.Request) (*http.Response, error) {
				return list(u.fails(&answer.Error{Sentinel: ErrUpstreamFailure, Flag: "UO", Status: 503, Body: "x"}, false))
			},
			want{Status: 503, Flags: "UO", Body: "x", Attempts: 1, At: []time.Duration{0}},
		},
		{
			"the route's timeout ends a try", five(3), time.Second, nil,
			func(u *upstream) []func(*http.Request) (*http.Response, error) { return list(u.hangs) },
			want{Status: 504, Flags: "UT", Body: timeoutText, Attempts: 1, At: []time.Duration{0}, Took: time.Second},
		},
		{
			"the route's timeout ends a pause", &networking.HTTPRetry{Attempts: 9, RetryOn: "5xx", Backoff: durationpb.New(time.Second)}, 800 * ms, nil,
			func(u *upstream) []func(*http.Request) (*http.Response, error) { return list(u.answers(503)) },
			want{Status: 504, Flags: "UT", Body: timeoutText, Attempts: 2, At: []time.Duration{0, 500 * ms}, Took: 800 * ms},
		},
		{
			"a try's timeout is not retried by default", &networking.HTTPRetry{Attempts: 3, PerTryTimeout: durationpb.New(2 * time.Second)}, 0, nil,
			func(u *upstream) []func(*http.Request) (*http.Response, error) { return list(u.hangs) },
			want{Status: 504, Flags: "UT", Body: timeoutText, Attempts: 1, At: []time.Duration{0}, Took: 2 * time.Second},
		},
		{
			"a try's timeout is retried on reset", &networking.HTTPRetry{Attempts: 1, PerTryTimeout: durationpb.New(2 * time.Second), RetryOn: "reset"}, 0, nil,
			func(u *upstream) []func(*http.Request) (*http.Response, error) { return list(u.hangs, u.answers(200)) },
			want{Code: 200, Attempts: 2, At: []time.Duration{0, 2012500 * time.Microsecond}, Took: 2012500 * time.Microsecond},
		},
		{
			"a try's timeout, all tries used up", &networking.HTTPRetry{Attempts: 1, PerTryTimeout: durationpb.New(2 * time.Second), RetryOn: "gateway-error"}, 10 * time.Second, nil,
			func(u *upstream) []func(*http.Request) (*http.Response, error) { return list(u.hangs) },
			want{Status: 504, Flags: "UT,URX", Body: timeoutText, Attempts: 2, At: []time.Duration{0, 2012500 * time.Microsecond}, Took: 4012500 * time.Microsecond},
		},
		{
			"the route's timeout during a second try", &networking.HTTPRetry{Attempts: 5, PerTryTimeout: durationpb.New(2 * time.Second), RetryOn: "5xx"}, 3 * time.Second, nil,
			func(u *upstream) []func(*http.Request) (*http.Response, error) { return list(u.hangs) },
			want{Status: 504, Flags: "UT", Body: timeoutText, Attempts: 2, At: []time.Duration{0, 2012500 * time.Microsecond}, Took: 3 * time.Second},
		},
		{
			"the caller asks for retries where the rule has none", &networking.HTTPRetry{}, 0, http.Header{"X-Envoy-Retry-On": {"5xx"}},
			func(u *upstream) []func(*http.Request) (*http.Response, error) { return list(u.answers(503)) },
			want{Code: 503, Flags: "URX", Attempts: 2, At: []time.Duration{0, 12500 * time.Microsecond}, Took: 12500 * time.Microsecond},
		},
		{
			"the caller adds a code and a number", nil, 0, http.Header{"X-Envoy-Retriable-Status-Codes": {"418"}, "X-Envoy-Max-Retries": {"3"}},
			func(u *upstream) []func(*http.Request) (*http.Response, error) {
				return list(u.answers(418), u.answers(418), u.answers(418), u.answers(200))
			},
			want{
				Code: 200, Attempts: 4, At: []time.Duration{0, 12500 * time.Microsecond, 37500 * time.Microsecond, 87500 * time.Microsecond},
				Took: 87500 * time.Microsecond,
			},
		},
		{
			"the caller forbids retries", nil, 0, http.Header{"X-Envoy-Max-Retries": {"0"}},
			func(u *upstream) []func(*http.Request) (*http.Response, error) {
				return list(u.fails(refusedErr(), false))
			},
			want{Status: 503, Flags: "UF,URX", Attempts: 1, Body: resetText + "reset reason: " + refusedText, At: []time.Duration{0}},
		},
		{
			"the caller sets its own timeout and answer", nil, time.Minute,
			http.Header{"X-Envoy-Upstream-Rq-Timeout-Ms": {"100"}, "X-Envoy-Upstream-Rq-Timeout-Alt-Response": {"1"}},
			func(u *upstream) []func(*http.Request) (*http.Response, error) { return list(u.hangs) },
			want{Status: 204, Flags: "UT", Attempts: 1, At: []time.Duration{0}, Took: 100 * ms},
		},
		{
			"an upgrade is not retried", five(3), 0, http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}},
			func(u *upstream) []func(*http.Request) (*http.Response, error) { return list(u.answers(503)) },
			want{Code: 503, Attempts: 1, At: []time.Duration{0}},
		},
		{
			"a late answer of a transport that is deaf to contexts", nil, time.Second, nil,
			func(u *upstream) []func(*http.Request) (*http.Response, error) {
				return list(func(r *http.Request) (*http.Response, error) {
					time.Sleep(5 * time.Second)
					return u.answers(200)(r)
				})
			},
			want{Status: 504, Flags: "UT", Body: timeoutText, Attempts: 1, At: []time.Duration{0}, Took: 5 * time.Second},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{}
				u.steps = tt.steps(u)
				r := get(t.Context())
				if tt.head != nil {
					r.Header = tt.head
				}
				c := &Call{Retry: mustRetry(t, tt.spec), Timeout: tt.timeout, Overrides: TakeOverrides(r.Header), Rand: half}
				start := time.Now()
				resp, err := c.Do(r, u)
				got := want{Flags: c.Flags, Attempts: c.Attempts, At: u.at, Took: time.Since(start)}
				if err != nil {
					e, ok := errors.AsType[*answer.Error](err)
					if !ok || resp != nil {
						t.Fatalf("got %v and %T %v, want an answer's error alone", resp, err, err)
					}
					got.Status, got.Body = e.Status, e.Body
					if e.Flag != c.Flags {
						t.Errorf("the error has the flags %q, the call %q", e.Flag, c.Flags)
					}
				} else {
					got.Code = resp.StatusCode
					resp.Body.Close()
				}
				if diff := cmp.Diff(got, tt.want); diff != "" {
					t.Errorf("(-got +want):\n%s", diff)
				}
				for i, b := range u.lost {
					if b.closed != 1 {
						t.Errorf("response %d was closed %d times, want 1", i+1, b.closed)
					}
				}
				for i, r := range u.seen {
					if got, want := r.Header.Get("X-Envoy-Attempt-Count"), attemptValue(i + 1)[0]; got != want {
						t.Errorf("try %d says it is %q", i+1, got)
					}
				}
			})
		})
	}
}

func list(steps ...func(*http.Request) (*http.Response, error)) []func(*http.Request) (*http.Response, error) {
	return steps
}

func TestCallTimeoutInBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, perTry := range []time.Duration{0, 500 * time.Millisecond} {
			spec := &networking.HTTPRetry{Attempts: 1, RetryOn: "5xx"}
			if perTry > 0 {
				spec.PerTryTimeout = durationpb.New(perTry)
			}
			c := &Call{Retry: mustRetry(t, spec), Timeout: time.Second}
			start := time.Now()
			resp, err := c.Do(get(t.Context()), SenderFunc(func(r *http.Request, _ int) (*http.Response, error) {
				return &http.Response{StatusCode: 200, Body: &reply{Reader: stall{r.Context()}}, Request: r}, nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.ReadAll(resp.Body)
			e, ok := errors.AsType[*answer.Error](err)
			if !ok || e.Flag != "UT" || e.Status != 504 || !errors.Is(err, ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %T %v, want the route's timeout and not the caller's", err, err)
			}
			if took := time.Since(start); took != time.Second {
				t.Errorf("a try's limit of %v: took %v, want 1s: it is no matter once the headers are there", perTry, took)
			}
			resp.Body.Close()
		}
	})
}

func TestCallCaller(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name string
		ctx  func(context.Context) (context.Context, context.CancelFunc)
		want error
	}{
		{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 300*time.Millisecond)
		}, context.DeadlineExceeded},
		{"cancelled", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(300*time.Millisecond, cancel)
			return ctx, cancel
		}, context.Canceled},
		{"cause", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(ctx, 300*time.Millisecond, boom)
		}, boom},
	}
	steps := map[string]func(*upstream) []func(*http.Request) (*http.Response, error){
		"in a try":   func(u *upstream) []func(*http.Request) (*http.Response, error) { return list(u.hangs) },
		"in a pause": func(u *upstream) []func(*http.Request) (*http.Response, error) { return list(u.answers(503)) },
	}
	for _, tt := range tests {
		for where, step := range steps {
			t.Run(tt.name+" "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := tt.ctx(t.Context())
					defer cancel()
					u := &upstream{}
					u.steps = step(u)
					c := &Call{
						Retry:   mustRetry(t, &networking.HTTPRetry{Attempts: 9, RetryOn: "5xx", Backoff: durationpb.New(time.Second), PerTryTimeout: durationpb.New(time.Minute)}),
						Timeout: time.Hour, Rand: half,
					}
					start := time.Now()
					resp, err := c.Do(get(ctx), u)
					if resp != nil || !errors.Is(err, tt.want) || errors.Is(err, ErrTimeout) || c.Flags != "DC" {
						t.Errorf("got %v, %v, flags %q; want %v, DC", resp, err, c.Flags, tt.want)
					}
					if took := time.Since(start); took != 300*time.Millisecond || c.Attempts != 1 {
						t.Errorf("took %v and %d tries, want 300ms and 1", took, c.Attempts)
					}
				})
			})
		}
	}
}

// TestCallInCall has an outer call's timeout pass during an inner one that has a timeout too: to the inner one
// the outer is the caller.
func TestCallInCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outer, inner := &Call{Timeout: time.Second}, &Call{Timeout: time.Minute}
		_, err := outer.Do(get(t.Context()), SenderFunc(func(r *http.Request, _ int) (*http.Response, error) {
			u := &upstream{}
			u.steps = list(u.hangs)
			return inner.Do(get(r.Context()), u)
		}))
		if inner.Flags != "DC" || outer.Flags != "UT" || !errors.Is(err, ErrTimeout) {
			t.Errorf("got inner %q, outer %q, %v; want DC, UT", inner.Flags, outer.Flags, err)
		}
	})
}

func TestCallPermits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var held, most, asked int
		free := 2
		permit := func() (func(), bool) {
			asked++
			if asked > free {
				return nil, false
			}
			held++
			most = max(most, held)
			return func() { held-- }, true
		}
		u := &upstream{}
		u.steps = list(u.answers(503))
		c := &Call{Retry: mustRetry(t, &networking.HTTPRetry{Attempts: 5, RetryOn: "503"}), Permit: permit}
		resp, err := c.Do(get(t.Context()), u)
		if err != nil || resp.StatusCode != 503 || c.Flags != "UO" || c.Attempts != 3 {
			t.Errorf("got %v, %v, %q after %d tries; want 503 UO after 3", resp, err, c.Flags, c.Attempts)
		}
		if held != 0 || most != 1 || asked != 3 {
			t.Errorf("held %d, at most %d, asked %d times; want 0, 1, 3", held, most, asked)
		}

		asked, free = 0, 0
		u = &upstream{}
		u.steps = list(u.fails(refusedErr(), false))
		c = &Call{Retry: mustRetry(t, nil), Permit: permit}
		_, err = c.Do(get(t.Context()), u)
		if e, ok := errors.AsType[*answer.Error](err); !ok || e.Flag != "UF,UO" || c.Flags != "UF,UO" || e.Body != resetText+"reset reason: "+refusedText {
			t.Errorf("got %v, flags %q; want UF,UO", err, c.Flags)
		}

		asked, free = 0, 9
		u = &upstream{}
		u.steps = list(u.answers(503), func(*http.Request) (*http.Response, error) { panic("broken") })
		c = &Call{Retry: mustRetry(t, &networking.HTTPRetry{Attempts: 5, RetryOn: "503"}), Permit: permit}
		func() {
			defer func() { _ = recover() }()
			_, _ = c.Do(get(t.Context()), u)
		}()
		if held != 0 {
			t.Errorf("a panic left %d permits taken", held)
		}
	})
}

// TestCallConnecting has a transport that tells of its connections: the wait for one is not a part of the try's
// time, as in Envoy.
func TestCallConnecting(t *testing.T) {
	tests := []struct {
		name    string
		connect time.Duration
		answer  time.Duration
		want    string
		took    time.Duration
	}{
		{"slow to connect", 5 * time.Second, 500 * time.Millisecond, "", 5500 * time.Millisecond},
		{"slow to answer", 5 * time.Second, 2 * time.Second, "UT", 6 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				c := &Call{Retry: mustRetry(t, &networking.HTTPRetry{Attempts: 1, PerTryTimeout: durationpb.New(time.Second)})}
				resp, err := c.Do(get(t.Context()), SenderFunc(func(r *http.Request, _ int) (*http.Response, error) {
					trace := httptrace.ContextClientTrace(r.Context())
					trace.GetConn("")
					time.Sleep(tt.connect)
					trace.GotConn(httptrace.GotConnInfo{})
					select {
					case <-time.After(tt.answer):
						return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
					case <-r.Context().Done():
						return nil, context.Cause(r.Context())
					}
				}))
				if c.Flags != tt.want || (resp == nil) != (tt.want != "") || time.Since(start) != tt.took {
					t.Errorf("got %v, %v, flags %q after %v; want %q after %v", resp, err, c.Flags, time.Since(start), tt.want, tt.took)
				}
			})
		})
	}
}

func TestCallResetBeforeRequest(t *testing.T) {
	tests := []struct {
		name  string
		trace func(*httptrace.ClientTrace)
		want  int // tries
	}{
		{"the transport does not say", func(*httptrace.ClientTrace) {}, 1},
		{"nothing was sent", func(c *httptrace.ClientTrace) { c.GetConn("") }, 2},
		{"the headers were sent", func(c *httptrace.ClientTrace) { c.GetConn(""); c.WroteHeaders() }, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &Call{Retry: mustRetry(t, &networking.HTTPRetry{Attempts: 1, RetryOn: "reset-before-request"})}
				_, err := c.Do(get(t.Context()), SenderFunc(func(r *http.Request, _ int) (*http.Response, error) {
					tt.trace(httptrace.ContextClientTrace(r.Context()))
					return nil, io.EOF
				}))
				if err == nil || c.Attempts != tt.want {
					t.Errorf("got %v after %d tries, want an error after %d", err, c.Attempts, tt.want)
				}
			})
		})
	}
}

// TestCallTracedFailure has a try with a limit fail over a transport that tells of its connections: that says
// nothing of whether anything was sent.
func TestCallTracedFailure(t *testing.T) {
	c := &Call{Retry: mustRetry(t, &networking.HTTPRetry{Attempts: 1, PerTryTimeout: durationpb.New(time.Second)})}
	_, err := c.Do(get(t.Context()), SenderFunc(func(r *http.Request, _ int) (*http.Response, error) {
		trace := httptrace.ContextClientTrace(r.Context())
		trace.GetConn("")
		trace.GotConn(httptrace.GotConnInfo{})
		return nil, io.EOF
	}))
	if c.Flags != "UC" || c.Attempts != 1 {
		t.Errorf("got %v after %d tries, want UC after 1", err, c.Attempts)
	}
}

func TestCallKeepsTheContext(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "v")
	c := &Call{Timeout: time.Minute, Retry: mustRetry(t, &networking.HTTPRetry{Attempts: 1, PerTryTimeout: durationpb.New(time.Second)})}
	r := get(ctx)
	r = r.WithContext(c.Begin(ctx, r))
	resp, err := c.Do(r, SenderFunc(func(r *http.Request, _ int) (*http.Response, error) {
		if r.Context().Value(key{}) != "v" {
			t.Error("the caller's value is lost")
		}
		if d, ok := r.Context().Deadline(); !ok || time.Until(d) > time.Minute {
			t.Errorf("the deadline is %v, %v", d, ok)
		}
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	}))
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("got %v, %v", resp, err)
	}
}
