package interop

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/go-inmesh/inmesh/mesh"
)

const toV1 = "  - route: [{destination: {host: talk, subset: v1}}]\n"

// edge binds the service to a gateway.
const edge = `
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: [talk.example]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge}
spec:
  hosts: [talk.example]
  gateways: [edge]
  http:
  - route: [{destination: {host: talk, subset: v1}}]
`

// way is how a client reaches the service.
type way struct {
	name string
	url  string
	http *http.Client
}

// waysTo are the three: over the mesh's own connections, over a base transport, and through a gateway.
func waysTo(t *testing.T) []way {
	t.Helper()
	m := newMesh(t, world(t, "GRPC", rule(toV1)+edge), mesh.Options{})
	port := listen(t, m.Gateway("edge"))
	outside := plainHTTP2(t)
	outside.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}
	return []way{
		{"own connections", "http://talk", &http.Client{Transport: m.Transport(nil)}},
		{"base transport", "http://talk", &http.Client{Transport: m.Transport(plainHTTP2(t))}},
		{"gateway", "http://talk.example", &http.Client{Transport: outside}},
	}
}

// plainHTTP2 speaks HTTP/2 without TLS.
func plainHTTP2(t *testing.T) *http.Transport {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// TestCalls makes each kind of call over each protocol on each way.
func TestCalls(t *testing.T) {
	for _, w := range waysTo(t) {
		for protocol, options := range protocols() {
			t.Run(w.name+"/"+protocol, func(t *testing.T) {
				client := func(procedure string) *connect.Client[text, text] {
					return connect.NewClient[text, text](w.http, w.url+procedure, options...)
				}
				t.Run("unary", func(t *testing.T) { unary(t, client(say)) })
				t.Run("error", func(t *testing.T) { refused(t, client(say)) })
				t.Run("client stream", func(t *testing.T) { clientStream(t, client(join)) })
				t.Run("server stream", func(t *testing.T) { serverStream(t, client(count)) })
				t.Run("bidi", func(t *testing.T) { bidi(t, client(echo)) })
			})
		}
	}
}

func unary(t *testing.T, client *connect.Client[text, text]) {
	req := connect.NewRequest(wrapperspb.String("hello"))
	req.Header().Set("X-Ask", "back")
	resp, err := client.CallUnary(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := resp.Msg.GetValue(), "v1 heard hello"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if head, tail := resp.Header().Get("X-Head"), resp.Trailer().Get("X-Tail"); head != "v1" || tail != "back" {
		t.Errorf("got header %q and trailer %q, want v1 and back", head, tail)
	}
}

func refused(t *testing.T, client *connect.Client[text, text]) {
	_, err := client.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("refuse")))
	var refusal *connect.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("got %v, want the service's error", err)
	}
	if refusal.Code() != connect.CodeFailedPrecondition || refusal.Message() != errNoMore.Error() || len(refusal.Details()) != 1 {
		t.Errorf("got %v with %d details, want the service's code, message and detail", refusal, len(refusal.Details()))
	}
}

func clientStream(t *testing.T, client *connect.Client[text, text]) {
	s := client.CallClientStream(t.Context())
	for _, word := range []string{"so", "far", "so", "good"} {
		if err := s.Send(wrapperspb.String(word)); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := s.CloseAndReceive()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := resp.Msg.GetValue(), "so far so good"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func serverStream(t *testing.T, client *connect.Client[text, text]) {
	s, err := client.CallServerStream(t.Context(), connect.NewRequest(wrapperspb.String("n")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	got := ""
	for s.Receive() {
		got += s.Msg().GetValue()
	}
	if got != "n0n1n2" {
		t.Errorf("got %q, want n0n1n2", got)
	}
	if code := connect.CodeOf(s.Err()); code != connect.CodeOutOfRange {
		t.Errorf("got %v, want the status at the stream's end", s.Err())
	}
	if tail := s.ResponseTrailer().Get("X-Tail"); tail != "counted" {
		t.Errorf("got trailer %q, want counted", tail)
	}
}

// bidi takes turns: each answer has to arrive before the next word is sent.
func bidi(t *testing.T, client *connect.Client[text, text]) {
	s := client.CallBidiStream(t.Context())
	for _, word := range []string{"a", "b", "c"} {
		if err := s.Send(wrapperspb.String(word)); err != nil {
			t.Fatal(err)
		}
		msg, err := s.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := msg.GetValue(), "v1 "+word; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if err := s.CloseRequest(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
	if tail := s.ResponseTrailer().Get("X-Tail"); tail != "echoed" {
		t.Errorf("got trailer %q, want echoed", tail)
	}
	if err := s.CloseResponse(); err != nil {
		t.Error(err)
	}
}
