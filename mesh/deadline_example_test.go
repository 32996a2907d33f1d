package mesh_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-inmesh/inmesh/mesh"
)

// A caller that waits two seconds more: the handler's context ends with its patience, and so does every call that is
// made with that context.
func ExampleMesh_Handler_deadline() {
	m, err := mesh.New(nil, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		at, ok := r.Context().Deadline()
		fmt.Println(time.Until(at).Round(time.Second), ok)
	}))
	req := httptest.NewRequest("GET", "/", nil)
	req.Header.Set("X-Envoy-Expected-Rq-Timeout-Ms", "2000")
	h.ServeHTTP(httptest.NewRecorder(), req)
	// Output:
	// 2s true
}
