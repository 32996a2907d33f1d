package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	security "istio.io/api/security/v1"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// issuer signs tokens.
type issuer struct {
	key crypto.Signer
	kid string
	alg jose.SignatureAlgorithm
}

func newIssuer(t testing.TB, kid string) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{key, kid, jose.ES256}
}

func (i *issuer) keys(t testing.TB) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: i.kid, Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

type claims map[string]any

func (i *issuer) sign(t testing.TB, c claims) string {
	t.Helper()
	return signed(t, i.alg, &jose.JSONWebKey{Key: i.key, KeyID: i.kid}, c)
}

func signed(t testing.TB, alg jose.SignatureAlgorithm, key any, c claims) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tokens(t testing.TB, o *TokenOptions, rules ...*security.JWTRule) *Tokens {
	t.Helper()
	out, err := NewTokens(rules, o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func with(token string) *http.Request {
	r := httptest.NewRequest("GET", "http://a.test/p?q=1", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// refused is the status and body of the answer, "" for none.
func refused(err error) string {
	var e *answer.Error
	if errors.As(err, &e) {
		return fmt.Sprint(e.Status, " ", e.Body)
	}
	return ""
}

func TestVerify(t *testing.T) {
	iss, other := newIssuer(t, "k1"), newIssuer(t, "k1")
	now := time.Now().Unix()
	rule := &security.JWTRule{Issuer: "https://i.test", Audiences: []string{"https://api.test/"}, Jwks: iss.keys(t)}
	good := func(change claims) claims {
		c := claims{"iss": "https://i.test", "sub": "me", "aud": "api.test", "exp": now + 100}
		for k, v := range change {
			if c[k] = v; v == nil {
				delete(c, k)
			}
		}
		return c
	}
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	valid := iss.sign(t, good(nil))
	head, rest, _ := strings.Cut(valid, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	public, _ := json.Marshal(iss.key.Public())
	for _, tt := range []struct{ name, token, want string }{
		{"valid", valid, ""},
		{"no token", "", ""},
		{"audiences as a list", iss.sign(t, good(claims{"aud": []any{"z", "http://api.test"}})), ""},
		{"expired within the skew", iss.sign(t, good(claims{"exp": now - 50})), ""},
		{"no expiry", iss.sign(t, good(claims{"exp": nil})), ""},
		{"expired", iss.sign(t, good(claims{"exp": now - 70})), "401 Jwt is expired"},
		{"not yet valid", iss.sign(t, good(claims{"nbf": now + 70})), "401 Jwt not yet valid"},
		{"not yet valid within the skew", iss.sign(t, good(claims{"nbf": now + 50})), ""},
		{"other issuer", iss.sign(t, good(claims{"iss": "https://j.test"})), "401 Jwt issuer is not configured"},
		{"no issuer", iss.sign(t, good(claims{"iss": nil})), "401 Jwt issuer is not configured"},
		{"other audience", iss.sign(t, good(claims{"aud": "x"})), "403 Audiences in Jwt are not allowed"},
		{"no audience", iss.sign(t, good(claims{"aud": nil})), "403 Audiences in Jwt are not allowed"},
		{"other key", other.sign(t, good(nil)), "401 Jwt verification fails"},
		{"unknown key", (&issuer{other.key, "k2", jose.ES256}).sign(t, good(nil)), "401 Jwks doesn't have key to match kid or alg from Jwt"},
		{"a key without a name", signed(t, jose.ES256, iss.key, good(nil)), ""},
		{"not a token", "abc", "401 " + string(badFormat)},
		{"two parts", "a.b", "401 " + string(badFormat)},
		{"encrypted", "a.b.c.d.e", "401 " + string(badFormat)},
		{"oversized", iss.sign(t, good(claims{"x": strings.Repeat("x", maxToken)})), "401 " + string(badFormat)},
		{"nested", part(`{"alg":"ES256","cty":"JWT"}`) + "." + part(valid) + "." + signature, "401 " + string(badFormat)},
		{"critical header", part(`{"alg":"ES256","crit":["x"],"x":1}`) + "." + payload + "." + signature, "401 " + string(badFormat)},
		{"none", part(`{"alg":"none"}`) + "." + payload + "." + signature, "401 Jwt header [alg] is not supported"},
		{"None without signature", part(`{"alg":"None"}`) + "." + payload + ".", "401 Jwt header [alg] is not supported"},
		{"no alg", part(`{}`) + "." + payload + "." + signature, "401 Jwt header [alg] field is required and must be a string"},
		{"kid is a number", part(`{"alg":"ES256","kid":1}`) + "." + payload + "." + signature, "401 Jwt header [kid] field is not a string"},
		{"algorithm confusion", signed(t, jose.HS256, []byte(strings.Repeat(string(public), 2)), good(nil)), "401 Jwks doesn't have key to match kid or alg from Jwt"},
		{"changed payload", head + "." + part(`{"iss":"https://i.test","aud":"api.test","sub":"you"}`) + "." + signature, "401 Jwt verification fails"},
		{"no signature", head + "." + payload + ".", "401 Jwt signature is an invalid Base64"},
		{"no header", "." + payload + "." + signature, "401 Jwt header is an invalid JSON"},
		{"payload not an object", head + "." + part(`[1]`) + "." + signature, "401 Jwt payload is an invalid JSON"},
		{"issuer not text", iss.sign(t, good(claims{"iss": 1})), "401 Jwt payload [iss] field is not a string"},
		{"expiry not a number", iss.sign(t, good(claims{"exp": "x"})), "401 Jwt payload [exp] field is not an integer"},
		{"audience not text", iss.sign(t, good(claims{"aud": 1})), "401 Jwt payload [aud] field is not a string or string list"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, token, err := tokens(t, nil, rule).Verify(with(tt.token))
			if got := refused(err); got != tt.want {
				t.Fatalf("refused %q, want %q", got, tt.want)
			}
			if (token != nil) != (tt.want == "" && tt.token != "") {
				t.Errorf("token %+v", token)
			}
			if tt.want == "" && r.Header.Get("Authorization") != "" {
				t.Error("the token goes on to the application")
			}
		})
	}
}

func TestRefusal(t *testing.T) {
	iss := newIssuer(t, "")
	_, _, err := tokens(t, nil, &security.JWTRule{Issuer: "i", Jwks: iss.keys(t)}).Verify(with("x"))
	var e *answer.Error
	if !errors.As(err, &e) || !errors.Is(err, ErrUnauthenticated) {
		t.Fatal(err)
	}
	if got, want := e.Header["Www-Authenticate"], `Bearer realm="http://a.test/p", error="invalid_token"`; got != want {
		t.Errorf("www-authenticate %s, want %s", got, want)
	}
	if got, want := e.Details, "jwt_authn_access_denied{Jwt_is_not_in_the_form_of_Header.Payload.Signature_with_two_dots_and_3_sections}"; got != want {
		t.Errorf("details %s, want %s", got, want)
	}
}

// TestPlaces: where tokens are found, and that they do not go on unless they may.
func TestPlaces(t *testing.T) {
	iss := newIssuer(t, "k")
	token := iss.sign(t, claims{"iss": "i", "sub": "me"})
	for _, tt := range []struct {
		name  string
		rule  *security.JWTRule
		place func(*http.Request)
		found bool
		after string // header, query and cookies as they go on
	}{
		{"default header", &security.JWTRule{}, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }, true, "| |"},
		{"another scheme", &security.JWTRule{}, func(r *http.Request) { r.Header.Set("Authorization", "Basic x") }, false, "Basic x| |"},
		{"default parameter", &security.JWTRule{}, func(r *http.Request) { r.URL.RawQuery = "a=1&access_token=" + token + "&b=2" }, true, "|a=1&b=2|"},
		{"header with prefix", &security.JWTRule{FromHeaders: []*security.JWTHeader{{Name: "x-jwt", Prefix: "T "}}}, func(r *http.Request) { r.Header.Set("X-Jwt", "T "+token) }, true, "| |"},
		{"header without prefix", &security.JWTRule{FromHeaders: []*security.JWTHeader{{Name: "x-jwt"}}}, func(r *http.Request) { r.Header.Set("X-Jwt", token) }, true, "| |"},
		{"the default is off", &security.JWTRule{FromParams: []string{"t"}}, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }, false, "Bearer| |"},
		{"parameter", &security.JWTRule{FromParams: []string{"t"}}, func(r *http.Request) { r.URL.RawQuery = "%74=" + token }, true, "| |"},
		{"cookie", &security.JWTRule{FromCookies: []string{"c"}}, func(r *http.Request) { r.Header.Set("Cookie", "a=1; c="+token+"; b=2") }, true, "| |a=1; b=2"},
		{"kept", &security.JWTRule{ForwardOriginalToken: true}, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }, true, "Bearer| |"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.rule.Issuer, tt.rule.Jwks = "i", iss.keys(t)
			in := httptest.NewRequest("GET", "/", nil)
			tt.place(in)
			before := in.Header.Clone()
			r, got, err := tokens(t, nil, tt.rule).Verify(in)
			if err != nil || (got != nil) != tt.found {
				t.Fatalf("token %v, %v", got, err)
			}
			after := fmt.Sprintf("%s|%s |%s", strings.TrimSuffix(r.Header.Get("Authorization"), " "+token), r.URL.RawQuery, r.Header.Get("Cookie"))
			if strings.ReplaceAll(after, " |", "|") != strings.ReplaceAll(tt.after, " |", "|") || r.Header.Get("X-Jwt") != "" {
				t.Errorf("goes on as %q, want %q", after, tt.after)
			}
			if diff := cmp.Diff(before, in.Header); diff != "" {
				t.Errorf("the request was changed: %s", diff)
			}
		})
	}
}

