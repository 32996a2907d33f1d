package interop

import (
	"context"
	"errors"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/route"
)

// ask makes a unary call with headers, and returns what was heard.
func ask(ctx context.Context, client *connect.Client[text, text], word string, headers ...string) (string, error) {
	req := connect.NewRequest(wrapperspb.String(word))
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header().Set(headers[i], headers[i+1])
	}
	resp, err := client.CallUnary(ctx, req)
	if err != nil {
		return "", err
	}
	return resp.Msg.GetValue(), nil
}

// TestRouting routes by method path and by header, each to its subset. The port says HTTP: gRPC gets HTTP/2 all the same.
func TestRouting(t *testing.T) {
	m := newMesh(t, world(t, "HTTP", rule(`
  - match: [{uri: {exact: /talk.v1.Talk/Join}}]
    route: [{destination: {host: talk, subset: v2}}]
  - match: [{uri: {prefix: /talk.v1.Talk/}, method: {exact: POST}, headers: {x-ask: {regex: "b.*"}}}]
    route: [{destination: {host: talk, subset: v2}}]
  - match: [{uri: {prefix: /talk.v1.Talk/}}]
    route: [{destination: {host: talk, subset: v1}}]
`)), mesh.Options{})
	for protocol, options := range protocols() {
		t.Run(protocol, func(t *testing.T) {
			for _, tt := range []struct{ name, ask, want string }{
				{"header matches", "back", "v2 heard hi"},
				{"header does not", "no", "v1 heard hi"},
			} {
				got, err := ask(t.Context(), call(m, say, options...), "hi", "X-Ask", tt.ask)
				if err != nil || got != tt.want {
					t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
				}
			}
			s := call(m, join, options...).CallClientStream(t.Context())
			if err := s.Send(wrapperspb.String("one")); err != nil {
				t.Fatal(err)
			}
			if resp, err := s.CloseAndReceive(); err != nil || resp.Msg.GetValue() != "one" {
				t.Errorf("got %v, %v, want one", resp, err)
			}
			_, err := ask(t.Context(), call(m, "/other.v1.Other/Say", options...), "hi")
			if !errors.Is(err, route.ErrNoRoute) {
				t.Errorf("a service of no route: got %v, want %v", err, route.ErrNoRoute)
			}
		})
	}
}

// TestFaults shows aborts as the codes of each protocol: gRPC is told its own, the others the HTTP status.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name, abort string
		want        map[string]connect.Code
	}{
		{"grpcStatus", "{grpcStatus: NOT_FOUND, percentage: {value: 100}}",
			map[string]connect.Code{"gRPC": connect.CodeNotFound, "gRPC-Web": connect.CodeUnimplemented, "Connect": connect.CodeUnimplemented}},
		{"httpStatus 503", "{httpStatus: 503, percentage: {value: 100}}",
			map[string]connect.Code{"gRPC": connect.CodeUnavailable, "gRPC-Web": connect.CodeUnavailable, "Connect": connect.CodeUnavailable}},
		{"httpStatus 401", "{httpStatus: 401, percentage: {value: 100}}",
			map[string]connect.Code{"gRPC": connect.CodeUnauthenticated, "gRPC-Web": connect.CodeUnauthenticated, "Connect": connect.CodeUnauthenticated}},
		{"httpStatus 403", "{httpStatus: 403, percentage: {value: 100}}",
			map[string]connect.Code{"gRPC": connect.CodePermissionDenied, "gRPC-Web": connect.CodePermissionDenied, "Connect": connect.CodePermissionDenied}},
	} {
		m := newMesh(t, world(t, "GRPC", rule("  - fault: {abort: "+tt.abort+"}\n    route: [{destination: {host: talk, subset: v1}}]\n")), mesh.Options{})
		for protocol, options := range protocols() {
			t.Run(tt.name+"/"+protocol, func(t *testing.T) {
				_, err := ask(t.Context(), call(m, say, options...), "hi")
				if got := connect.CodeOf(err); got != tt.want[protocol] {
					t.Errorf("unary: got %v, want %v", err, tt.want[protocol])
				}
				s := call(m, echo, options...).CallBidiStream(t.Context())
				_ = s.Send(nil) // begins the call
				_, err = s.Receive()
				if got := connect.CodeOf(err); got != tt.want[protocol] {
					t.Errorf("bidi: got %v, want %v", err, tt.want[protocol])
				}
				_, _ = s.CloseRequest(), s.CloseResponse()
			})
		}
	}
}

const hurried = "  - timeout: 50ms\n    retries: {attempts: 0}\n    route: [{destination: {host: talk, subset: v1}}]\n"

// TestTimeout: the route's own limit is Envoy's 504, which is UNAVAILABLE, not DEADLINE_EXCEEDED; the caller's deadline
// stays what it is.
func TestTimeout(t *testing.T) {
	for name, local := range map[string]bool{"errors": false, "local replies": true} {
		m := newMesh(t, world(t, "GRPC", rule(hurried)), mesh.Options{LocalReplies: local})
		for protocol, options := range protocols() {
			t.Run(name+"/"+protocol, func(t *testing.T) {
				_, err := ask(t.Context(), call(m, say, options...), "hang")
				if got := connect.CodeOf(err); got != connect.CodeUnavailable {
					t.Errorf("got %v, want %v", err, connect.CodeUnavailable)
				}
				if !local && !errors.Is(err, route.ErrTimeout) {
					t.Errorf("got %v, want it to be %v", err, route.ErrTimeout)
				}
			})
		}
	}
}

// TestDeadline: a caller's deadline ends the call with the caller's code.
func TestDeadline(t *testing.T) {
	m := newMesh(t, world(t, "GRPC", rule(toV1)), mesh.Options{})
	for protocol, options := range protocols() {
		t.Run(protocol, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := ask(ctx, call(m, say, options...), "hang"); connect.CodeOf(err) != connect.CodeDeadlineExceeded {
				t.Errorf("got %v, want %v", err, connect.CodeDeadlineExceeded)
			}
		})
	}
}
