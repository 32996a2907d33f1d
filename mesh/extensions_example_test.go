package mesh_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/mesh"
)

func ExampleExtensions() {
	m, err := mesh.New(nil, &mesh.Options{Extensions: mesh.Extensions{
		Server: mesh.Inbound{LocalRateLimit: &breaker.LocalRateLimit{
			TokenBucket: breaker.TokenBucket{MaxTokens: 2, FillInterval: time.Minute},
		}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = m.Close() }()
	handler := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	for range 3 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 hello
	// 200 hello
	// 429 local_rate_limited
}
