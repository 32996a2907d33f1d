package connpool

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
)

// BenchmarkRoundTrip is a request over loopback through a pool, and through an http.Transport for comparison. The
// server is in the figures.
func BenchmarkRoundTrip(b *testing.B) {
	address := serve(b, hello).address
	for _, proto := range []Protocol{HTTP1, HTTP2} {
		bare := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 1000, Protocols: new(http.Protocols)}
		bare.Protocols.SetHTTP1(proto == HTTP1)
		bare.Protocols.SetUnencryptedHTTP2(proto == HTTP2)
		pool := NewWay(Settings{Protocol: proto, IdleTimeout: 1 << 40}).Pool("tcp", address)
		for name, rt := range map[string]http.RoundTripper{"pool": pool, "transport": bare} {
			req := &http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: address, Path: "/"}, Header: http.Header{}}
			once := func() {
				resp, err := rt.RoundTrip(req.WithContext(b.Context()))
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			b.Run(fmt.Sprintf("HTTP%d/%s/1", proto+1, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					once()
				}
			})
			b.Run(fmt.Sprintf("HTTP%d/%s/16", proto+1, name), func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism(8)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						once()
					}
				})
			})
		}
		bare.CloseIdleConnections()
		pool.Retire()
	}
}

// BenchmarkAcquire is taking a connection that is free and giving it back, without a request.
func BenchmarkAcquire(b *testing.B) {
	address := serve(b, hello).address
	for _, proto := range []Protocol{HTTP1, HTTP2} {
		b.Run(fmt.Sprintf("HTTP%d", proto+1), func(b *testing.B) {
			p := NewWay(Settings{Protocol: proto, IdleTimeout: 1 << 40}).Pool("tcp", address)
			defer p.Retire()
			if _, err := send(p, &http.Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: "a", Path: "/"}, Header: http.Header{}}); err != nil {
				b.Fatal(err)
			}
			ctx := b.Context()
			for b.Loop() {
				c, err := p.acquire(ctx)
				if err != nil {
					b.Fatal(err)
				}
				c.unused()
			}
		})
	}
}
