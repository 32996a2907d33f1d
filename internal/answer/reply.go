package answer

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// IsGRPC tells whether the headers are those of a gRPC request, by Envoy's rule: the content type is
// application/grpc or starts with application/grpc+.
func IsGRPC(h http.Header) bool {
	ct := h.Get("Content-Type")
	return strings.HasPrefix(ct, "application/grpc") && (len(ct) == 16 || ct[16] == '+' || ct[16] == ';')
}

// GRPCStatus is the gRPC status that Envoy gives a local reply of the HTTP status.
func GRPCStatus(code int) int {
	switch code {
	case 400:
		return 13
	case 401:
		return 16
	case 403:
		return 7
	case 404:
		return 12
	case 429, 502, 503, 504:
		return 14
	}
	return 2
}

// HTTPStatus is the HTTP status that stands for a gRPC status, as outlier detection and metrics count it.
func HTTPStatus(grpc int) int {
	switch grpc {
	case 0:
		return 200
	case 1:
		return 499
	case 3, 9, 11:
		return 400
	case 4:
		return 504
	case 5:
		return 404
	case 6, 10:
		return 409
	case 7:
		return 403
	case 8:
		return 429
	case 12:
		return 501
	case 14:
		return 503
	case 16:
		return 401
	}
	return 500
}

// Reply is a response that we make ourselves.
type Reply struct {
	Status int
	Body   string
	Header http.Header // further headers; nil for none
	// GRPC overrides the gRPC status for gRPC requests; negative means it follows from Status.
	GRPC int
}

// ReplyOf is the reply that a sidecar would have sent for the refusal.
func ReplyOf(e *Error) Reply {
	r := Reply{Status: e.Status, Body: e.Body, GRPC: -1}
	if e.GRPC != 0 {
		r.GRPC = e.GRPC
	}
	for k, v := range e.Header {
		if r.Header == nil {
			r.Header = make(http.Header)
		}
		r.Header.Set(k, v)
	}
	return r
}

// head gives the status, headers and body as they go out: a gRPC request is answered with status 200 and a
// grpc-status header, and no body.
func (r Reply) head(grpc bool) (int, http.Header, string) {
	h := make(http.Header, len(r.Header)+3)
	for k, v := range r.Header {
		h[k] = append([]string(nil), v...)
	}
	if grpc {
		status := r.GRPC
		if status < 0 {
			status = GRPCStatus(r.Status)
		}
		h.Set("Content-Type", "application/grpc")
		h.Set("Grpc-Status", strconv.Itoa(status))
		if r.Body != "" {
			h.Set("Grpc-Message", percentEncode(r.Body))
		}
		return http.StatusOK, h, ""
	}
	if r.Body != "" {
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", "text/plain")
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(r.Body)))
	return r.Status, h, r.Body
}

// Response makes the reply to a client's request. The request's body is not touched.
func (r Reply) Response(req *http.Request) *http.Response {
	grpc := IsGRPC(req.Header)
	status, h, body := r.head(grpc)
	resp := &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: http.NoBody, ContentLength: int64(len(body)), Request: req,
	}
	if body != "" && req.Method != http.MethodHead {
		resp.Body = io.NopCloser(strings.NewReader(body))
	}
	if grpc { // which there is over HTTP/2 alone: clients refuse an answer that says otherwise
		resp.Proto, resp.ProtoMajor, resp.ProtoMinor = "HTTP/2.0", 2, 0
	}
	return resp
}

// Write sends the reply to a server's client.
func (r Reply) Write(w http.ResponseWriter, req *http.Request) {
	status, h, body := r.head(IsGRPC(req.Header))
	dst := w.Header()
	for k, v := range h {
		dst[k] = v
	}
	w.WriteHeader(status)
	if req.Method != http.MethodHead {
		_, _ = io.WriteString(w, body)
	}
}

// percentEncode writes a gRPC message: printable ASCII but for the percent sign stays as it is.
func percentEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
		} else {
			const hex = "0123456789ABCDEF"
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}
