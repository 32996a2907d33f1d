package route

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	networking "istio.io/api/networking/v1"
)

// TestCallInformed lets the caller hear an early hint: from then on its answer has begun.
func TestCallInformed(t *testing.T) {
	for code, want := range map[int]int{103: 1, 100: 2} {
		synctest.Test(t, func(t *testing.T) {
			heard := 0
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(int, textproto.MIMEHeader) error { heard++; return nil },
			})
			u := &upstream{}
			u.steps = list(func(r *http.Request) (*http.Response, error) {
				httptrace.ContextClientTrace(r.Context()).Got1xxResponse(code, nil)
				return u.answers(503)(r)
			}, u.answers(200))
			c := &Call{Retry: mustRetry(t, &networking.HTTPRetry{Attempts: 1, RetryOn: "5xx"})}
			if _, err := c.Do(get(ctx), u); err != nil || c.Attempts != want || heard != 1 {
				t.Errorf("%d: got %v after %d tries, heard %d; want %d tries, 1", code, err, c.Attempts, heard, want)
			}
		})
	}
}

// rwc is the body of a 101 response.
type rwc struct {
	io.Reader
	io.Writer
	closed int
}

func (c *rwc) Close() error { c.closed++; return nil }

func TestCallUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Call{Retry: mustRetry(t, nil), Timeout: time.Second}
		r := get(t.Context())
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "websocket")
		var sent strings.Builder
		conn := &rwc{Reader: strings.NewReader("hello"), Writer: &sent}
		var ctx context.Context
		resp, err := c.Do(r, SenderFunc(func(r *http.Request, _ int) (*http.Response, error) {
			ctx = r.Context()
			return &http.Response{StatusCode: 101, Body: conn, Request: r}, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if ctx.Err() != nil {
			t.Errorf("the connection's context ended: %v", context.Cause(ctx))
		}
		w, ok := resp.Body.(io.ReadWriteCloser)
		if !ok {
			t.Fatal("the connection cannot be written to")
		}
		_, _ = io.WriteString(w, "hey")
		text, _ := io.ReadAll(w)
		_ = w.Close()
		if sent.String() != "hey" || string(text) != "hello" || conn.closed != 1 || ctx.Err() == nil {
			t.Errorf("sent %q, got %q, closed %d times, %v", sent.String(), text, conn.closed, ctx.Err())
		}

		// The handshake itself has the route's timeout.
		u := &upstream{}
		u.steps = list(u.hangs)
		c = &Call{Retry: mustRetry(t, nil), Timeout: time.Second}
		if _, err := c.Do(r, u); !errors.Is(err, ErrTimeout) {
			t.Errorf("got %v, want the timeout", err)
		}
	})
}
