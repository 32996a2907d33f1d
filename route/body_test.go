package route

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"
)

// source is a caller's body: it can be read once, counts its closings and tells of reading after them.
type source struct {
	io.Reader
	closed int
	late   bool
}

func (s *source) Read(b []byte) (int, error) {
	if s.closed > 0 {
		s.late = true
	}
	return s.Reader.Read(b)
}

func (s *source) Close() error { s.closed++; return nil }

func post(ctx context.Context, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(ctx, "POST", "http://reviews/a", body)
	if err != nil {
		panic(err)
	}
	return r
}

func TestBodyReplay(t *testing.T) {
	big := strings.Repeat("x", bodyLimit+1)
	gatewayError := &networking.HTTPRetry{Attempts: 2, RetryOn: "gateway-error"}
	tests := []struct {
		name   string
		text   string
		length int64 // the request's ContentLength
		spec   *networking.HTTPRetry
		steps  func(*upstream) []func(*http.Request) (*http.Response, error)
		bodies []string
		tries  int
		flags  string
	}{
		{
			"recorded", "hello", -1, gatewayError,
			func(u *upstream) []func(*http.Request) (*http.Response, error) {
				return list(u.answers(503), u.fails(io.EOF, true), u.answers(200))
			},
			[]string{"hello", "hello", "hello"}, 3, "",
		},
		{
			"recorded in part", "hello", 5, gatewayError,
			func(u *upstream) []func(*http.Request) (*http.Response, error) {
				return list(func(r *http.Request) (*http.Response, error) {
					b := make([]byte, 2)
					io.ReadFull(r.Body, b)
					u.bodies = append(u.bodies, string(b))
					r.Body.Close()
					return nil, io.EOF
				}, u.answers(200))
			},
			[]string{"he", "hello"}, 2, "",
		},
		{
			"too long to record", big, -1, gatewayError,
			func(u *upstream) []func(*http.Request) (*http.Response, error) { return list(u.answers(503)) },
			[]string{big}, 1, "",
		},
		{
			"known to be too long, and nothing was read", big, int64(len(big)), nil,
			func(u *upstream) []func(*http.Request) (*http.Response, error) {
				return list(u.fails(refusedErr(), false), u.answers(200))
			},
			[]string{big}, 2, "",
		},
		{
			"known to be too long, and something was read", big, int64(len(big)), gatewayError,
			func(u *upstream) []func(*http.Request) (*http.Response, error) { return list(u.fails(io.EOF, true)) },
			[]string{big}, 1, "UC",
		},
		{
			"just short enough", big[1:], -1, gatewayError,
			func(u *upstream) []func(*http.Request) (*http.Response, error) {
				return list(u.answers(503), u.answers(200))
			},
			[]string{big[1:], big[1:]}, 2, "",
		},
		{
			"no retries armed", "hello", -1, &networking.HTTPRetry{},
			func(u *upstream) []func(*http.Request) (*http.Response, error) { return list(u.answers(503)) },
			[]string{"hello"}, 1, "",
		},
		{
			"used up", "hello", -1, gatewayError,
			func(u *upstream) []func(*http.Request) (*http.Response, error) { return list(u.answers(503)) },
			[]string{"hello", "hello", "hello"}, 3, "URX",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &upstream{}
				u.steps = tt.steps(u)
				src := &source{Reader: strings.NewReader(tt.text)}
				r := post(t.Context(), src)
				r.ContentLength = tt.length
				r.Header.Set("Expect", "100-continue")
				r.Trailer = http.Header{"X-Sum": {"1"}}
				c := &Call{Retry: mustRetry(t, tt.spec)}
				resp, err := c.Do(r, u)
				if err == nil {
					resp.Body.Close()
				}
				if c.Attempts != tt.tries || c.Flags != tt.flags {
					t.Errorf("got %v, %v, flags %q after %d tries; want %q after %d", resp, err, c.Flags, c.Attempts, tt.flags, tt.tries)
				}
				if len(u.bodies) != len(tt.bodies) {
					t.Fatalf("the upstream read %d bodies, want %d", len(u.bodies), len(tt.bodies))
				}
				for i := range u.bodies {
					if u.bodies[i] != tt.bodies[i] {
						t.Errorf("body %d has %d bytes, want %d, or differs", i+1, len(u.bodies[i]), len(tt.bodies[i]))
					}
				}
				if src.closed != 1 || src.late {
					t.Errorf("body closed %d times, read after that: %v; want 1, false", src.closed, src.late)
				}
				for i, r := range u.seen {
					if r.ContentLength != tt.length || r.Header.Get("Expect") != "100-continue" || r.Trailer.Get("X-Sum") != "1" {
						t.Errorf("try %d lost a part: %d, %v, %v", i+1, r.ContentLength, r.Header, r.Trailer)
					}
				}
			})
		})
	}
}

func TestBodyGetBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{}
		u.steps = list(u.answers(503), u.answers(503), u.answers(200))
		big := bytes.Repeat([]byte("x"), 2*bodyLimit)
		var all []*source
		open := func() (io.ReadCloser, error) {
			all = append(all, &source{Reader: bytes.NewReader(big)})
			return all[len(all)-1], nil
		}
		first, _ := open()
		r := post(t.Context(), first)
		r.GetBody = open
		c := &Call{Retry: mustRetry(t, &networking.HTTPRetry{Attempts: 2, RetryOn: "5xx"})}
		resp, err := c.Do(r, u)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("got %v, %v; want 200", resp, err)
		}
		resp.Body.Close()
		if len(all) != 3 || len(u.bodies) != 3 || len(u.bodies[2]) != len(big) {
			t.Errorf("opened %d, read %d; want 3 whole ones", len(all), len(u.bodies))
		}
		for i, s := range all {
			if s.closed != 1 {
				t.Errorf("body %d closed %d times, want 1", i+1, s.closed)
			}
		}

		// A GetBody that fails is the caller's failure.
		boom := errors.New("boom")
		u = &upstream{}
		u.steps = list(u.answers(503))
		r = post(t.Context(), first)
		r.GetBody = func() (io.ReadCloser, error) { return nil, boom }
		c = &Call{Retry: mustRetry(t, &networking.HTTPRetry{Attempts: 2, RetryOn: "5xx"})}
		if resp, err := c.Do(r, u); resp != nil || !errors.Is(err, boom) || c.Flags != "DC" {
			t.Errorf("got %v, %v, %q; want the caller's error", resp, err, c.Flags)
		}
	})
}

func TestBodyOfTheCallerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom := errors.New("boom")
		src := &source{Reader: io.MultiReader(strings.NewReader("he"), failing{boom})}
		c := &Call{Retry: mustRetry(t, &networking.HTTPRetry{Attempts: 2, RetryOn: "5xx"})}
		resp, err := c.Do(post(t.Context(), src), SenderFunc(func(r *http.Request, _ int) (*http.Response, error) {
			defer r.Body.Close()
			_, err := io.ReadAll(r.Body)
			return nil, err
		}))
		if resp != nil || !errors.Is(err, boom) || c.Flags != "DC" || c.Attempts != 1 || src.closed != 1 {
			t.Errorf("got %v, %v, %q after %d tries, closed %d times; want the caller's error, at once", resp, err, c.Flags, c.Attempts, src.closed)
		}
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestBodyStillRead has the first try answered while its body is being sent, as an HTTP/1 transport may: the
// second gets the whole body, and the first not a byte more.
func TestBodyStillRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pr, pw := io.Pipe()
		stray := make(chan error, 1)
		u := &upstream{}
		u.steps = list(func(r *http.Request) (*http.Response, error) {
			body := r.Body
			b := make([]byte, 2)
			io.ReadFull(body, b)
			go func() {
				_, err := io.ReadAll(body)
				body.Close()
				stray <- err
			}()
			synctest.Wait()
			r.Body = nil
			return u.answers(503)(r)
		}, u.answers(200))
		c := &Call{Retry: mustRetry(t, &networking.HTTPRetry{Attempts: 1, RetryOn: "5xx"}), Rand: half}
		go func() {
			io.WriteString(pw, "he")
			time.Sleep(time.Second)
			io.WriteString(pw, "ll")
			io.WriteString(pw, "o")
			pw.Close()
		}()
		resp, err := c.Do(post(t.Context(), pr), u)
		if err != nil || resp.StatusCode != 200 || len(u.bodies) != 1 || u.bodies[0] != "hello" {
			t.Errorf("got %v, %v, bodies %q; want 200 and the whole body", resp, err, u.bodies)
		}
		if err := <-stray; !errors.Is(err, errTryOver) {
			t.Errorf("the stray reader got %v, want to be told that its try is over", err)
		}
	})
}

