package route

import (
	"fmt"
	"net/http"
	"testing"

	networking "istio.io/api/networking/v1"
)

// manyRoutes are n routes of each of the shapes that large rule sets have, and a catch-all.
var shapes = []struct {
	name  string
	route func(i int) *networking.HTTPMatchRequest
	ask   func(i int) *Request
}{
	{"prefix", func(i int) *networking.HTTPMatchRequest {
		return &networking.HTTPMatchRequest{Uri: beginning(fmt.Sprintf("/api/v1/service-%d/", i))}
	}, func(i int) *Request {
		return ask(fmt.Sprintf("/api/v1/service-%d/items/42", i), nil)
	}},
	{"exact", func(i int) *networking.HTTPMatchRequest {
		return &networking.HTTPMatchRequest{Uri: exactly(fmt.Sprintf("/api/v1/service-%d/items", i))}
	}, func(i int) *Request {
		return ask(fmt.Sprintf("/api/v1/service-%d/items", i), nil)
	}},
	{"prefix and header", func(i int) *networking.HTTPMatchRequest {
		return &networking.HTTPMatchRequest{
			Uri:     beginning(fmt.Sprintf("/api/v1/service-%d/", i)),
			Headers: map[string]*networking.StringMatch{"x-version": exactly("v2"), "x-user": beginning("u")},
		}
	}, func(i int) *Request {
		return ask(fmt.Sprintf("/api/v1/service-%d/items/42", i), http.Header{"X-Version": {"v2"}, "X-User": {"u1"}, "Accept": {"*/*"}})
	}},
	{"header alone", func(i int) *networking.HTTPMatchRequest {
		return &networking.HTTPMatchRequest{
			Uri:     beginning("/api"),
			Headers: map[string]*networking.StringMatch{"x-tenant": exactly(fmt.Sprintf("tenant-%d", i))},
		}
	}, func(i int) *Request {
		return ask("/api/v1/items/42", http.Header{"X-Tenant": {fmt.Sprintf("tenant-%d", i)}, "Accept": {"*/*"}})
	}},
	{"regex", func(i int) *networking.HTTPMatchRequest {
		return &networking.HTTPMatchRequest{Uri: matching(fmt.Sprintf("/api/v1/service-%d/items/[0-9]+", i))}
	}, func(i int) *Request {
		return ask(fmt.Sprintf("/api/v1/service-%d/items/42", i), nil)
	}},
}

func ask(path string, h http.Header) *Request {
	return &Request{Method: "GET", Scheme: "http", Authority: "reviews:9080", Path: path, Header: h, Port: 9080}
}

func manyRoutes(n int, match func(int) *networking.HTTPMatchRequest) []*networking.HTTPRoute {
	out := make([]*networking.HTTPRoute, 0, n+1)
	for i := range n {
		out = append(out, toHost("reviews", match(i)))
	}
	return append(out, toHost("reviews"))
}

func BenchmarkMatch(b *testing.B) {
	for _, s := range shapes {
		for _, n := range []int{10, 100, 1000, 10_000, 100_000} {
			if s.name == "regex" && n > 10_000 {
				continue
			}
			b.Run(fmt.Sprintf("%s/%d", s.name, n), func(b *testing.B) {
				r, err := New(manyRoutes(n, s.route)...)
				if err != nil {
					b.Fatal(err)
				}
				qs := make([]*Request, 64)
				for i := range qs {
					qs[i] = s.ask(i * 7919 % n)
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if r.Match(qs[i&63]) == nil {
						b.Fatal("no route")
					}
					i++
				}
			})
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.name+"/100000", func(b *testing.B) {
			specs := manyRoutes(100_000, s.route)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := New(specs...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRequestOf(b *testing.B) {
	r, err := http.NewRequest("GET", "http://reviews:9080/api/v1/reviews/42?lang=en", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var n int
	for b.Loop() {
		q := RequestOf(r)
		n += len(q.Path)
	}
}
