package connpool_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/go-inmesh/inmesh/internal/connpool"
)

func ExampleWay() {
	conns := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conns[r.RemoteAddr] = true
		_, _ = fmt.Fprintf(w, "request to %s, connection %d", r.Host, len(conns))
	}))
	defer server.Close()

	way := connpool.NewWay(connpool.Settings{MaxRequests: 2})
	pool := way.Pool("tcp", strings.TrimPrefix(server.URL, "http://"))
	defer pool.Retire()
	client := &http.Client{Transport: pool}
	for range 4 {
		resp, err := client.Get("http://reviews.com/")
		if err != nil {
			fmt.Println(err)
			return
		}
		_, _ = io.Copy(&line{}, resp.Body)
		_ = resp.Body.Close()
	}
	// Output:
	// request to reviews.com, connection 1
	// request to reviews.com, connection 1
	// request to reviews.com, connection 2
	// request to reviews.com, connection 2
}

// line prints what it gets as lines.
type line struct{}

func (line) Write(b []byte) (int, error) { return fmt.Println(string(b)) }
