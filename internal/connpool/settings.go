package connpool

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// Protocol is what is spoken over a connection.
type Protocol uint8

// The protocols.
const (
	// HTTP1 is HTTP/1.1, with TLS or without.
	HTTP1 Protocol = iota
	// HTTP2 is HTTP/2 without TLS, by prior knowledge. With TLS it is Negotiated.
	HTTP2
	// Negotiated is HTTP/2 where the server offers it in the TLS handshake, else HTTP/1.1. Without TLS it is HTTP1.
	Negotiated
)

// Settings are what the connections of a cluster have in common. The zero value works: HTTP/1.1 without TLS and
// without any limit.
type Settings struct {
	// Dial connects; nil is a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is the client's side of TLS; nil is plaintext. Where it has no ServerName, that is the address's host.
	TLS *tls.Config
	// Protocol is what is spoken.
	Protocol Protocol
	// ConnectTimeout bounds the making of a connection, TLS handshake included. 0 is no limit.
	ConnectTimeout time.Duration
	// IdleTimeout is how long a connection may be without a request. 0 is no limit.
	IdleTimeout time.Duration
	// MaxDuration is how long a connection takes new requests. 0 is no limit.
	MaxDuration time.Duration
	// MaxRequests is how many requests a connection takes: the last of them ends it. 0 is no limit.
	MaxRequests int64
	// MaxStreams is how many requests at once a connection of HTTP/2 takes, where the server allows more. 0 is no
	// limit of ours.
	MaxStreams int64
	// PingInterval is how long a connection of HTTP/2 may be silent before it is pinged, and PingTimeout how long the
	// answer may take: later the connection is closed. 0 is never.
	PingInterval, PingTimeout time.Duration
	// Limits are asked for leave; nil is no limit.
	Limits Limits
	// Life ends the making of connections when it is done; nil is never.
	Life context.Context
	// Start runs f on a goroutine of its own, or tells that it is too late for that; nil is a go statement. f ends
	// soon after Life.
	Start func(f func()) bool
}

// Limits are what the connections of several pools share: a cluster's circuit breakers. Each leave that is given is
// given back once. Its methods are called concurrently and must be quick.
type Limits interface {
	// Connect asks for leave to open a connection, which Disconnect gives back when it is closed. first says that the
	// pool has none, so that a request would wait for ever.
	Connect(first bool) bool
	Disconnect()
	// Queue asks for leave to wait for a connection, which Unqueue gives back.
	Queue() error
	Unqueue()
	// Start asks for leave to send a request on a connection, which End gives back when the answer is read.
	Start() error
	End()
}

// unlimited is the leave that is always given.
type unlimited struct{}

func (unlimited) Connect(bool) bool { return true }
func (unlimited) Disconnect()       {}
func (unlimited) Queue() error      { return nil }
func (unlimited) Unqueue()          {}
func (unlimited) Start() error      { return nil }
func (unlimited) End()              {}
