package connpool

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"
	"testing/synctest"
	"time"
)

// secure makes a server of TLS; protos is what it offers.
func secure(protos ...string) func(*httptest.Server) {
	return func(s *httptest.Server) {
		s.TLS = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protos}
		if len(protos) == 1 {
			s.Config.Protocols.SetHTTP2(protos[0] == "h2")
			s.Config.Protocols.SetHTTP1(protos[0] == "http/1.1")
		}
	}
}

func trust(s *server) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
}

// What is spoken over TLS is what both sides offer; the name that is verified is the address's.
func TestNegotiation(t *testing.T) {
	proto := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })
	tests := []struct {
		name   string
		ours   Protocol
		offers []string
		theirs []string
		want   string
	}{
		{"both", Negotiated, nil, []string{"h2", "http/1.1"}, "HTTP/2.0"},
		{"HTTP2 is negotiated", HTTP2, nil, []string{"http/1.1"}, "HTTP/1.1"},
		{"HTTP/1 alone", HTTP1, nil, []string{"h2", "http/1.1"}, "HTTP/1.1"},
		{"names of our own", HTTP1, []string{"istio", "h2", "http/1.1"}, []string{"h2", "http/1.1"}, "HTTP/1.1"},
		{"names of our own, HTTP/2", Negotiated, []string{"istio", "h2", "http/1.1"}, []string{"h2", "http/1.1"}, "HTTP/2.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, proto, secure(tt.theirs...))
			conf := trust(s)
			conf.NextProtos = tt.offers
			p := open(t, Settings{Protocol: tt.ours, TLS: conf}, s.address)
			for range 3 {
				resp, err := p.RoundTrip(request(t, "GET", ""))
				if err != nil {
					t.Fatal(err)
				}
				got, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if string(got) != tt.want || resp.TLS == nil || len(resp.TLS.PeerCertificates) == 0 {
					t.Errorf("got %s and %v, want %s", got, resp.TLS, tt.want)
				}
			}
			if n := len(s.perConn()); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
		})
	}
}

// A handshake that fails is a connection that did not come about.
func TestHandshakeFails(t *testing.T) {
	s := serve(t, hello, secure("h2", "http/1.1"))
	wrong := trust(s)
	wrong.ServerName = "b.com"
	garbage := raw(t, func(_ int, c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })
	reset := raw(t, func(_ int, c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) })
	tests := []struct {
		name, address string
		conf          *tls.Config
		is            func(error) bool
	}{
		{"unknown authority", s.address, &tls.Config{MinVersion: tls.VersionTLS12}, func(err error) bool {
			_, ok := errors.AsType[x509.UnknownAuthorityError](err)
			return ok
		}},
		{"wrong name", s.address, wrong, func(err error) bool {
			_, ok := errors.AsType[x509.HostnameError](err)
			return ok
		}},
		{"no TLS there", garbage, trust(s), func(err error) bool {
			_, ok := errors.AsType[tls.RecordHeaderError](err)
			return ok
		}},
		{"reset", reset, trust(s), func(error) bool { return true }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := &limits{}
			p := open(t, Settings{Protocol: Negotiated, TLS: tt.conf, Limits: l}, tt.address)
			_, err := send(p, request(t, "GET", ""))
			if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" || !tt.is(err) {
				t.Errorf("got %v, want a failure to dial", err)
			}
			if got := l.String(); got != "0 connections, 0 pending, 0 requests" {
				t.Errorf("got %s", got)
			}
		})
	}
}

// The connect timeout covers the handshake, and is a timeout.
func TestConnectTimeout(t *testing.T) {
	hung := func(context.Context, string, string) (net.Conn, error) {
		c, _ := net.Pipe() // nobody answers
		return c, nil
	}
	slow := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, s := range map[string]Settings{
		"dial":      {Dial: slow},
		"handshake": {Dial: hung, TLS: &tls.Config{MinVersion: tls.VersionTLS12}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &limits{}
				s.ConnectTimeout, s.Limits = 3*time.Second, l
				p := open(t, s, "a:80")
				began := time.Now()
				_, err := send(p, request(t, "GET", ""))
				var op *net.OpError
				if !errors.As(err, &op) || op.Op != "dial" || !op.Timeout() || time.Since(began) != 3*time.Second {
					t.Errorf("got %v after %v, want a timeout of dial after 3s", err, time.Since(began))
				}
				if got := l.String(); got != "0 connections, 0 pending, 0 requests" {
					t.Errorf("got %s", got)
				}
			})
		})
	}
}

// The end of a life ends the making of connections, and those who wait for it.
func TestLifeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life, end := context.WithCancelCause(context.Background())
		over := errors.New("over")
		s := Settings{Life: life, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}}
		s.Start = func(f func()) bool {
			if life.Err() != nil {
				return false
			}
			go f()
			return true
		}
		p := open(t, s, "a:80")
		go func() {
			time.Sleep(time.Second)
			end(over)
		}()
		for range 2 {
			if _, err := send(p, request(t, "GET", "")); !errors.Is(err, over) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// Who traces a request hears of its connection, and of the making of one that it asked for.
func TestTrace(t *testing.T) {
	s := serve(t, hello, secure("h2", "http/1.1"))
	p := open(t, Settings{Protocol: Negotiated, TLS: trust(s), ConnectTimeout: time.Minute}, s.address)
	var got []httptrace.GotConnInfo
	asked, shaken, connected := 0, make(chan bool, 1), make(chan bool, 1)
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GetConn:          func(string) { asked++ },
		GotConn:          func(i httptrace.GotConnInfo) { got = append(got, i) },
		ConnectDone:      func(string, string, error) { connected <- true },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) { shaken <- err == nil },
	})
	for range 2 {
		if _, err := send(p, request(t, "GET", "").WithContext(ctx)); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 2 || len(got) != 2 || got[0].Reused || !got[1].Reused || !got[1].WasIdle || got[0].Conn == nil || !<-shaken || !<-connected {
		t.Errorf("asked %d times, got %+v", asked, got)
	}
}
