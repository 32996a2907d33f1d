package connpool

import (
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The Nth request is the last of its connection, then there is a new one.
func TestMaxRequests(t *testing.T) {
	both(t, func(t *testing.T, proto Protocol) {
		for _, most := range []int64{1, 2, 5} {
			s := serve(t, hello)
			l := &limits{}
			p := open(t, Settings{Protocol: proto, MaxRequests: most, Limits: l}, s.address)
			for i := range int(most) * 4 {
				method, body := "GET", ""
				if i%2 == 1 {
					method, body = "POST", "body"
				}
				if got, err := send(p, request(t, method, body)); got != "hello" || err != nil {
					t.Fatalf("request %d: got %q, %v", i, got, err)
				}
			}
			if got, want := s.perConn(), slices.Repeat([]int{int(most)}, 4); !slices.Equal(got, want) {
				t.Errorf("of %d each: got %v", most, got)
			}
			eventually(t, "all are closed", func() bool { return s.open.Load() == 0 && l.connections.Load() == 0 })
		}
	})
}

// Under concurrency no connection takes more, and no request is lost.
func TestMaxRequestsAtOnce(t *testing.T) {
	both(t, func(t *testing.T, proto Protocol) {
		s := serve(t, hello)
		l := &limits{maxConnections: 3}
		p := open(t, Settings{Protocol: proto, MaxRequests: 7, MaxStreams: 4, Limits: l}, s.address)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 70 {
					if got, err := send(p, request(t, "POST", "body")); got != "hello" || err != nil {
						t.Errorf("got %q, %v", got, err)
						return
					}
				}
			})
		}
		wg.Wait()
		sum := 0
		for _, n := range s.perConn() {
			if sum += n; n > 7 {
				t.Errorf("%d requests on a connection, want at most 7", n)
			}
		}
		if sum != 560 {
			t.Errorf("%d requests, want 560", sum)
		}
		p.Retire() // a connection may still be in the making, for a request that got another one
		eventually(t, "everything is given back", func() bool { return l.String() == "0 connections, 0 pending, 0 requests" })
		if c := p.Counts(); c != (Counts{}) {
			t.Errorf("got %+v", c)
		}
	})
}

func TestIdleTimeout(t *testing.T) {
	both(t, func(t *testing.T, proto Protocol) {
		synctest.Test(t, func(t *testing.T) {
			pipes, n := listen(t, hello)
			l := &limits{}
			p := open(t, Settings{Protocol: proto, Dial: pipes.dial, IdleTimeout: time.Minute, Limits: l}, "a:80")
			for range 3 {
				if _, err := send(p, request(t, "GET", "")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(40 * time.Second) // the time starts again with each request
				if n.Load() != 1 {
					t.Fatalf("%d connections, want 1", n.Load())
				}
			}
			time.Sleep(20*time.Second - time.Nanosecond)
			synctest.Wait()
			if n.Load() != 1 {
				t.Errorf("just before: %d connections, want 1", n.Load())
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if n.Load() != 0 || l.connections.Load() != 0 {
				t.Errorf("after: %d connections, want none", n.Load())
			}
			if _, err := send(p, request(t, "GET", "")); err != nil {
				t.Errorf("a new one: %v", err)
			}
			p.Retire()
			synctest.Wait()
		})
	})
}

// A request that is longer than the idle timeout keeps its connection.
func TestIdleTimeoutWhileBusy(t *testing.T) {
	both(t, func(t *testing.T, proto Protocol) {
		synctest.Test(t, func(t *testing.T) {
			pipes, n := listen(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(10 * time.Minute)
				_, _ = io.WriteString(w, "late")
			}))
			p := open(t, Settings{Protocol: proto, Dial: pipes.dial, IdleTimeout: time.Minute}, "a:80")
			if got, err := send(p, request(t, "GET", "")); got != "late" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			time.Sleep(59 * time.Second)
			synctest.Wait()
			if n.Load() != 1 {
				t.Errorf("%d connections, want 1", n.Load())
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if n.Load() != 0 {
				t.Errorf("%d connections, want none", n.Load())
			}
			p.Retire()
		})
	})
}

// At the end of its time a connection takes no new requests; the ones on it end as they would.
func TestMaxDuration(t *testing.T) {
	both(t, func(t *testing.T, proto Protocol) {
		synctest.Test(t, func(t *testing.T) {
			pipes, n := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "PUT" {
					time.Sleep(time.Hour)
				}
				_, _ = io.WriteString(w, "hello")
			}))
			p := open(t, Settings{Protocol: proto, Dial: pipes.dial, MaxDuration: time.Minute}, "a:80")
			var wg sync.WaitGroup
			wg.Go(func() {
				if got, err := send(p, request(t, "PUT", "")); got != "hello" || err != nil {
					t.Errorf("the long one: got %q, %v", got, err)
				}
			})
			time.Sleep(time.Minute + time.Second)
			if _, err := send(p, request(t, "GET", "")); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if n.Load() != 2 {
				t.Errorf("%d connections, want the old and a new one", n.Load())
			}
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if n.Load() != 1 {
				t.Errorf("%d connections, want the old one", n.Load())
			}
			wg.Wait()
			synctest.Wait()
			if n.Load() != 0 {
				t.Errorf("%d connections, want none", n.Load())
			}
		})
	})
}

func TestRetire(t *testing.T) {
	both(t, func(t *testing.T, proto Protocol) {
		synctest.Test(t, func(t *testing.T) {
			pipes, n := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "PUT" {
					time.Sleep(time.Hour)
				}
			}))
			l := &limits{}
			p := open(t, Settings{Protocol: proto, Dial: pipes.dial, Limits: l}, "a:80")
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, err := send(p, request(t, "PUT", "")); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
			if _, err := send(p, request(t, "GET", "")); err != nil {
				t.Error(err)
			}
			p.Retire()
			synctest.Wait()
			if n.Load() != 1 {
				t.Errorf("%d connections, want the one in use", n.Load())
			}
			if _, err := send(p, request(t, "GET", "")); err != nil { // it serves on, and keeps nothing
				t.Error(err)
			}
			synctest.Wait()
			if n.Load() != 1 {
				t.Errorf("%d connections, want the one in use", n.Load())
			}
			wg.Wait()
			synctest.Wait()
			if n.Load() != 0 || l.String() != "0 connections, 0 pending, 0 requests" {
				t.Errorf("%d connections and %v, want none", n.Load(), l)
			}
		})
	})
}

// A peer of HTTP/2 that is silent is asked whether it is there, and given up if it does not say.
func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := newPipes()
		go func() {
			for {
				c, err := pipes.Accept()
				if err != nil {
					return
				}
				go func() {
					go func() { _, _ = c.Write([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00")) }() // SETTINGS, and not a word more
					_, _ = io.Copy(io.Discard, c)
				}()
			}
		}()
		defer func() { _ = pipes.Close() }()
		p := open(t, Settings{Protocol: HTTP2, Dial: pipes.dial, PingInterval: time.Minute, PingTimeout: 5 * time.Second}, "a:80")
		began := time.Now()
		_, err := send(p, request(t, "POST", "body"))
		if got := time.Since(began); err == nil || got != 65*time.Second {
			t.Errorf("got %v after %v, want an error after 65s", err, got)
		}
		synctest.Wait()
		if c := p.Counts(); c != (Counts{}) {
			t.Errorf("got %+v", c)
		}
	})
}
