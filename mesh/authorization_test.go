package mesh_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/go-inmesh/inmesh/identity"
	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

// policy is an AuthorizationPolicy; its spec is given in flow style.
func policy(namespace, name, spec string) string {
	return "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec: " + spec + "\n"
}

// tokenRule is a RequestAuthentication of the issuer "i", and what signs its tokens.
func tokenRule(t *testing.T, more string) (yaml string, sign func(claims map[string]any) string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k"}}})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: jwt}\nspec: {jwtRules: [{issuer: i, jwks: '" + string(keys) + "'" + more + "}]}\n",
		func(claims map[string]any) string {
			claims["iss"] = "i"
			text, _ := json.Marshal(claims)
			jws, err := signer.Sign(text)
			if err != nil {
				t.Fatal(err)
			}
			out, _ := jws.CompactSerialize()
			return out
		}
}

// get sends a request to a handler and returns the status and the body.
func get(h http.Handler, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", target, nil)
	for _, s := range headers {
		k, v, _ := strings.Cut(s, ": ")
		r.Header.Add(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestAuthorization: which policies apply to the workload, and what the caller and the log get of a refusal.
func TestAuthorization(t *testing.T) {
	var log bytes.Buffer
	var told *mesh.Call
	m := open(t, rules(
		policy("istio-system", "root", "{action: DENY, rules: [{to: [{operation: {paths: [/root]}}]}]}"),
		policy("default", "ours", "{selector: {matchLabels: {app: web}}, action: DENY, rules: [{to: [{operation: {paths: [/ours]}}]}]}"),
		policy("default", "theirs", "{selector: {matchLabels: {app: db}}, action: DENY, rules: [{to: [{operation: {paths: [/theirs]}}]}]}"),
		policy("other", "elsewhere", "{action: DENY, rules: [{}]}"),
		policy("default", "attached", "{targetRefs: [{kind: Service, name: x}], action: DENY, rules: [{}]}"),
	), &mesh.Options{
		Workload: mesh.Workload{Labels: map[string]string{"app": "web"}}, AccessLog: slog.New(slog.NewJSONHandler(&log, nil)),
		Aspects: mesh.Aspects{BeforeAuthorization: []func(http.Handler) http.Handler{func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(w, r)
				told = mesh.CallFrom(r.Context())
			})
		}}},
	})
	var path string
	h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { path = r.URL.Path }))
	for _, tt := range []struct {
		path string
		want int
		seen string
	}{
		{"/", 200, "/"}, {"/root", 403, ""}, {"/ours", 403, ""}, {"/theirs", 200, "/theirs"},
		{"/x/../ours", 403, ""}, {"/%6furs", 403, ""}, {"//ours", 403, ""}, {"/ours;x", 403, ""}, {"/a/%2e%2e/ours", 403, ""}, {"/x/../a", 200, "/a"},
	} {
		path = ""
		if w := get(h, tt.path); w.Code != tt.want || path != tt.seen {
			t.Errorf("%s: %d, the application saw %q; want %d and %q", tt.path, w.Code, path, tt.want, tt.seen)
		}
	}
	w := get(h, "/ours")
	if got := w.Body.String(); got != "RBAC: access denied" {
		t.Errorf("body %q", got)
	}
	if !errors.Is(told.Err, identity.ErrDenied) || told.Code != 403 {
		t.Errorf("told %+v", told)
	}
	for k, v := range w.Header() {
		if strings.Contains(strings.Join(v, ""), "ours") {
			t.Errorf("the policy is on the wire: %s: %s", k, v)
		}
	}
	if got := get(h, "/ours", "Content-Type: application/grpc"); got.Code != 200 || got.Header().Get("Grpc-Status") != "7" {
		t.Errorf("gRPC: %d %v", got.Code, got.Header())
	}
	if m.Policies().Denied == 0 {
		t.Error("nothing is counted")
	}
	_ = m.Close() // the log is whole
	const details = "rbac_access_denied_matched_policy[ns[default]-policy[ours]-rule[0]]"
	if !strings.Contains(log.String(), details) {
		t.Errorf("the log lacks %s: %s", details, log.String())
	}
}

