package route_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/route"
)

func prefix(s string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Prefix{Prefix: s}}
}

func exact(s string) *networking.StringMatch {
	return &networking.StringMatch{MatchType: &networking.StringMatch_Exact{Exact: s}}
}

func to(host string) []*networking.HTTPRouteDestination {
	return []*networking.HTTPRouteDestination{{Destination: &networking.Destination{Host: host}}}
}

// printer stands for the network: it says where a request would go.
type printer struct{}

func (printer) RoundTrip(r *http.Request) (*http.Response, error) {
	fmt.Println(r.Method, r.URL, "Host:", r.Host)
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

func ExampleRouter_Transport() {
	router, err := route.New(
		&networking.HTTPRoute{
			Match:   []*networking.HTTPMatchRequest{{Uri: prefix("/api/reviews"), Headers: map[string]*networking.StringMatch{"end-user": exact("jason")}}},
			Rewrite: &networking.HTTPRewrite{Uri: "/reviews"},
			Route:   to("reviews-v2"),
		},
		&networking.HTTPRoute{Route: to("reviews-v1")},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: router.Transport(printer{})}
	for _, user := range []string{"jason", "tom"} {
		req, err := http.NewRequest("GET", "http://reviews:9080/api/reviews/42", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("End-User", user)
		resp, err := client.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
	}
	// Output:
	// GET http://reviews-v2:9080/reviews/42 Host: reviews:9080
	// GET http://reviews-v1:9080/api/reviews/42 Host: reviews:9080
}

func ExampleRouter_Handler() {
	router, err := route.New(
		&networking.HTTPRoute{
			Match:    []*networking.HTTPMatchRequest{{Uri: exact("/old")}},
			Redirect: &networking.HTTPRedirect{Uri: "/new", RedirectCode: 302},
		},
		&networking.HTTPRoute{Route: to("app"), Headers: &networking.Headers{
			Response: &networking.Headers_HeaderOperations{Set: map[string]string{"x-served-by": "%REQ(:authority)%"}},
		}},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") })
	handler := router.Handler(app)
	for _, path := range []string{"/old", "/new"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "http://example.com"+path, nil))
		fmt.Printf("%d %q %q %q\n", w.Code, w.Header().Get("Location"), w.Header().Get("X-Served-By"), w.Body)
	}
	// Output:
	// 302 "http://example.com/new" "" ""
	// 200 "" "example.com" "hello"
}

func ExampleRouter_Explain() {
	router, err := route.New(
		&networking.HTTPRoute{
			Name:  "chrome",
			Match: []*networking.HTTPMatchRequest{{Headers: map[string]*networking.StringMatch{"user-agent": {MatchType: &networking.StringMatch_Regex{Regex: ".*Chrome.*"}}}}},
			Route: to("v2"),
		},
		&networking.HTTPRoute{Name: "rest", Route: to("v1")},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	q := route.Request{Method: "GET", Path: "/", Header: http.Header{"User-Agent": {"curl/8"}}}
	hit, rejected := router.Explain(&q)
	fmt.Println(hit.Name())
	for _, r := range rejected {
		fmt.Printf("not %s: %s\n", r.Name, r.Reason)
	}
	// Output:
	// rest
	// not chrome: headers[user-agent] regex ".*Chrome.*" does not match "curl/8"
}

func ExampleNew_errors() {
	_, err := route.New(&networking.HTTPRoute{
		Route:   to("reviews"),
		Headers: &networking.Headers{Request: &networking.Headers_HeaderOperations{Set: map[string]string{"x-id": "%REQUEST_ID%"}}},
	})
	fmt.Println(err)
	// Output: route: [0].headers.request.set[x-id]: %REQUEST_ID% is not an operator that is known here
}

func ExampleRoute_Split() {
	router, err := route.New(&networking.HTTPRoute{Route: []*networking.HTTPRouteDestination{
		{Destination: &networking.Destination{Host: "reviews", Subset: "v1"}, Weight: 90},
		{Destination: &networking.Destination{Host: "reviews", Subset: "v2"}, Weight: 10},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := router.Route(0)
	fmt.Println(r.Split(0.00), r.Split(0.89), r.Split(0.90))
	// Output: 0 0 1
}

func ExampleCORS_Preflight() {
	router, err := route.New(&networking.HTTPRoute{
		Route: to("api"),
		CorsPolicy: &networking.CorsPolicy{
			AllowOrigins: []*networking.StringMatch{prefix("https://")}, AllowMethods: []string{"GET", "POST"},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest("OPTIONS", "/", strings.NewReader(""))
	r.Header.Set("Origin", "https://shop.example")
	r.Header.Set("Access-Control-Request-Method", "POST")
	q := route.RequestOf(r)
	reply, handled := router.Match(&q).CORS().Preflight(&q)
	fmt.Println(handled, reply.Status, reply.Header.Get("Access-Control-Allow-Origin"), reply.Header.Get("Access-Control-Allow-Methods"))
	// Output: true 200 https://shop.example GET,POST
}