// TestOutputs: headers made of claims, and forged ones gone, with a token and without, and on preflights.
func TestOutputs(t *testing.T) {
	iss := newIssuer(t, "k")
	rule := &security.JWTRule{Issuer: "i", Jwks: iss.keys(t), OutputPayloadToHeader: "x-payload"}
	for header, claim := range map[string]string{"x-sub": "sub", "x-deep": "a.b", "x-n": "n", "x-yes": "yes", "x-list": "list", "x-bad": "bad", "x-none": "none"} {
		rule.OutputClaimToHeaders = append(rule.OutputClaimToHeaders, &security.ClaimToHeader{Header: header, Claim: claim})
	}
	c := claims{"iss": "i", "sub": "me", "a": map[string]any{"b": "deep"}, "n": 12345678, "yes": true, "list": []any{"a"}, "bad": "a\nb", "scope": "read write"}
	token := iss.sign(t, c)
	forge := func(r *http.Request) *http.Request {
		for _, h := range []string{"X-Payload", "X-Sub", "X-Deep", "X-N", "X-Yes", "X-List", "X-Bad", "X-None"} {
			r.Header.Set(h, "forged")
		}
		return r
	}
	v := tokens(t, nil, rule)
	r, got, err := v.Verify(forge(with(token)))
	if err != nil {
		t.Fatal(err)
	}
	want := http.Header{"X-Payload": {strings.Split(token, ".")[1]}, "X-Sub": {"me"}, "X-Deep": {"deep"}, "X-N": {"12345678"}, "X-Yes": {"true"}}
	if diff := cmp.Diff(want, r.Header); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]any{"read", "write"}, got.Claims["scope"]); diff != "" {
		t.Error(diff)
	}
	if r, _, err = v.Verify(forge(with(""))); err != nil || len(r.Header) != 0 {
		t.Errorf("without a token: %v, %v", r.Header, err)
	}
	preflight := forge(httptest.NewRequest("OPTIONS", "/", nil))
	preflight.Header.Set("Origin", "http://o")
	preflight.Header.Set("Access-Control-Request-Method", "PUT")
	preflight.Header.Set("Authorization", "Bearer bad")
	if r, _, err = v.Verify(preflight); err != nil || r.Header.Get("X-Sub") != "" {
		t.Errorf("a preflight: %v, %v", r.Header, err)
	}
}