// TestBodyTimeoutStart has the route's and the try's timeout start when the request has come in.
func TestBodyTimeoutStart(t *testing.T) {
	tests := []struct {
		name   string
		upload time.Duration
		perTry bool
		read   bool
		took   time.Duration
	}{
		{"slow caller", 10 * time.Second, false, true, 11 * time.Second},
		{"slow caller, try's limit", 10 * time.Second, true, true, 11 * time.Second},
		{"the upstream takes nothing", 10 * time.Second, false, false, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pr, pw := io.Pipe()
				done := make(chan struct{})
				go func() {
					defer close(done)
					for range 5 {
						time.Sleep(tt.upload / 5)
						io.WriteString(pw, "x")
					}
					pw.Close()
				}()
				c := &Call{Timeout: time.Second}
				if tt.perTry {
					c.Timeout = 0
					c.Retry = mustRetry(t, &networking.HTTPRetry{Attempts: 1, PerTryTimeout: durationpb.New(time.Second)})
				}
				u := &upstream{}
				u.steps = list(func(r *http.Request) (*http.Response, error) {
					if !tt.read {
						defer r.Body.Close()
						<-r.Context().Done()
						return nil, context.Cause(r.Context())
					}
					return u.hangs(r)
				})
				start := time.Now()
				_, err := c.Do(post(t.Context(), pr), u)
				if took := time.Since(start); !errors.Is(err, ErrTimeout) || c.Flags != "UT" || took != tt.took {
					t.Errorf("got %v, %q after %v; want the timeout after %v", err, c.Flags, took, tt.took)
				}
				<-done
			})
		})
	}
}

func TestDiscard(t *testing.T) {
	tests := []struct {
		name string
		body func(context.Context) io.Reader
		size int64
		left bool // more than the limit stays unread
		took time.Duration
	}{
		{"short", func(context.Context) io.Reader { return strings.NewReader("x") }, 1, false, 0},
		{"of unknown length", func(context.Context) io.Reader { return strings.NewReader(strings.Repeat("x", drainLimit*2)) }, -1, true, 0},
		{"known to be long", func(context.Context) io.Reader { return strings.NewReader(strings.Repeat("x", drainLimit*2)) }, drainLimit * 2, true, 0},
		{"stalled", func(ctx context.Context) io.Reader { return stall{ctx} }, 1, false, drainTime},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				b := &cancelling{Reader: tt.body(ctx), close: cancel}
				start := time.Now()
				discard(&http.Response{Body: b, ContentLength: tt.size})
				if took := time.Since(start); b.closed != 1 || took != tt.took {
					t.Errorf("closed %d times after %v, want once after %v", b.closed, took, tt.took)
				}
				if rest, _ := io.ReadAll(b.Reader); (len(rest) > 0) != tt.left {
					t.Errorf("%d bytes were left", len(rest))
				}
			})
		})
	}
	discard(nil)
	discard(&http.Response{})
	discard(&http.Response{Body: http.NoBody})
}

type cancelling struct {
	io.Reader
	close  func()
	closed int
}

func (c *cancelling) Close() error { c.closed++; c.close(); return nil }
