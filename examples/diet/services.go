package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/go-inmesh/inmesh/mesh"
)

// hello is hello-istio: it greets, and says which version it is.
func hello(text, version string) func(*mesh.Mesh) http.Handler {
	return func(*mesh.Mesh) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]string{"message": text, "version": version})
		})
	}
}

// letter is a service that knows one letter.
func letter(char, word string) func(*mesh.Mesh) http.Handler {
	return func(*mesh.Mesh) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%s %s", char, word) })
	}
}

// alphabet is alphabet-service: it knows every letter, and can be broken and made to wait.
type alphabet struct {
	broken atomic.Bool
	gate   atomic.Pointer[chan struct{}] // answers wait until it is closed
	waits  atomic.Int64                  // how many do
}

var words = strings.Fields("Alpha Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliett Kilo Lima Mike November Oscar Papa " +
	"Quebec Romeo Sierra Tango Uniform Victor Whiskey Xray Yankee Zulu")

func (a *alphabet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if gate := a.gate.Load(); gate != nil {
		a.waits.Add(1)
		<-*gate
		a.waits.Add(-1)
	}
	if a.broken.Load() {
		http.Error(w, "out of order", http.StatusInternalServerError)
		return
	}
	i := strings.Index("abcdefghijklmnopqrstuvwxyz", strings.ToLower(r.URL.Query().Get("letter")))
	if i < 0 || r.URL.Query().Get("letter") == "" {
		http.Error(w, "no such letter", http.StatusNotFound)
		return
	}
	fmt.Fprintf(w, "%c %s", 'A'+rune(i), words[i])
}

// spelling is spelling-service: it asks a service for each letter of the word. It answers with the first failure that
// it meets, as the mesh tells it.
func spelling(m *mesh.Mesh) http.Handler {
	client := &http.Client{Transport: m.Transport(nil)}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var spelt []string
		for _, c := range strings.ToLower(r.URL.Query().Get("word")) {
			code, text := ask(client, r, c)
			if code != http.StatusOK {
				http.Error(w, text, code)
				return
			}
			spelt = append(spelt, text)
		}
		_, _ = io.WriteString(w, strings.Join(spelt, "\n")+"\n")
	})
}

// ask calls the service that knows the letter.
func ask(client *http.Client, r *http.Request, c rune) (code int, text string) {
	service := "alphabet-service"
	if strings.ContainsRune("abc", c) {
		service = string(c) + "-service"
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, fmt.Sprintf("http://%s:8080/?letter=%c", service, c), nil)
	if err != nil {
		return http.StatusBadRequest, err.Error()
	}
	resp, err := client.Do(req)
	var refusal interface {
		error
		ResponseFlag() string
		StatusCode() int
	}
	switch {
	case errors.As(err, &refusal):
		return refusal.StatusCode(), refusal.ResponseFlag()
	case err != nil:
		return http.StatusBadGateway, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return http.StatusBadGateway, err.Error()
	}
	return resp.StatusCode, strings.TrimSpace(string(body))
}
