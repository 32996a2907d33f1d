package answer

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// said is a response, read to its end.
type said struct {
	Code   int
	Proto  string
	Header http.Header
	Body   string
}

func hear(t *testing.T, resp *http.Response) said {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return said{resp.StatusCode, resp.Proto, resp.Header, string(b)}
}

// TestReply: the same reply as a client's response and as a server's answer.
func TestReply(t *testing.T) {
	plain := func(length string, more ...string) http.Header {
		h := http.Header{"Content-Length": {length}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	for _, tt := range []struct {
		name, method, contentType string
		reply                     Reply
		want                      said
	}{
		{"text", "GET", "", Reply{Status: 503, Body: "no healthy upstream", GRPC: -1},
			said{503, "HTTP/1.1", plain("19", "Content-Type", "text/plain"), "no healthy upstream"}},
		{"no body", "GET", "", Reply{Status: 404, GRPC: -1}, said{404, "HTTP/1.1", plain("0"), ""}},
		{"HEAD has the length alone", "HEAD", "", Reply{Status: 500, Body: "x", GRPC: -1},
			said{500, "HTTP/1.1", plain("1", "Content-Type", "text/plain"), ""}},
		{"headers, and a type of its own", "GET", "", Reply{Status: 301, Body: "{}", GRPC: -1,
			Header: http.Header{"Location": {"/a"}, "Content-Type": {"application/json"}}},
			said{301, "HTTP/1.1", plain("2", "Location", "/a", "Content-Type", "application/json"), "{}"}},
		{"gRPC over HTTP/2, in headers alone", "POST", "application/grpc+proto", Reply{Status: 504, Body: "upstream request timeout", GRPC: -1},
			said{200, "HTTP/2.0", http.Header{"Content-Type": {"application/grpc"}, "Grpc-Status": {"14"},
				"Grpc-Message": {"upstream request timeout"}}, ""}},
		{"gRPC status of its own", "POST", "application/grpc", Reply{Status: 404, GRPC: 5},
			said{200, "HTTP/2.0", http.Header{"Content-Type": {"application/grpc"}, "Grpc-Status": {"5"}}, ""}},
		{"gRPC-Web is plain HTTP", "POST", "application/grpc-web+proto", Reply{Status: 503, GRPC: -1}, said{503, "HTTP/1.1", plain("0"), ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := httptest.NewRequest(tt.method, "http://reviews/", nil)
			if tt.contentType != "" {
				req.Header.Set("Content-Type", tt.contentType)
			}
			if diff := cmp.Diff(hear(t, tt.reply.Response(req)), tt.want); diff != "" {
				t.Errorf("Response (-got +want):\n%s", diff)
			}
			w := httptest.NewRecorder()
			tt.reply.Write(w, req)
			tt.want.Proto = "HTTP/1.1" // the server's business
			if diff := cmp.Diff(hear(t, w.Result()), tt.want); diff != "" {
				t.Errorf("Write (-got +want):\n%s", diff)
			}
		})
	}
}

func TestIsGRPC(t *testing.T) {
	for contentType, want := range map[string]bool{
		"application/grpc": true, "application/grpc+proto": true, "application/grpc; charset=utf-8": true,
		"application/grpc-web": false, "application/grpcx": false, "application/json": false, "": false,
	} {
		if got := IsGRPC(http.Header{"Content-Type": {contentType}}); got != want {
			t.Errorf("%q: got %v, want %v", contentType, got, want)
		}
	}
}

// TestStatuses holds both maps against Envoy's.
func TestStatuses(t *testing.T) {
	for code, want := range map[int]int{400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14, 418: 2, 500: 2} {
		if got := GRPCStatus(code); got != want {
			t.Errorf("HTTP %d: got %d, want %d", code, got, want)
		}
	}
	want := [...]int{200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401, 500}
	for status, code := range want {
		if got := HTTPStatus(status); got != code {
			t.Errorf("gRPC %d: got %d, want %d", status, got, code)
		}
	}
}

func TestMessagesArePercentEncoded(t *testing.T) {
	if got, want := percentEncode("100 %\nü"), "100 %25%0A%C3%BC"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
