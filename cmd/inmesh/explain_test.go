package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// explained runs explain -o json and decodes the one object that it prints.
func explained(t *testing.T, args ...string) map[string]any {
	t.Helper()
	got := inmesh(t, append([]string{"explain", "-o", "json"}, args...)...)
	if got.code != exitOK {
		t.Fatalf("got %+v, want code 0", got)
	}
	var e map[string]any
	if err := json.Unmarshal([]byte(got.out), &e); err != nil {
		t.Fatalf("%s: %v", got.out, err)
	}
	if strings.Count(got.out, "\n") != 1 {
		t.Errorf("got %q, want one line", got.out)
	}
	return e
}

// without leaves out where rules are written, which a folder of the moment makes different each time.
func without(e any, key string) any {
	switch v := e.(type) {
	case map[string]any:
		delete(v, key)
		for k := range v {
			v[k] = without(v[k], key)
		}
	case []any:
		for i := range v {
			v[i] = without(v[i], key)
		}
	}
	return e
}

// TestExplainJSON holds the whole object, for each outcome.
func TestExplainJSON(t *testing.T) {
	dir := folder(t, "web.yaml", valid)
	const (
		v1 = `"cluster": "outbound|80|v1|web.default.svc.cluster.local", "endpoints": ["10.0.0.1:80"]`
		v2 = `"cluster": "outbound|80|v2|web.default.svc.cluster.local", "endpoints": ["10.0.0.2:80"]`
		// what a route without retries of its own gets
		byDefault = `{"attempts": 2, "retryOn": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes", "backoff": "25ms"}`
		web       = `"virtualHost": "web.default.svc.cluster.local:80", "virtualService": "default/web"`
	)
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"route, with all that a route may say", []string{"http://web/api/7?q=1"}, `{"outcome": "route", ` + web + `,
			"route": {"index": 4, "name": "main"},
			"destinations": [{` + v1 + `, "weight": 90}, {` + v2 + `, "weight": 10}],
			"path": "/v1/7?q=1", "authority": "web.internal",
			"requestHeaders": {"set": {"x-a": "1"}, "add": {"x-b": "2"}, "remove": ["x-c"]}, "responseHeaders": {"set": {"x-d": "3"}},
			"fault": {"delay": {"fixedDelay": "1s", "percentage": 10}, "abort": {"httpStatus": 503, "percentage": 0.5}},
			"timeout": "2s", "retries": {"attempts": 3, "perTryTimeout": "500ms", "retryOn": "5xx", "backoff": "25ms"},
			"cors": {"allowOrigins": ["https://shop.example"], "allowMethods": ["GET"], "maxAge": "1h0m0s"},
			"rejected": [{"index": 2, "name": "old", "reason": "REASON"}, {"index": 3, "name": "teapot", "reason": "REASON"}]}`},
		{"labels and a header", []string{"-labels", "app=front,version=v1", "-H", "X-User: ann", "http://web/"}, `{"outcome": "route", ` + web + `,
			"route": {"index": 0, "name": "beta"}, "destinations": [{` + v2 + `}], "path": "/", "authority": "web", "retries": ` + byDefault + `}`},
		{"namespace, and a subset that is missing", []string{"-namespace", "team", "http://web.default/"}, `{"outcome": "route", ` + web + `,
			"route": {"index": 1, "name": "team"}, "path": "/", "authority": "web.default", "retries": ` + byDefault + `,
			"destinations": [{"cluster": "outbound|80|v9|web.default.svc.cluster.local", "missing": "REASON"}]}`},
		{"redirect", []string{"web/old/a"}, `{"outcome": "redirect", ` + web + `, "route": {"index": 2, "name": "old"},
			"code": 308, "location": "http://web/new/"}`},
		{"direct response", []string{"-X", "post", "http://web/teapot"}, `{"outcome": "directResponse", ` + web + `,
			"route": {"index": 3, "name": "teapot"}, "code": 418, "body": "short and stout", "rejected": [{"index": 2, "name": "old", "reason": "REASON"}]}`},
		{"no route", []string{"http://web/other"}, `{"outcome": "noRoute", ` + web + `, "code": 404, "rejected": [
			{"index": 2, "name": "old", "reason": "REASON"}, {"index": 3, "name": "teapot", "reason": "REASON"}, {"index": 4, "name": "main", "reason": "REASON"}]}`},
		{"passthrough", []string{"other.example/a?u=http://b/"}, `{"outcome": "passthrough", "virtualHost": "allow_any", "path": "/a?u=http://b/",
			"authority": "other.example"}`},
		{"blocked", []string{"-registry-only", "http://other.example/"}, `{"outcome": "blocked", "virtualHost": "block_all", "code": 502}`},
		{"gateway, by Host", []string{"-gateway", "default/edge", "-H", "host: shop.example", "http://127.0.0.1/old/"},
			`{"outcome": "redirect", "virtualHost": "shop.example:80", "virtualService": "default/web", "route": {"index": 2, "name": "old"}, "code": 308,
			"location": "http://shop.example/new/"}`},
		{"gateway, another host", []string{"-gateway", "edge", "http://other.example/"}, `{"outcome": "noRoute", "code": 404}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := without(explained(t, append([]string{"-f", dir}, tt.args...)...), "position")
			var want any
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			any := cmp.FilterValues(func(a, b string) bool { return b == "REASON" && a != "" || a == "REASON" && b != "" }, cmp.Comparer(func(string, string) bool { return true }))
			if diff := cmp.Diff(got, want, any); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

// TestExplainText says the same to people: what won, and why each earlier route lost.
func TestExplainText(t *testing.T) {
	dir := folder(t, "web.yaml", valid)
	got := inmesh(t, "explain", "-f", dir, "-H", "x-user: bob", "-labels", "app=front", "http://web/api/")
	if got.code != exitOK || got.errors != "" {
		t.Fatalf("got %+v, want code 0", got)
	}
	for _, want := range []string{
		"outcome          route\n", "VirtualService   default/web\n",
		"http[0] beta (" + dir, `headers[x-user] exact "ann"`, "http[2] old", "http[3] teapot",
		"route            http[4] main (" + dir, "delay            1s for 10 %", "abort            503 for 0.5 %",
		"sent as          /v1/ to web.internal", "set x-a: 1", "add x-b: 2", "remove x-c", "timeout          2s", "3 on 5xx, 500ms per try",
		"outbound|80|v1|web.default.svc.cluster.local, weight 90: 10.0.0.1:80",
	} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%q is not in\n%s", want, got.out)
		}
	}
}

// TestExplainBadRules: what is wrong with them goes to the errors, with the places, and the code is 1.
func TestExplainBadRules(t *testing.T) {
	dir := folder(t, "a.yaml", typos)
	got := inmesh(t, "explain", "-o", "json", "-f", dir, "http://web.example/")
	if got.code != exitInvalid || got.out != "" || !strings.Contains(got.errors, "a.yaml:7:5: error: ") {
		t.Errorf("got %+v, want code 1 and the place", got)
	}
	if got = inmesh(t, "explain", "-f", dir+"/none", "http://web.example/"); got.code != exitUsage {
		t.Errorf("got %+v, want code 2", got)
	}
}
