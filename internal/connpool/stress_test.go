package connpool

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

// Whatever callers and connections do, every leave that was taken is given back, and nobody waits for ever.
func TestProperties(t *testing.T) {
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(make([]byte, len(r.URL.Path)*1000))
	}))
	rapid.Check(t, func(t *rapid.T) {
		l := &limits{
			maxConnections: rapid.Int64Range(0, 3).Draw(t, "maxConnections"),
			maxPending:     rapid.Int64Range(0, 6).Draw(t, "maxPending"),
			maxRequests:    rapid.Int64Range(0, 6).Draw(t, "maxRequests"),
		}
		most := rapid.Int64Range(0, 4).Draw(t, "requests per connection")
		seed := rapid.Uint64().Draw(t, "seed")
		var dials atomic.Uint64
		refused := errors.New("refused")
		p := NewWay(Settings{
			Protocol:    rapid.SampledFrom([]Protocol{HTTP1, HTTP2}).Draw(t, "protocol"),
			MaxRequests: most, MaxStreams: rapid.Int64Range(0, 3).Draw(t, "streams"), Limits: l,
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				if rand.New(rand.NewPCG(seed, dials.Add(1))).IntN(5) == 0 {
					return nil, refused
				}
				return new(net.Dialer).DialContext(ctx, network, address)
			},
		}).Pool("tcp", s.address)
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(seed, uint64(g)))
				for range 12 {
					ctx, cancel := context.WithCancel(context.Background())
					req, _ := http.NewRequestWithContext(ctx, "POST", "http://a.com/"+strings.Repeat("x", rnd.IntN(30)), strings.NewReader("body"))
					switch rnd.IntN(8) {
					case 0:
						go cancel()
					case 1:
						p.CloseIdleConnections()
					}
					resp, err := p.RoundTrip(req)
					switch {
					case err == nil && rnd.IntN(3) == 0:
						_ = resp.Body.Close() // unread
					case err == nil:
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					case errors.Is(err, errOver), errors.Is(err, refused), errors.Is(err, context.Canceled):
					default:
						t.Errorf("got %v", err)
					}
					cancel()
				}
			})
		}
		wg.Wait()
		p.Retire()
		eventually(t, "all is given back", func() bool {
			return l.String() == "0 connections, 0 pending, 0 requests" && p.Counts() == (Counts{}) && p.waiting.Load() == 0
		})
	})
}

// Taking a connection and giving it back allocates nothing.
func TestTakeAllocs(t *testing.T) {
	both(t, func(t *testing.T, proto Protocol) {
		p := open(t, Settings{Protocol: proto, IdleTimeout: 1 << 40}, serve(t, hello).address)
		if _, err := send(p, request(t, "GET", "")); err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		if n := testing.AllocsPerRun(1000, func() {
			c, err := p.acquire(ctx)
			if err != nil {
				t.Fatal(err)
			}
			c.unused()
		}); n > 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
