package route

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"
)

func TestLimits(t *testing.T) {
	grpc := func(timeout string) http.Header {
		h := http.Header{"Content-Type": {"application/grpc"}}
		if timeout != "" {
			h["Grpc-Timeout"] = []string{timeout}
		}
		return h
	}
	tests := []struct {
		name   string
		route  time.Duration
		perTry time.Duration
		head   http.Header
		want   limits
		sent   http.Header // what goes out, 300 ms into the call
	}{
		{"none", 0, 0, nil, limits{}, http.Header{}},
		{
			"route only", time.Second, 0, nil, limits{total: time.Second},
			http.Header{"X-Envoy-Expected-Rq-Timeout-Ms": {"700"}},
		},
		{
			"per try only", 0, time.Second, nil, limits{perTry: time.Second},
			http.Header{"X-Envoy-Expected-Rq-Timeout-Ms": {"1000"}},
		},
		{
			"both", 2 * time.Second, time.Second, nil, limits{total: 2 * time.Second, perTry: time.Second},
			http.Header{"X-Envoy-Expected-Rq-Timeout-Ms": {"1000"}},
		},
		{
			"what is left is less than a try", time.Second, 900 * time.Millisecond, nil, limits{total: time.Second, perTry: 900 * time.Millisecond},
			http.Header{"X-Envoy-Expected-Rq-Timeout-Ms": {"700"}},
		},
		{
			"per try not below the route's is dropped", time.Second, time.Second, nil, limits{total: time.Second},
			http.Header{"X-Envoy-Expected-Rq-Timeout-Ms": {"700"}},
		},
		{
			"nothing left still says 1", 300 * time.Millisecond, 0, nil, limits{total: 300 * time.Millisecond},
			http.Header{"X-Envoy-Expected-Rq-Timeout-Ms": {"1"}},
		},
		{
			"the gRPC client's is shorter", time.Second, 0, grpc("500m"), limits{total: 500 * time.Millisecond, grpc: true},
			http.Header{"X-Envoy-Expected-Rq-Timeout-Ms": {"200"}, "Grpc-Timeout": {"200m"}},
		},
		{
			"the gRPC client's is longer", time.Second, 0, grpc("2S"), limits{total: time.Second, grpc: true},
			http.Header{"X-Envoy-Expected-Rq-Timeout-Ms": {"700"}, "Grpc-Timeout": {"700m"}},
		},
		{
			"the gRPC client's alone", 0, 0, grpc("2S"), limits{total: 2 * time.Second, grpc: true},
			http.Header{"X-Envoy-Expected-Rq-Timeout-Ms": {"1700"}, "Grpc-Timeout": {"1700m"}},
		},
		{"a gRPC client without one", 0, 0, grpc(""), limits{grpc: true}, http.Header{}},
		{"grpc-timeout on other requests is nothing", 0, 0, http.Header{"Grpc-Timeout": {"1S"}}, limits{}, http.Header{}},
		{
			"headers replace both", time.Second, 500 * time.Millisecond,
			http.Header{"X-Envoy-Upstream-Rq-Timeout-Ms": {"4000"}, "X-Envoy-Upstream-Rq-Per-Try-Timeout-Ms": {"3000"}},
			limits{total: 4 * time.Second, perTry: 3 * time.Second}, http.Header{"X-Envoy-Expected-Rq-Timeout-Ms": {"3000"}},
		},
		{
			"a header of 0 turns the route's off", time.Second, 0, http.Header{"X-Envoy-Upstream-Rq-Timeout-Ms": {"0"}},
			limits{}, http.Header{},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p *RetryPolicy
			if tt.perTry > 0 {
				p = mustRetry(t, &networking.HTTPRetry{Attempts: 1, PerTryTimeout: durationpb.New(tt.perTry)})
			}
			got := limitsOf(tt.route, p, TakeOverrides(tt.head), tt.head)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			sent := http.Header{}
			got.announce(sent, 300*time.Millisecond, time.Time{})
			if diff := cmp.Diff(sent, tt.sent); diff != "" {
				t.Errorf("headers (-got +want):\n%s", diff)
			}
		})
	}
}

func TestGRPCTimeout(t *testing.T) {
	tests := []struct {
		in   string
		want time.Duration
		out  string // written again
	}{
		{"1H", time.Hour, "3600000m"},
		{"2M", 2 * time.Minute, "120000m"},
		{"3S", 3 * time.Second, "3000m"},
		{"4m", 4 * time.Millisecond, "4m"},
		{"1500u", 2 * time.Millisecond, "2m"},
		{"1n", time.Millisecond, "1m"},
		{"99999999m", 99999999 * time.Millisecond, "99999999m"},
		{"99999999S", 99999999 * time.Second, "99999999S"},
		{"99999999H", 1_000_000 * time.Hour, "60000000M"},
		{"0S", 0, ""}, {"", 0, ""}, {"S", 0, ""}, {"1", 0, ""}, {"1s", 0, ""}, {"-1S", 0, ""}, {"+1S", 0, ""},
		{"1.5S", 0, ""}, {"123456789S", 0, ""}, {" 1S", 0, ""},
	}
	for _, tt := range tests {
		got := parseGRPCTimeout(tt.in)
		if got != tt.want {
			t.Errorf("%q: got %v, want %v", tt.in, got, tt.want)
		}
		if tt.out != "" && formatGRPCTimeout(got) != tt.out {
			t.Errorf("%v: wrote %q, want %q", got, formatGRPCTimeout(got), tt.out)
		}
	}
}

