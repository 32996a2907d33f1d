package route

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	networking "istio.io/api/networking/v1"
)

type pairs = map[string]string

func requestOps(set, add pairs, remove ...string) *networking.Headers {
	return &networking.Headers{Request: &networking.Headers_HeaderOperations{Set: set, Add: add, Remove: remove}}
}

func TestHeaderOrder(t *testing.T) {
	for _, tt := range []struct {
		name        string
		route, dest *networking.Headers
		several     bool // destinations
		have, want  http.Header
		ops         Ops
	}{
		{
			name: "remove, then set, then add", route: requestOps(pairs{"x-a": "set"}, pairs{"X-A": "add", "x-b": "add"}, "x-a", "x-b"),
			have: http.Header{"X-A": {"old"}, "X-B": {"old"}, "X-C": {"old"}},
			want: http.Header{"X-A": {"set", "add"}, "X-B": {"add"}, "X-C": {"old"}},
			ops:  Ops{Set: pairs{"X-A": "set"}, Add: pairs{"X-A": "add", "X-B": "add"}, Remove: []string{"X-A", "X-B"}},
		},
		{
			name: "one destination wins over its route", route: requestOps(pairs{"x-a": "route"}, nil), dest: requestOps(pairs{"x-a": "dest"}, nil),
			want: http.Header{"X-A": {"dest"}}, ops: Ops{Set: pairs{"X-A": "dest"}},
		},
		{
			name: "one destination: removals come first", route: requestOps(nil, nil, "x-a"), dest: requestOps(pairs{"x-a": "dest"}, nil),
			want: http.Header{"X-A": {"dest"}}, ops: Ops{Set: pairs{"X-A": "dest"}, Remove: []string{"X-A"}},
		},
		{
			name: "one destination: both add", route: requestOps(nil, pairs{"x-a": "route"}), dest: requestOps(nil, pairs{"x-a": "dest"}),
			want: http.Header{"X-A": {"route", "dest"}}, ops: Ops{Add: pairs{"X-A": "route,dest"}},
		},
		{
			name: "several: the route wins", route: requestOps(pairs{"x-a": "route"}, nil), dest: requestOps(pairs{"x-a": "dest"}, nil), several: true,
			want: http.Header{"X-A": {"route"}}, ops: Ops{Set: pairs{"X-A": "route"}},
		},
		{
			name: "several: the route removes what the destination added", route: requestOps(nil, nil, "x-a"), dest: requestOps(nil, pairs{"x-a": "dest"}), several: true,
			have: http.Header{"X-A": {"old"}}, want: http.Header{}, ops: Ops{Remove: []string{"X-A"}},
		},
		{
			name: "several: adds of both stay", route: requestOps(nil, pairs{"x-a": "route"}), dest: requestOps(pairs{"x-a": "dest"}, nil), several: true,
			have: http.Header{"X-A": {"old"}}, want: http.Header{"X-A": {"dest", "route"}}, ops: Ops{Set: pairs{"X-A": "dest"}, Add: pairs{"X-A": "route"}},
		},
		{
			name: "a value that comes to nothing is not applied", route: requestOps(pairs{"x-a": "%REQ(x-none)%", "x-c": ""}, pairs{"x-b": "%REQ(x-none)%"}),
			have: http.Header{"X-A": {"old"}}, want: http.Header{"X-A": {"old"}}, ops: Ops{Set: pairs{"X-A": "%REQ(x-none)%"}, Add: pairs{"X-B": "%REQ(x-none)%"}},
		},
		{
			name: "values are made after the removals and before the sets", route: requestOps(pairs{"x-a": "1", "x-b": "[%REQ(x-a)%]", "x-c": "[%REQ(x-d)%]"}, nil, "x-d"),
			have: http.Header{"X-A": {"0"}, "X-D": {"0"}}, want: http.Header{"X-A": {"1"}, "X-B": {"[0]"}, "X-C": {"[]"}},
			ops: Ops{Set: pairs{"X-A": "1", "X-B": "[%REQ(x-a)%]", "X-C": "[%REQ(x-d)%]"}, Remove: []string{"X-D"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := toHost("a")
			spec.Headers, spec.Route[0].Headers = tt.route, tt.dest
			if tt.several {
				spec.Route[0].Weight = 1
				spec.Route = append(spec.Route, &networking.HTTPRouteDestination{Destination: &networking.Destination{Host: "b"}, Weight: 1})
			}
			r, err := New(spec)
			if err != nil {
				t.Fatal(err)
			}
			hit := r.Route(0)
			shared := tt.have.Clone()
			got := http.Header{}
			for k, v := range shared {
				got[k] = v
			}
			hit.RequestHeaders(0, got, nil)
			if diff := cmp.Diff(got, tt.want); diff != "" {
				t.Errorf("header (-got +want):\n%s", diff)
			}
			if diff := cmp.Diff(shared, tt.have); diff != "" {
				t.Errorf("the caller's slices changed (-got +want):\n%s", diff)
			}
			ops, response := hit.HeaderOps(0)
			if diff := cmp.Diff(ops, tt.ops); diff != "" {
				t.Errorf("operations (-got +want):\n%s", diff)
			}
			if diff := cmp.Diff(response, Ops{}); diff != "" {
				t.Errorf("response operations (-got +want):\n%s", diff)
			}
		})
	}
}

func TestResponseHeaders(t *testing.T) {
	spec := toHost("a")
	spec.Headers = &networking.Headers{Response: &networking.Headers_HeaderOperations{
		Set: pairs{"x-code": "%RESPONSE_CODE%", "x-id": "%REQ(x-request-id)%", "x-kind": "%RESP(content-type)%"}, Remove: []string{"server"},
	}}
	r, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{"Server": {"x"}, "Content-Type": {"text/html"}}
	env := &HeaderEnv{Request: Request{Header: http.Header{"X-Request-Id": {"7"}}}, ResponseCode: 201}
	r.Route(0).ResponseHeaders(0, h, env)
	want := http.Header{"Content-Type": {"text/html"}, "X-Code": {"201"}, "X-Id": {"7"}, "X-Kind": {"text/html"}}
	if diff := cmp.Diff(h, want); diff != "" {
		t.Errorf("(-got +want):\n%s", diff)
	}
}
