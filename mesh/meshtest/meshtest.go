package meshtest

import (
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/go-inmesh/inmesh/mesh"
)

// New makes a mesh of the rules in a file or folder, or of YAML itself where the text has more than one line; an empty
// text is no rules at all. It is closed at the test's end, and its chance is [Seed] of 1. The test fails at once if the rules cannot be used.
func New(t testing.TB, rules string) *mesh.Mesh {
	t.Helper()
	return NewWith(t, rules, nil)
}

// NewWith is [New] with options. Where they name no source of chance, it is [Seed] of 1.
func NewWith(t testing.TB, rules string, o *mesh.Options) *mesh.Mesh {
	t.Helper()
	var opts mesh.Options
	if o != nil {
		opts = *o
	}
	if opts.Rand == nil {
		opts.Rand = Seed(1)
	}
	m, err := mesh.New(Rules(t, rules), &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// Rules reads rules as [New] does.
func Rules(t testing.TB, rules string) *mesh.Rules {
	t.Helper()
	var r *mesh.Rules
	var err error
	switch {
	case rules == "":
		r, err = mesh.Build()
	case strings.Contains(rules, "\n"):
		r, err = mesh.Parse(t.Name(), []byte(rules))
	default:
		r, err = mesh.Load(rules)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Client is an http.Client over [New] and the fleet. It does not follow redirects, so that a test sees them.
func Client(t testing.TB, rules string, fleet Fleet) *http.Client {
	t.Helper()
	return &http.Client{Transport: New(t, rules).Transport(fleet), CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// Answer is what a client got: a response, or an error.
type Answer struct {
	Code   int
	Body   string
	Header http.Header
	Err    error
}

// Do sends a request and reads its answer whole. Headers are given as "name: value"; "Host: x" sets the authority.
func Do(t testing.TB, client *http.Client, method, url string, headers ...string) Answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ":")
		if strings.EqualFold(k, "host") {
			req.Host = strings.TrimSpace(v)
		} else {
			req.Header.Add(k, strings.TrimSpace(v))
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return Answer{Err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return Answer{Code: resp.StatusCode, Body: string(b), Header: resp.Header, Err: err}
}

// Spread sends n GET requests one after another and counts their answers by body; an error counts under its text.
func Spread(t testing.TB, client *http.Client, n int, url string, headers ...string) map[string]int {
	t.Helper()
	count := map[string]int{}
	for range n {
		a := Do(t, client, http.MethodGet, url, headers...)
		if a.Err != nil {
			count[a.Err.Error()]++
		} else {
			count[a.Body]++
		}
	}
	return count
}

// Seed is a source of chance for [mesh.Options] that repeats itself.
func Seed(seed uint64) func() float64 { return rand.New(rand.NewPCG(seed, 0)).Float64 }

// Always is a source of chance that always says x: 0 makes every percentage above 0 hit and picks the first of
// what is weighed.
func Always(x float64) func() float64 { return func() float64 { return x } }