// TestRulesTogether: a token need be accepted by one rule, and several tokens of one rule must all be good.
func TestRulesTogether(t *testing.T) {
	a, b := newIssuer(t, "a"), newIssuer(t, "b")
	v := tokens(t, nil, &security.JWTRule{Issuer: "a", Jwks: a.keys(t)}, &security.JWTRule{Issuer: "b", Jwks: b.keys(t)})
	ofA, ofB := a.sign(t, claims{"iss": "a", "sub": "1"}), b.sign(t, claims{"iss": "b", "sub": "2"})
	for _, tt := range []struct{ name, token, sub, want string }{
		{"of the first", ofA, "1", ""},
		{"of the second", ofB, "2", ""},
		{"of neither", a.sign(t, claims{"iss": "c"}), "", "401 Jwt issuer is not configured"},
		{"wrongly signed", b.sign(t, claims{"iss": "a"}), "", "401 Jwks doesn't have key to match kid or alg from Jwt"},
	} {
		_, token, err := v.Verify(with(tt.token))
		if got := refused(err); got != tt.want || token != nil && token.Subject != tt.sub {
			t.Errorf("%s: %q %+v", tt.name, got, token)
		}
	}
	r := with(ofA)
	r.URL.RawQuery = "access_token=" + ofB
	if _, _, err := v.Verify(r); refused(err) == "" {
		t.Error("a second token of another issuer is not looked at")
	}
	r = with(ofA)
	r.Header.Add("Authorization", "Bearer bad")
	if _, _, err := v.Verify(r); refused(err) == "" {
		t.Error("a second header is not looked at")
	}
}

