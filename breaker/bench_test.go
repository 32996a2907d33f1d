package breaker

import (
	"net/http"
	"testing"

	networking "istio.io/api/networking/v1"
)

func TestAllocs(t *testing.T) {
	for name, p := range map[string]*Pool{"no limits": newPool(t, 0, 0, 0, 0), "limits": newPool(t, 10, 10, 10, 10)} {
		var l Lane
		ctx := t.Context()
		if got := testing.AllocsPerRun(100, func() {
			permit, err := p.Acquire(ctx, &l, HTTP1)
			if err != nil {
				t.Error(err)
			}
			permit.Release()
			p.AcquireRetry()
			p.ReleaseRetry()
		}); got != 0 {
			t.Errorf("pool, %s: got %v allocs, want 0", name, got)
		}
	}
	p, ctx := newPool(t, 1, 0, 1, 0), t.Context()
	acquire(t, p, nil, HTTP2)
	if got := testing.AllocsPerRun(100, func() {
		if _, err := p.Acquire(ctx, nil, HTTP1); err == nil {
			t.Error("want a refusal")
		}
	}); got != 0 {
		t.Errorf("refusal: got %v allocs, want 0", got)
	}
	o, err := NewOutlier(&networking.OutlierDetection{SplitExternalLocalOriginErrors: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o.Update([]string{"a"})
	h, resp := o.Host("a"), &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/plain"}}}
	if got := testing.AllocsPerRun(100, func() {
		if !h.Ejected() {
			h.Report(ResultOf(resp, nil))
			h.Report(500)
			h.Report(200)
		}
	}); got != 0 {
		t.Errorf("outlier: got %v allocs, want 0", got)
	}
}

func BenchmarkPool(b *testing.B) {
	for name, p := range map[string]*Pool{"no limits": newPool(b, 0, 0, 0, 0), "limits": newPool(b, 100, 100, 100, 100)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var l Lane
			ctx := b.Context()
			for b.Loop() {
				permit, err := p.Acquire(ctx, &l, HTTP1)
				if err != nil {
					b.Fatal(err)
				}
				permit.Release()
			}
		})
	}
}

func BenchmarkReport(b *testing.B) {
	o, err := NewOutlier(&networking.OutlierDetection{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	o.Update([]string{"a"})
	h := o.Host("a")
	b.ReportAllocs()
	for b.Loop() {
		if !h.Ejected() {
			h.Report(200)
		}
	}
}

type fixed struct{ resp http.Response }

func (f *fixed) RoundTrip(*http.Request) (*http.Response, error) {
	f.resp.Body = http.NoBody
	return &f.resp, nil
}

func BenchmarkTransport(b *testing.B) {
	br, err := New(&networking.TrafficPolicy{
		ConnectionPool: poolSettings(100, 100, 100, 100), OutlierDetection: &networking.OutlierDetection{},
	})
	if err != nil {
		b.Fatal(err)
	}
	rt := br.Transport(&fixed{http.Response{StatusCode: 200}})
	req, err := http.NewRequest(http.MethodGet, "http://a:8080/", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rt.RoundTrip(req); err != nil {
			b.Fatal(err)
		}
	}
}
