package connpool

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"time"
)

// Way is how the endpoints of a cluster are connected to. It is safe for concurrent use.
type Way struct {
	settings     Settings
	http1, http2 *http.Transport // what speaks over a connection; they never connect themselves
	began        time.Time
}

// NewWay takes the settings, which must not be changed afterwards.
func NewWay(s Settings) *Way {
	if s.Dial == nil {
		s.Dial = new(net.Dialer).DialContext
	}
	if s.Limits == nil {
		s.Limits = unlimited{}
	}
	if s.Life == nil {
		s.Life = context.Background()
	}
	if s.Start == nil {
		s.Start = func(f func()) bool {
			go f()
			return true
		}
	}
	w := &Way{began: time.Now()}
	if s.TLS != nil {
		conf := s.TLS.Clone()
		if s.Protocol == HTTP2 {
			s.Protocol = Negotiated
		}
		conf.NextProtos = offers(conf.NextProtos, s.Protocol)
		s.TLS = conf
	} else if s.Protocol == Negotiated {
		s.Protocol = HTTP1
	}
	if s.Protocol != HTTP2 {
		w.http1 = transport(s, func(p *http.Protocols) { p.SetHTTP1(true) })
	}
	if s.Protocol != HTTP1 {
		w.http2 = transport(s, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }) // TLS is beneath
	}
	w.settings = s
	return w
}

// offers is what the TLS handshake offers to speak: what the configuration says, or the usual, as far as we speak it.
func offers(protos []string, p Protocol) []string {
	if len(protos) == 0 {
		protos = []string{"h2", "http/1.1"}
	}
	if p == HTTP1 {
		protos = slices.DeleteFunc(slices.Clone(protos), func(s string) bool { return s == "h2" })
	}
	return protos
}

// Pool makes the pool of an endpoint. Nothing is connected before the first request.
func (w *Way) Pool(network, address string) *Pool {
	p := &Pool{way: w, network: network, address: address}
	p.shared.Store(new([]*conn))
	p.alone.Store(w.settings.Protocol == HTTP1)
	return p
}

// now is the time since the way began: it grows whatever happens to the clock.
func (w *Way) now() time.Duration { return time.Since(w.began) }

func transport(s Settings, speak func(*http.Protocols)) *http.Transport {
	t := &http.Transport{
		DialContext:        handOver,
		DisableCompression: true, // bodies pass as they are
		// As http.DefaultTransport: a server that has not answered "Expect: 100-continue" by then gets the body.
		ExpectContinueTimeout: time.Second,
		Protocols:             new(http.Protocols),
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: s.PingInterval, PingTimeout: s.PingTimeout},
	}
	speak(t.Protocols)
	return t
}

// handedOver is the key of the connection that a context brings to handOver.
type handedOver struct{}

// handOver stands in for dialling: the connection is there already.
func handOver(ctx context.Context, _, _ string) (net.Conn, error) {
	if c, ok := ctx.Value(handedOver{}).(*conn); ok {
		return c, nil
	}
	return nil, errors.New("connpool: no connection was handed over")
}

// secured is the TLS of a connection to the address.
func (w *Way) secured(address string) *tls.Config {
	conf := w.settings.TLS
	if conf.ServerName == "" && !conf.InsecureSkipVerify {
		if host, _, err := net.SplitHostPort(address); err == nil {
			conf = conf.Clone()
			conf.ServerName = host
		}
	}
	return conf
}
