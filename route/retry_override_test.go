package route

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTakeOverrides(t *testing.T) {
	tests := []struct {
		name string
		head http.Header
		want *overrides
		left http.Header
	}{
		{"none", http.Header{"Accept": {"*/*"}}, nil, http.Header{"Accept": {"*/*"}}},
		{"nil", nil, nil, nil},
		{
			"others of Envoy's stay", http.Header{"X-Envoy-Attempt-Count": {"1"}, "X-Envoy-Original-Path": {"/"}}, nil,
			http.Header{"X-Envoy-Attempt-Count": {"1"}, "X-Envoy-Original-Path": {"/"}},
		},
		{
			"all", http.Header{
				"X-Envoy-Max-Retries": {"5"}, "X-Envoy-Retry-On": {"5xx,retriable-headers,unavailable"}, "X-Envoy-Retry-Grpc-On": {"cancelled, 5xx"},
				"X-Envoy-Retriable-Status-Codes": {"429, 404,x"}, "X-Envoy-Retriable-Header-Names": {"x-again,, X-More"},
				"X-Envoy-Upstream-Rq-Timeout-Ms": {"1500"}, "X-Envoy-Upstream-Rq-Per-Try-Timeout-Ms": {"200"},
				"X-Envoy-Upstream-Rq-Timeout-Alt-Response": {"1"}, "X-Envoy-Hedge-On-Per-Try-Timeout": {"true"}, "X-User": {"a"},
			},
			&overrides{
				retryOn:    retryOn{on5xx | onHeaders | onCancelled, []int{429, 404}, []string{"X-Again", "X-More"}},
				maxRetries: 5, timeout: 1500 * time.Millisecond, hasTimeout: true, perTry: 200 * time.Millisecond, hasPerTry: true, noContent: true, hedge: new(true),
			},
			http.Header{"X-User": {"a"}},
		},
		{
			"what does not parse changes nothing", http.Header{
				"X-Envoy-Max-Retries": {"-1"}, "X-Envoy-Upstream-Rq-Timeout-Ms": {"1s"}, "X-Envoy-Retry-On": {"wind"},
				"X-Envoy-Upstream-Rq-Per-Try-Timeout-Ms": {"99999999999999999999"},
			}, nil, http.Header{},
		},
		{
			"0 counts", http.Header{"X-Envoy-Max-Retries": {"0"}, "X-Envoy-Upstream-Rq-Timeout-Ms": {"0"}},
			&overrides{hasTimeout: true}, http.Header{},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := TakeOverrides(tt.head)
			if diff := cmp.Diff(got.x, tt.want, cmp.AllowUnexported(overrides{}, retryOn{})); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
			if diff := cmp.Diff(tt.head, tt.left); diff != "" {
				t.Errorf("headers left (-got +want):\n%s", diff)
			}
		})
	}
}

func TestTakeOverridesAllocs(t *testing.T) {
	h := http.Header{"Accept": {"*/*"}, "X-Request-Id": {"1"}, "X-Envoy-Original-Path": {"/a"}, "User-Agent": {"go"}}
	if got := testing.AllocsPerRun(100, func() { TakeOverrides(h) }); got > 1 {
		t.Errorf("got %v allocations, want at most 1", got)
	}
	delete(h, "X-Envoy-Original-Path")
	if got := testing.AllocsPerRun(100, func() { TakeOverrides(h) }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func FuzzTakeOverrides(f *testing.F) {
	f.Add("X-Envoy-Max-Retries", "3")
	f.Add("X-Envoy-Retriable-Header-Names", "a,b , c")
	f.Add("X-Envoy-Upstream-Rq-Timeout-Ms", "15000")
	f.Fuzz(func(t *testing.T, name, value string) {
		o := TakeOverrides(http.Header{name: {value}, "X-User": {"a"}})
		if o.x == nil {
			return
		}
		if o.x.timeout < 0 || o.x.perTry < 0 || o.x.maxRetries < -1 {
			t.Errorf("negative: %+v", o.x)
		}
	})
}
