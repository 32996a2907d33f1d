package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/go-inmesh/inmesh/mesh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// text is the message of every procedure.
type text = wrapperspb.StringValue

// The procedures of the service, one of each kind, as gRPC paths.
const (
	say   = "/talk.v1.Talk/Say"
	join  = "/talk.v1.Talk/Join"
	count = "/talk.v1.Talk/Count"
	echo  = "/talk.v1.Talk/Echo"
)

var errNoMore = errors.New("no more words")

// talk is the service; name tells its instances apart.
func talk(name string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(say, connect.NewUnaryHandler(say, func(ctx context.Context, req *connect.Request[text]) (*connect.Response[text], error) {
		switch req.Msg.GetValue() {
		case "refuse":
			err := connect.NewError(connect.CodeFailedPrecondition, errNoMore)
			if d, derr := connect.NewErrorDetail(wrapperspb.String("detail")); derr == nil {
				err.AddDetail(d)
			}
			return nil, err
		case "hang": // until the caller has gone, whatever deadline it has told
			gone := ctx.Value(arrival{}).(context.Context)
			<-gone.Done()
			return nil, gone.Err()
		}
		resp := connect.NewResponse(wrapperspb.String(name + " heard " + req.Msg.GetValue()))
		resp.Header().Set("X-Head", name)
		resp.Trailer().Set("X-Tail", req.Header().Get("X-Ask"))
		return resp, nil
	}))
	mux.Handle(join, connect.NewClientStreamHandler(join, func(_ context.Context, s *connect.ClientStream[text]) (*connect.Response[text], error) {
		var words []string
		for s.Receive() {
			words = append(words, s.Msg().GetValue())
		}
		if err := s.Err(); err != nil {
			return nil, err
		}
		return connect.NewResponse(wrapperspb.String(strings.Join(words, " "))), nil
	}))
	mux.Handle(count, connect.NewServerStreamHandler(count, func(_ context.Context, req *connect.Request[text], s *connect.ServerStream[text]) error {
		for i := range 3 {
			if err := s.Send(wrapperspb.String(fmt.Sprint(req.Msg.GetValue(), i))); err != nil {
				return err
			}
		}
		s.ResponseTrailer().Set("X-Tail", "counted")
		return connect.NewError(connect.CodeOutOfRange, errNoMore)
	}))
	mux.Handle(echo, connect.NewBidiStreamHandler(echo, func(_ context.Context, s *connect.BidiStream[text, text]) error {
		for {
			msg, err := s.Receive()
			if errors.Is(err, io.EOF) {
				s.ResponseTrailer().Set("X-Tail", "echoed")
				return nil
			}
			if err != nil {
				return err
			}
			if err := s.Send(wrapperspb.String(name + " " + msg.GetValue())); err != nil {
				return err
			}
		}
	}))
	return mux
}

// arrival is the key of the request's context as it came in, before the mesh and connect-go put the caller's deadline
// on it.
type arrival struct{}

func arriving(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), arrival{}, r.Context())))
	})
}

// protocols are those that connect-go speaks.
func protocols() map[string][]connect.ClientOption {
	return map[string][]connect.ClientOption{
		"Connect":  nil,
		"gRPC":     {connect.WithGRPC()},
		"gRPC-Web": {connect.WithGRPCWeb()},
	}
}

// newMesh makes a mesh of the rules that is closed with the test.
func newMesh(t *testing.T, rules string, o mesh.Options) *mesh.Mesh {
	t.Helper()
	loaded, err := mesh.Parse("rules.yaml", []byte(rules))
	if err != nil {
		t.Fatal(err)
	}
	o.Logger = slog.New(slog.DiscardHandler)
	m, err := mesh.New(loaded, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// listen serves on loopback, with HTTP/1 and HTTP/2 without TLS, until the test ends, and returns the port.
func listen(t *testing.T, h http.Handler) (port string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	_, port, _ = net.SplitHostPort(ln.Addr().String())
	return port
}

// startTalk runs an instance of the service behind a mesh of its own, and returns its port.
func startTalk(t *testing.T, name string) (port string) {
	t.Helper()
	server := newMesh(t, peerless, mesh.Options{Workload: mesh.Workload{Name: name}})
	return listen(t, arriving(server.Handler(talk(name))))
}

// peerless are rules that say nothing of the service: a server needs none.
const peerless = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: elsewhere}
spec:
  hosts: [elsewhere.example]
  resolution: DNS
  ports: [{number: 80, name: http, protocol: HTTP}]
`

// instances declares the service "talk" with versions v1 and v2 on loopback. {PROTOCOL} is what its port speaks.
const instances = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: talk}
spec:
  hosts: [talk.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: rpc, protocol: {PROTOCOL}}]
  endpoints:
  - {address: 127.0.0.1, ports: {rpc: {V1}}, labels: {version: v1}}
  - {address: 127.0.0.1, ports: {rpc: {V2}}, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: talk}
spec:
  host: talk
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
`

// world runs both versions and returns the rules that declare them, followed by more.
func world(t *testing.T, protocol, more string) string {
	t.Helper()
	return strings.NewReplacer("{PROTOCOL}", protocol, "{V1}", startTalk(t, "v1"), "{V2}", startTalk(t, "v2")).Replace(instances) + more
}

// rule is a VirtualService of the service with these routes.
func rule(routes string) string {
	return "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: talk}\nspec:\n  hosts: [talk]\n  http:\n" + routes
}

// call is a client of one procedure over the mesh.
func call(m *mesh.Mesh, procedure string, options ...connect.ClientOption) *connect.Client[text, text] {
	return connect.NewClient[text, text](&http.Client{Transport: m.Transport(nil)}, "http://talk"+procedure, options...)
}