// TestAuthentication: tokens, claims in policies, in the application and on their way out.
func TestAuthentication(t *testing.T) {
	jwt, sign := tokenRule(t, ", outputClaimToHeaders: [{header: x-sub, claim: sub}]")
	m := open(t, rules(jwt, policy("default", "p", `{rules: [{from: [{source: {requestPrincipals: ["i/me"]}}], when: [{key: "request.auth.claims[groups]", values: [admin]}]}]}`)), nil)
	var sub string
	h := m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if sub = r.Header.Get("X-Sub"); identity.TokenFromContext(r.Context()).Subject != sub || r.Header.Get("Authorization") != "" {
			t.Errorf("the application got %v", r.Header)
		}
	}))
	for _, tt := range []struct {
		name, token string
		want        int
	}{
		{"admin", sign(map[string]any{"sub": "me", "groups": []string{"user", "admin"}}), 200},
		{"user", sign(map[string]any{"sub": "me", "groups": "user"}), 403},
		{"somebody else", sign(map[string]any{"sub": "you", "groups": "admin"}), 403},
		{"bad token", "x", 401},
		{"no token", "", 403},
	} {
		headers := []string{"X-Sub: forged"}
		if tt.token != "" {
			headers = append(headers, "Authorization: Bearer "+tt.token)
		}
		if w := get(h, "/", headers...); w.Code != tt.want {
			t.Errorf("%s: %d %s, want %d", tt.name, w.Code, w.Body, tt.want)
		}
	}
	if sub != "me" {
		t.Errorf("x-sub is %q", sub)
	}
}

// TestGatewaySecurity: a gateway authenticates and asks policy before it routes, and routes by claims.
func TestGatewaySecurity(t *testing.T) {
	var log bytes.Buffer
	jwt, sign := tokenRule(t, "")
	m := open(t, rules(jwt, entry("a.test", "10.0.0.1"), edge(`[{port: {number: 80, name: http, protocol: HTTP}, hosts: ["a.test"]}]`),
		policy("default", "p", "{action: DENY, rules: [{to: [{operation: {paths: [/no]}}]}]}"),
		virtualNamed("a", "a.test", "gateways: [edge]", `[{match: [{headers: {"@request.auth.claims.group": {exact: admin}}}], directResponse: {status: 202}}, {directResponse: {status: 204}}]`),
	), &mesh.Options{AccessLog: slog.New(slog.NewJSONHandler(&log, nil))})
	h := m.Gateway("edge")
	for _, tt := range []struct {
		name, path, token string
		want              int
	}{
		{"nobody", "/", "", 204},
		{"admin", "/", sign(map[string]any{"sub": "me", "group": "admin"}), 202},
		{"user", "/", sign(map[string]any{"sub": "me", "group": "user"}), 204},
		{"bad token", "/", "x", 401},
		{"denied", "/no", "", 403},
	} {
		headers := []string{}
		if tt.token != "" {
			headers = append(headers, "Authorization: Bearer "+tt.token)
		}
		if w := get(h, "http://a.test"+tt.path, headers...); w.Code != tt.want {
			t.Errorf("%s: %d %s, want %d", tt.name, w.Code, w.Body, tt.want)
		}
	}
	_ = m.Close() // the log is whole
	for _, want := range []string{"rbac_access_denied_matched_policy[ns[default]-policy[p]-rule[0]]", "jwt_authn_access_denied"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, log.String())
		}
	}
}

// asked is an authorizer in Go.
type asked func(r *http.Request) (*identity.Decision, error)

func (f asked) Check(_ context.Context, r *http.Request) (*identity.Decision, error) { return f(r) }

