package route

import (
	"net/http"
	"strings"
	"testing"
)

// TestRetryOn walks every condition over every way in which a try can end.
func TestRetryOn(t *testing.T) {
	ends := []struct {
		name string
		code int
		head http.Header
		loss loss
		sent bool
	}{
		{name: "200", code: 200},
		{name: "404", code: 404},
		{name: "409", code: 409},
		{name: "429", code: 429},
		{name: "500", code: 500},
		{name: "501", code: 501},
		{name: "502", code: 502},
		{name: "503", code: 503},
		{name: "504", code: 504},
		{name: "600", code: 600},
		{name: "ratelimited", code: 503, head: http.Header{"X-Envoy-Ratelimited": {"true"}}},
		{name: "x-again", code: 200, head: http.Header{"X-Again": {""}}},
		{name: "grpc0", code: 200, head: http.Header{"Grpc-Status": {"0"}}},
		{name: "grpc1", code: 200, head: http.Header{"Grpc-Status": {"1"}}},
		{name: "grpc4", code: 200, head: http.Header{"Grpc-Status": {"4"}}},
		{name: "grpc8", code: 200, head: http.Header{"Grpc-Status": {"8"}}},
		{name: "grpc13", code: 200, head: http.Header{"Grpc-Status": {"13"}}},
		{name: "grpc14", code: 200, head: http.Header{"Grpc-Status": {"14"}}},
		{name: "upgraded", code: 101},
		{name: "overflow", loss: lossFinal, sent: false},
		{name: "connect", loss: lossConnect},
		{name: "refused", loss: lossRefused, sent: true},
		{name: "reset", loss: lossReset, sent: true},
		{name: "reset-unsent", loss: lossReset},
	}
	const resets = " connect refused reset reset-unsent"
	tests := []struct{ on, want string }{
		{"", ""},
		{"5xx", "500 501 502 503 504" + resets},
		{"gateway-error", "502 503 504" + resets},
		{"reset", resets},
		{"connect-failure", "connect"},
		{"refused-stream", "refused"},
		{"reset-before-request", "connect reset-unsent"},
		{"retriable-4xx", "409"},
		{"retriable-status-codes", ""},
		{"503,429", "429 503"},
		{"retriable-status-codes,200", "200 x-again grpc0 grpc1 grpc4 grpc8 grpc13 grpc14"},
		{"retriable-headers", "x-again"},
		{"envoy-ratelimited", "ratelimited"},
		{"http3-post-connect-failure", ""},
		{"cancelled", "grpc1"},
		{"deadline-exceeded", "grpc4"},
		{"resource-exhausted", "grpc8"},
		{"internal", "grpc13"},
		{"unavailable", "grpc14"},
		{defaultRetryOn, "grpc1 grpc14 connect refused"},
		{"wind", ""},
	}
	for _, tt := range tests {
		t.Run(tt.on, func(t *testing.T) {
			on := parseRetryOn(tt.on)
			on.headers = []string{"X-Again"}
			var got []string
			for _, e := range ends {
				again := false
				if e.code != 0 {
					again = on.response(&http.Response{StatusCode: e.code, Header: e.head})
				} else {
					again = on.lost(e.loss, e.sent)
				}
				if again {
					got = append(got, e.name)
				}
			}
			if got, want := strings.Join(got, " "), strings.TrimSpace(tt.want); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func FuzzRetryOn(f *testing.F) {
	f.Add("5xx,reset, 503,,retriable-4xx")
	f.Add(defaultRetryOn)
	f.Fuzz(func(t *testing.T, list string) {
		on := parseRetryOn(list)
		if on.conditions == 0 && len(on.codes) > 0 {
			t.Errorf("codes %v without the condition that uses them", on.codes)
		}
		if on.conditions == 0 && (on.lost(lossReset, false) || on.response(&http.Response{StatusCode: 503})) {
			t.Error("retries without a condition")
		}
		if on.lost(lossFinal, false) {
			t.Error("retries what is final")
		}
	})
}