func FuzzGRPCTimeout(f *testing.F) {
	for _, s := range []string{"1S", "99999999H", "5u", "", "x", "00000000n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d := parseGRPCTimeout(s)
		if d < 0 {
			t.Fatalf("%q: got %v", s, d)
		}
		if d == 0 {
			return
		}
		out := formatGRPCTimeout(d)
		if len(out) > 9 {
			t.Errorf("%q written as %q, longer than gRPC allows", s, out)
		}
		if again := parseGRPCTimeout(out); again > d || again < d/2 {
			t.Errorf("%q read as %v, written and read again as %v", s, d, again)
		}
	})
}

// TestAnnounceDeadline tells the upstream of the caller's own deadline where that ends before the limits, or where
// there are none.
func TestAnnounceDeadline(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name            string
		timeout, perTry time.Duration
		patience        time.Duration
		head            http.Header
		want            []string // of each try; "" is none
		grpc            string
	}{
		{"nothing limits it", 0, 0, 0, nil, []string{""}, ""},
		{"the caller alone", 0, 0, 700 * ms, nil, []string{"700", "690"}, ""},
		{"the caller first", time.Second, 0, 700 * ms, nil, []string{"700", "690"}, ""},
		{"the route first", 500 * ms, 0, 700 * ms, nil, []string{"500", "490"}, ""},
		{"the try first", 500 * ms, 100 * ms, 700 * ms, nil, []string{"100", "100"}, ""},
		{"gRPC", 0, 0, 700 * ms, http.Header{"Content-Type": {"application/grpc"}}, []string{"700", "690"}, "690m"},
		{"less than a millisecond", 0, 0, 300 * time.Microsecond, http.Header{"X-Envoy-Max-Retries": {"0"}}, []string{"1"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.patience > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.patience)
					defer cancel()
				}
				r := get(ctx)
				maps.Copy(r.Header, tt.head)
				spec := &networking.HTTPRetry{Attempts: 1, RetryOn: "5xx"}
				if tt.perTry > 0 {
					spec.PerTryTimeout = durationpb.New(tt.perTry)
				}
				c := &Call{Retry: mustRetry(t, spec), Timeout: tt.timeout, Overrides: TakeOverrides(r.Header), Rand: func() float64 { return 0 }}
				var got []string
				grpc := ""
				resp, err := c.Do(r, SenderFunc(func(r *http.Request, n int) (*http.Response, error) {
					got, grpc = append(got, r.Header.Get(headerExpected)), r.Header.Get(headerGRPCTime)
					if n < len(tt.want) {
						time.Sleep(10 * ms)
						return &http.Response{StatusCode: 503, Header: http.Header{}, Body: http.NoBody}, nil
					}
					return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
				}))
				if err != nil || resp.StatusCode != 200 {
					t.Fatal(resp, err)
				}
				if !slices.Equal(got, tt.want) || grpc != tt.grpc {
					t.Errorf("got %q and %q, want %q and %q", got, grpc, tt.want, tt.grpc)
				}
			})
		})
	}
}

// TestAnnounceAlone has a call that needs no loop tell of the caller's deadline as well.
func TestAnnounceAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		r := get(ctx)
		if _, err := (&Call{}).Do(r, SenderFunc(func(r *http.Request, _ int) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
		})); err != nil || r.Header.Get(headerExpected) != "2000" {
			t.Errorf("got %q, %v; want 2000", r.Header.Get(headerExpected), err)
		}
	})
}

// FuzzTimeLeft holds what is read of headers within bounds, and against what is announced.
func FuzzTimeLeft(f *testing.F) {
	f.Add("1500", "2S", true)
	f.Add("0", "0n", true)
	f.Add("", "99999999H", true)
	f.Add("-1", "1x", false)
	f.Fuzz(func(t *testing.T, expected, grpc string, isGRPC bool) {
		h := http.Header{headerExpected: {expected}, headerGRPCTime: {grpc}}
		if isGRPC {
			h.Set("Content-Type", "application/grpc")
		}
		left, ok := TimeLeft(h)
		if !ok {
			return
		}
		if left < 0 || left >= forever || !isGRPC && left < time.Millisecond {
			t.Fatalf("got %v", left)
		}
		if left == 0 {
			return
		}
		again := http.Header{}
		limits{total: left, grpc: isGRPC}.announce(again, 0, time.Time{})
		again["Content-Type"] = h["Content-Type"]
		if told, ok := TimeLeft(again); !ok || told > left || isGRPC != (again.Get(headerGRPCTime) != "") {
			t.Errorf("%v was told as %v, read as %v", left, again, told)
		}
	})
}
