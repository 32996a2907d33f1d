package observe

import (
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Reporter is the side of a request that tells about it.
type Reporter uint8

const (
	// ReporterSource is the client, or a gateway.
	ReporterSource Reporter = iota
	// ReporterDestination is the server.
	ReporterDestination
	// ReporterWaypoint is a proxy between the two.
	ReporterWaypoint
)

// String is the value of the reporter label.
func (r Reporter) String() string {
	switch r {
	case ReporterDestination:
		return "destination"
	case ReporterWaypoint:
		return "waypoint"
	}
	return "source"
}

// Record is all that is told about one logical request. [Observer.StartClient] and [Observer.StartServer] fill
// in what the request says; who follows the request fills in the rest as it learns it. Empty strings and
// zeros are not known, if the field does not say otherwise. A Record belongs to one goroutine at a time.
type Record struct {
	// Reporter is the side that tells.
	Reporter Reporter
	// GRPC is true for gRPC requests.
	GRPC bool
	// MutualTLS is true where both ends showed certificates; only then are their principals told.
	MutualTLS bool
	// GRPCStatus is the gRPC status, negative as long as none came. It counts only where GRPC is true.
	GRPCStatus int
	// Code is the HTTP status, 0 if there was no answer.
	Code int
	// Flags are Envoy's response flags.
	Flags Flags

	// Start is when the request came.
	Start time.Time
	// Duration is how long it took, to the end of the answer's body. Finish measures it if it is 0.
	Duration time.Duration
	// UpstreamTime is how long the upstream took to its answer's headers, negative if it gave none.
	UpstreamTime time.Duration

	// Source and Destination are the two ends.
	Source, Destination Peer
	// DestinationService is the service that the request was meant for.
	DestinationService Service

	// Method, Scheme, Path (escaped), Query (without the question mark), Authority and Protocol ("HTTP/1.1",
	// "HTTP/2") are those of the request before any rule changed it.
	Method, Scheme, Path, Query, Authority, Protocol string
	// RequestID is the x-request-id.
	RequestID string
	// UserAgent and ForwardedFor are headers of the request.
	UserAgent, ForwardedFor string

	// Cluster is Envoy's name of the upstream cluster, "outbound|9080|v1|reviews.default.svc.cluster.local".
	Cluster string
	// RouteName is the name of the route that was taken.
	RouteName string
	// Operation names the span; empty means the method and, on a server, the pattern that matched.
	Operation string
	// UpstreamHost is the address of the endpoint that answered, UpstreamLocal our end of that connection.
	UpstreamHost, UpstreamLocal string
	// DownstreamLocal and DownstreamRemote are the two ends of the connection that the request came by.
	DownstreamLocal, DownstreamRemote string
	// ServerName is the name that TLS asked for (SNI).
	ServerName string
	// Attempts counts the tries, 1 without a retry.
	Attempts int

	// Details is Envoy's response code details; empty means "via_upstream" for an answer without a flag.
	Details string
	// Termination says why the connection from downstream was ended, TransportFailure what was wrong with the
	// one to upstream.
	Termination, TransportFailure string

	// BytesReceived and BytesSent are the bodies of the request and of the answer.
	BytesReceived, BytesSent int64
	// RequestHeaderBytes and ResponseHeaderBytes are added to the bodies for the metrics, which count what
	// went over the wire.
	RequestHeaderBytes, ResponseHeaderBytes int64

	route string     // the pattern that matched on a server
	span  trace.Span // nil if nobody records it
}