// TestCustom: providers are asked about what their policies name, before anything else; who fails or is not there denies.
func TestCustom(t *testing.T) {
	custom := func(name, path string) string {
		return policy("default", name, "{action: CUSTOM, provider: {name: "+name+"}, rules: [{to: [{operation: {paths: ["+path+"]}}]}]}")
	}
	m := open(t, rules(custom("good", "/good"), custom("bad", "/bad"), custom("broken", "/broken"), custom("nobody", "/nobody")), &mesh.Options{
		Authorizers: map[string]identity.Provider{
			"good": asked(func(*http.Request) (*identity.Decision, error) {
				return &identity.Decision{Allowed: true, RequestHeader: http.Header{"x-user": {"tom"}}, ResponseHeader: http.Header{"X-Seen": {"yes"}}}, nil
			}),
			"bad": asked(func(*http.Request) (*identity.Decision, error) {
				return &identity.Decision{Status: 418, Body: "no", ResponseHeader: http.Header{"X-Why": {"because"}}}, nil
			}),
			"broken": asked(func(*http.Request) (*identity.Decision, error) {
				return &identity.Decision{Allowed: true}, errors.New("down")
			}),
		},
	})
	h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("X-User")) }))
	for _, tt := range []struct {
		path string
		want int
		body string
	}{{"/", 200, ""}, {"/good", 200, "tom"}, {"/bad", 418, "no"}, {"/broken", 403, ""}, {"/nobody", 403, "RBAC: access denied"}} {
		w := get(h, tt.path)
		if w.Code != tt.want || w.Body.String() != tt.body {
			t.Errorf("%s: %d %q, want %d %q", tt.path, w.Code, w.Body, tt.want, tt.body)
		}
		if tt.path == "/good" && w.Header().Get("X-Seen") != "yes" || tt.path == "/bad" && w.Header().Get("X-Why") != "because" {
			t.Errorf("%s: %v", tt.path, w.Header())
		}
	}
}

// TestExtAuthz: the service over HTTP sees the request without its body, and its answer is obeyed.
func TestExtAuthz(t *testing.T) {
	var saw *http.Request
	var status int
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		saw = r
		w.Header().Set("X-User", "tom")
		w.Header().Set("X-Other", "o")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "answer")
	}))
	defer service.Close()
	e := &identity.ExtAuthz{URL: service.URL + "/check", IncludeRequestHeaders: []string{"x-in-*"}, HeadersToUpstreamOnAllow: []string{"x-user"},
		AdditionalHeaders: map[string]string{"x-more": "m"}, HeadersToDownstreamOnDeny: []string{"x-other"}}
	r := httptest.NewRequest("PUT", "http://a.test/p/%2F?q=1", strings.NewReader("body"))
	r.Header = http.Header{"X-In-A": {"a"}, "X-Out": {"o"}, "Authorization": {"b"}}
	status = 200
	d, err := e.Check(t.Context(), r)
	if err != nil || !d.Allowed || d.RequestHeader.Get("X-User") != "tom" || d.RequestHeader.Get("X-Other") != "" {
		t.Errorf("200: %+v, %v", d, err)
	}
	if saw.Method != "PUT" || saw.Host != "a.test" || saw.RequestURI != "/check/p/%2F?q=1" || saw.ContentLength > 0 ||
		saw.Header.Get("X-In-A") != "a" || saw.Header.Get("X-Out") != "" || saw.Header.Get("Authorization") != "b" || saw.Header.Get("X-More") != "m" {
		t.Errorf("the service saw %s %s %s %v", saw.Method, saw.Host, saw.RequestURI, saw.Header)
	}
	status = 401
	if d, err = e.Check(t.Context(), r); err != nil || d.Allowed || d.Status != 401 || d.Body != "answer" || d.ResponseHeader.Get("X-Other") != "o" || d.ResponseHeader.Get("X-User") != "" {
		t.Errorf("401: %+v, %v", d, err)
	}
	status = 503
	if d, err = e.Check(t.Context(), r); err == nil {
		t.Errorf("503: %+v", d)
	}
	e.StatusOnError = 503
	if d, err = e.Check(t.Context(), r); err != nil || d.Allowed || d.Status != 503 {
		t.Errorf("503 with a status: %+v, %v", d, err)
	}
	e.FailOpen = true
	if d, err = e.Check(t.Context(), r); err != nil || !d.Allowed {
		t.Errorf("503 that lets in: %+v, %v", d, err)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

// TestPeerInPolicy: the identity that mTLS proved decides.
func TestPeerInPolicy(t *testing.T) {
	m := open(t, policy("default", "p", `{rules: [{from: [{source: {principals: ["cluster.local/ns/default/sa/a"]}}]}]}`), nil)
	h := m.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if w := get(h, "/"); w.Code != 403 {
		t.Errorf("a stranger: %d", w.Code)
	}
	if err := m.Update(meshtest.Rules(t, policy("default", "p", `{rules: [{from: [{source: {notPrincipals: ["*"]}}]}]}`))); err != nil {
		t.Fatal(err)
	}
	if w := get(h, "/"); w.Code != 200 {
		t.Errorf("a stranger after the update: %d", w.Code)
	}
}
