package route

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"
	"pgregory.net/rapid"
)

// callPlot is a call with everything that happens to it.
type callPlot struct {
	Attempts   int
	On         string
	PerTry     int // milliseconds; 0 is none, as with the other two
	Timeout    int
	Patience   int
	Body       string
	Replayable bool
	Draw       float64
	Tries      []plotTry
}

type plotTry struct {
	Work   int // milliseconds
	End    string
	Permit bool // for the retry after it
}

func drawPlot(t *rapid.T) callPlot {
	often := func(label string, most int) int { return max(0, rapid.IntRange(-most, most).Draw(t, label)) }
	s := callPlot{
		Attempts: rapid.IntRange(0, 4).Draw(t, "attempts"), Timeout: often("timeout", 1000), Patience: often("patience", 2000),
		Body: rapid.StringN(0, 40, 40).Draw(t, "body"), Replayable: rapid.Bool().Draw(t, "replayable"),
		Draw: rapid.Float64Range(0, 0.999).Draw(t, "draw"),
	}
	if s.Attempts > 0 {
		s.On = rapid.SampledFrom([]string{"", "5xx", "gateway-error,reset", "connect-failure", "reset-before-request,503"}).Draw(t, "on")
		s.PerTry = often("perTry", 500)
	}
	for range 5 {
		s.Tries = append(s.Tries, plotTry{
			Work:   rapid.IntRange(0, 300).Draw(t, "work"),
			End:    rapid.SampledFrom([]string{"200", "503", "refused", "cut", "cut early"}).Draw(t, "end"),
			Permit: rapid.IntRange(0, 5).Draw(t, "permit") > 0,
		})
	}
	return s
}

// play runs the plot and gives what is wrong with it.
func (s callPlot) play(t *testing.T) (wrong []string) {
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	spec := &networking.HTTPRetry{Attempts: int32(s.Attempts), RetryOn: s.On}
	if s.PerTry > 0 {
		spec.PerTryTimeout = durationpb.New(time.Duration(s.PerTry) * time.Millisecond)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if s.Patience > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(s.Patience)*time.Millisecond)
		defer cancel()
	}
	src := &source{Reader: strings.NewReader(s.Body)}
	r := post(ctx, src)
	if s.Replayable {
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s.Body)), nil }
	}
	var held, tries int
	c := &Call{
		Retry: mustRetry(t, spec), Timeout: time.Duration(s.Timeout) * time.Millisecond,
		Rand: func() float64 { return s.Draw },
		Permit: func() (func(), bool) {
			if !s.Tries[tries-1].Permit {
				return nil, false
			}
			held++
			return func() { held-- }, true
		},
	}
	u := &upstream{}
	start := time.Now()
	resp, err := c.Do(r, SenderFunc(func(r *http.Request, n int) (*http.Response, error) {
		if tries++; tries != n {
			complain("try %d calls itself %d", tries, n)
		}
		if held > 1 || (held == 1) != (n > 1) {
			complain("try %d holds %d permits", n, held)
		}
		for i, limit := range []int{s.Patience, s.Timeout} {
			// The route's timeout of a body that is read as it comes starts later.
			if at := time.Since(start); limit > 0 && (i == 0 || s.Replayable) && at > time.Duration(limit)*time.Millisecond {
				complain("try %d was begun after %v, later than %d ms", n, at, limit)
			}
		}
		step := s.Tries[n-1]
		select {
		case <-time.After(time.Duration(step.Work) * time.Millisecond):
		case <-r.Context().Done():
			r.Body.Close()
			return nil, context.Cause(r.Context())
		}
		switch step.End {
		case "200":
			return u.answers(200)(r)
		case "503":
			return u.answers(503)(r)
		case "refused":
			return u.fails(refusedErr(), false)(r)
		case "cut":
			return u.fails(io.ErrUnexpectedEOF, true)(r)
		}
		_, _ = io.ReadFull(r.Body, make([]byte, 3))
		return u.fails(io.EOF, false)(r)
	}))
	took := time.Since(start)
	if (resp == nil) == (err == nil) {
		complain("got %v and %v, want one of them", resp, err)
	}
	if err != nil && (c.Flags == "" || errors.Is(err, errTryOver)) {
		complain("got %v with the flags %q", err, c.Flags)
	}
	if tries > 1+s.Attempts || c.Attempts != tries {
		complain("%d tries, said to be %d, want at most %d", tries, c.Attempts, 1+s.Attempts)
	}
	if held != 0 {
		complain("%d permits are still held", held)
	}
	if s.Replayable && c.Timeout > 0 && took > c.Timeout {
		complain("took %v, longer than %v", took, c.Timeout)
	}
	if resp != nil {
		resp.Body.Close()
	}
	for i, b := range u.lost {
		if b.closed != 1 {
			complain("response %d closed %d times, want 1", i+1, b.closed)
		}
	}
	if src.closed != 1 || src.late {
		complain("the caller's body was closed %d times, read after that: %v", src.closed, src.late)
	}
	for i, b := range u.bodies {
		if b != s.Body {
			complain("body %d: the upstream read %q of %q", i+1, b, s.Body)
		}
	}
	return wrong
}

// TestCallProperties plays random upstreams, bodies and limits: there is one outcome per call, no more tries than
// allowed, permits taken are given back, and every body, of the caller and of lost responses, is closed once.
func TestCallProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawPlot(rt)
		var wrong []string
		synctest.Test(t, func(t *testing.T) { wrong = s.play(t) })
		for _, w := range wrong {
			rt.Error(w)
		}
	})
}
