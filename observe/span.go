package observe

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// spanTags are what every span of a workload says.
func spanTags(p peer, mesh string) []attribute.KeyValue {
	tags := []attribute.KeyValue{
		attribute.String("component", "proxy"),
		attribute.String("istio.canonical_service", p.canonicalService),
		attribute.String("istio.canonical_revision", p.canonicalRevision),
		attribute.String("istio.namespace", p.namespace),
		attribute.String("istio.cluster_id", p.cluster),
	}
	if mesh != "" {
		tags = append(tags, attribute.String("istio.mesh_id", mesh))
	}
	return tags
}

// endSpan gives the span its attributes, OpenTelemetry's stable ones for HTTP and Istio's beside them, and
// ends it.
//
// See https://opentelemetry.io/docs/specs/semconv/http/http-spans/.
func (o *Observer) endSpan(r *Record, took time.Duration) {
	span, server := r.span, r.Reporter != ReporterSource
	r.span = nil
	if r.Operation != "" {
		span.SetName(r.Operation)
	}
	span.SetAttributes(o.tags...)
	span.SetAttributes(r.httpAttributes(server)...)
	span.SetAttributes(r.istioTags()...)
	if failed, kind := r.failure(server); failed {
		span.SetAttributes(semconv.ErrorTypeKey.String(kind), attribute.Bool("error", true))
		span.SetStatus(codes.Error, r.Details)
	}
	span.End(trace.WithTimestamp(r.Start.Add(took)))
}

// httpAttributes are those of OpenTelemetry's conventions.
func (r *Record) httpAttributes(server bool) []attribute.KeyValue {
	host, port := splitHost(r.Authority)
	scheme := first(r.Scheme, "http")
	list := make([]attribute.KeyValue, 0, 20)
	if knownMethod(r.Method) {
		list = append(list, semconv.HTTPRequestMethodKey.String(r.Method))
	} else {
		list = append(list, semconv.HTTPRequestMethodOther, semconv.HTTPRequestMethodOriginal(r.Method))
	}
	list = append(list, semconv.ServerAddress(host), semconv.URLScheme(scheme),
		semconv.NetworkProtocolVersion(strings.TrimPrefix(r.Protocol, "HTTP/")))
	switch {
	case port != 0:
		list = append(list, semconv.ServerPort(port))
	case scheme == "https":
		list = append(list, semconv.ServerPort(443))
	default:
		list = append(list, semconv.ServerPort(80))
	}
	if r.Code != 0 {
		list = append(list, semconv.HTTPResponseStatusCode(r.Code))
	}
	if r.UserAgent != "" {
		list = append(list, semconv.UserAgentOriginal(printable(r.UserAgent)))
	}
	address := r.UpstreamHost
	if server {
		address = r.DownstreamRemote
		list = append(list, semconv.URLPath(first(r.Path, "/")))
		if r.Query != "" {
			list = append(list, semconv.URLQuery(redactQuery(r.Query)))
		}
		if r.route != "" {
			list = append(list, semconv.HTTPRoute(r.route))
		}
		client, _, _ := strings.Cut(r.ForwardedFor, ",")
		if client = strings.TrimSpace(client); client == "" {
			client, _ = splitHost(address)
		}
		if client != "" {
			list = append(list, semconv.ClientAddress(printable(client)))
		}
	} else {
		list = append(list, semconv.URLFull(r.url()))
		if r.Attempts > 1 {
			list = append(list, semconv.HTTPRequestResendCount(r.Attempts-1))
		}
	}
	if ip, port := splitHost(address); ip != "" {
		list = append(list, semconv.NetworkPeerAddress(ip))
		if port != 0 {
			list = append(list, semconv.NetworkPeerPort(port))
		}
	}
	return list
}

// istioTags are those that Envoy and Istio give their spans, by which Kiali finds its way.
func (r *Record) istioTags() []attribute.KeyValue {
	list := []attribute.KeyValue{
		attribute.String("guid:x-request-id", printable(r.RequestID)),
		attribute.String("http.url", r.url()),
		attribute.String("http.method", r.Method),
		attribute.String("http.protocol", r.Protocol),
		attribute.String("http.status_code", strconv.Itoa(r.Code)),
		attribute.String("user_agent", first(printable(r.UserAgent), "-")),
		attribute.String("request_size", strconv.FormatInt(r.BytesReceived, 10)),
		attribute.String("response_size", strconv.FormatInt(r.BytesSent, 10)),
		attribute.String("response_flags", r.Flags.String()),
		attribute.String("downstream_cluster", "-"),
	}
	if r.Cluster != "" {
		list = append(list, attribute.String("upstream_cluster", r.Cluster),
			attribute.String("upstream_cluster.name", r.Cluster))
	}
	if address := first(r.DownstreamRemote, r.UpstreamHost); address != "" {
		ip, _ := splitHost(address)
		list = append(list, attribute.String("peer.address", ip))
	}
	if r.GRPC && r.GRPCStatus >= 0 {
		list = append(list, attribute.String("grpc.status_code", strconv.Itoa(r.GRPCStatus)))
	}
	return list
}

// failure tells whether the span is one of an error, and of which type: for a client from 400, for a server
// from 500 on.
func (r *Record) failure(server bool) (bool, string) {
	switch {
	case r.Flags&^(FlagDI|FlagFI|FlagURX) != 0:
		return true, r.Flags.String()
	case r.Code == 0:
		return true, "_OTHER"
	case r.Code >= 500, r.Code >= 400 && !server:
		return true, strconv.Itoa(r.Code)
	case r.GRPC && r.GRPCStatus > 0:
		return true, strconv.Itoa(r.GRPCStatus)
	}
	return false, ""
}

// url is the whole URL; it has no user name and password in it, and the values of known signatures are left out.
func (r *Record) url() string {
	s := first(r.Scheme, "http") + "://" + r.Authority + r.Path
	if r.Query != "" {
		s += "?" + redactQuery(r.Query)
	}
	return printable(s)
}

// redactQuery hides the values of parameters that are credentials, as the conventions ask for.
func redactQuery(query string) string {
	secret := false
	for _, name := range secretParameters {
		secret = secret || strings.Contains(query, name+"=")
	}
	if !secret {
		return printable(query)
	}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		for _, s := range secretParameters {
			if plain, err := url.QueryUnescape(name); err == nil && plain == s {
				parts[i] = name + "=REDACTED"
			}
		}
	}
	return printable(strings.Join(parts, "&"))
}

var secretParameters = []string{"AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature", "X-Amz-Signature",
	"X-Amz-Credential", "X-Amz-Security-Token"}

func knownMethod(m string) bool {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace, "QUERY":
		return true
	}
	return false
}

// splitHost takes a host and a port apart; port 0 means that there is none.
func splitHost(address string) (host string, port int) {
	h, p, err := net.SplitHostPort(address)
	if err != nil {
		return strings.Trim(address, "[]"), 0
	}
	port, _ = strconv.Atoi(p)
	return h, port
}