// roundTrip is a key server without sockets.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestRemoteKeys: fetched once, kept, rotated, and served on outages.
func TestRemoteKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newIssuer(t, "1"), newIssuer(t, "2")
		var fetched atomic.Int32
		var doc atomic.Value
		doc.Store(first.keys(t))
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration") {
				return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"jwks_uri":"https://keys.test/k"}`))}, nil
			}
			fetched.Add(1)
			time.Sleep(time.Second)
			text := doc.Load().(string)
			if text == "" {
				return nil, errors.New("down")
			}
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(text))}, nil
		})}
		rule := &security.JWTRule{Issuer: "https://i.test/"}
		v := tokens(t, &TokenOptions{Client: client}, rule)
		of := func(i *issuer) string { return i.sign(t, claims{"iss": "https://i.test/"}) }
		check := func(name string, v *Tokens, token, want string, fetches int32) {
			t.Helper()
			_, _, err := v.Verify(with(token))
			if got := refused(err); got != want || fetched.Load() != fetches {
				t.Errorf("%s: refused %q, want %q; %d fetches, want %d", name, got, want, fetched.Load(), fetches)
			}
		}
		for range 5 { // a stampede
			go func() { _, _, _ = v.Verify(with(of(first))) }()
		}
		synctest.Wait()
		time.Sleep(2 * time.Second)
		check("kept", v, of(first), "", 1)
		check("an unknown key, too soon", v, of(second), "401 "+string(noKey), 1)
		doc.Store(second.keys(t))
		time.Sleep(keysPause)
		check("rotated", v, of(second), "", 2)
		check("the old key is gone", v, of(first), "401 "+string(noKey), 2)
		doc.Store("")
		time.Sleep(freshKeys)
		check("the last good keys", v, of(second), "", 3)
		check("no stampede at an outage", v, of(second), "", 3)
		check("taken over", tokens(t, &TokenOptions{Client: client, Previous: v}, rule), of(second), "", 3)
		fresh := tokens(t, &TokenOptions{Client: client}, rule)
		check("never any keys", fresh, of(second), "401 "+string(noKeys), 4)
		check("not asked again at once", fresh, of(second), "401 "+string(noKeys), 4)
		doc.Store(strings.Repeat(" ", maxKeysDoc+1))
		time.Sleep(keysPause)
		check("too large", fresh, of(second), "401 "+string(noKeys), 5)
		secret, _ := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: []byte("0123456789abcdef0123456789abcdef"), KeyID: "s"}}})
		doc.Store(string(secret))
		time.Sleep(keysPause)
		check("published secrets", fresh, of(second), "401 "+string(noKeys), 6)
		if _, err := NewTokens([]*security.JWTRule{{Issuer: "i", Jwks: string(secret)}}, nil); err != nil {
			t.Errorf("a secret in the rule: %v", err)
		}
	})
}

func TestRSA(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	iss := &issuer{key, "r", jose.RS256}
	v := tokens(t, nil, &security.JWTRule{Issuer: "i", Jwks: iss.keys(t)})
	if _, token, err := v.Verify(with(iss.sign(t, claims{"iss": "i"}))); err != nil || token == nil {
		t.Error(err)
	}
}

func FuzzParseToken(f *testing.F) {
	for _, s := range []string{"", "a.b.c", "eyJhbGciOiJFUzI1NiJ9.e30.AA", "eyJhbGciOiJub25lIn0.e30."} {
		f.Add(s)
	}
	v, err := NewTokens([]*security.JWTRule{{Issuer: "i", Jwks: newIssuer(f, "k").keys(f)}}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Authorization"] = []string{"Bearer " + s}
		if _, token, _ := v.Verify(r); token != nil {
			t.Fatalf("%q is accepted", s)
		}
	})
}
