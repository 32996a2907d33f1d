package balance_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/route/balance"
)

type hashLB = networking.LoadBalancerSettings_ConsistentHashLB

func hashing(h *hashLB) *networking.LoadBalancerSettings {
	return &networking.LoadBalancerSettings{LbPolicy: &networking.LoadBalancerSettings_ConsistentHash{ConsistentHash: h}}
}

func byHeader(name string) *hashLB {
	return &hashLB{HashKey: &networking.LoadBalancerSettings_ConsistentHashLB_HttpHeaderName{HttpHeaderName: name}}
}

func byParameter(name string) *hashLB {
	return &hashLB{HashKey: &networking.LoadBalancerSettings_ConsistentHashLB_HttpQueryParameterName{HttpQueryParameterName: name}}
}

func byIP() *hashLB {
	return &hashLB{HashKey: &networking.LoadBalancerSettings_ConsistentHashLB_UseSourceIp{UseSourceIp: true}}
}

func byCookie(c *networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie) *hashLB {
	return &hashLB{HashKey: &networking.LoadBalancerSettings_ConsistentHashLB_HttpCookie{HttpCookie: c}}
}

func source(url string, headers ...string) *balance.Source {
	r := httptest.NewRequest(http.MethodGet, url, nil)
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		r.Header.Add(k, v)
	}
	return &balance.Source{Request: r, IP: "10.1.2.3"}
}

func TestKey(t *testing.T) {
	cookie := byCookie(&networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie{Name: "who"})
	tests := []struct {
		name string
		key  *hashLB
		from *balance.Source
		want string // what is hashed; "-" for nothing
	}{
		{"header", byHeader("x-user"), source("http://a.com/", "X-User: jason"), "jason"},
		{"header that is empty", byHeader("x-user"), source("http://a.com/", "X-User: "), ""},
		{"header that is missing", byHeader("x-user"), source("http://a.com/"), "-"},
		{"headers, sorted", byHeader("x-user"), source("http://a.com/", "X-User: b", "X-User: c", "X-User: a"), "abc"},
		{"authority", byHeader(":authority"), source("http://a.com/"), "a.com"},
		{"host", byHeader("Host"), source("http://a.com/"), "a.com"},
		{"path", byHeader(":path"), source("http://a.com/b?c=d"), "/b?c=d"},
		{"method", byHeader(":method"), source("http://a.com/"), "GET"},
		{"scheme", byHeader(":scheme"), source("http://a.com/"), "http"},
		{"cookie", cookie, source("http://a.com/", "Cookie: x=y; who=me;z"), "me"},
		{"cookie in quotes", cookie, source("http://a.com/", `Cookie: who="me"`), "me"},
		{"first of two cookies", cookie, source("http://a.com/", "Cookie: awho=x; who=a", "Cookie: who=b"), "a"},
		{"cookie that is empty", cookie, source("http://a.com/", "Cookie: who="), "-"},
		{"cookie that is missing", cookie, source("http://a.com/", "Cookie: who; ; =;"), "-"},
		{"parameter", byParameter("id"), source("http://a.com/?x=1&id=7&id=8"), "7"},
		{"parameter is not decoded", byParameter("id"), source("http://a.com/?id=%37+"), "%37+"},
		{"parameter without a value", byParameter("id"), source("http://a.com/?id"), ""},
		{"parameter that is missing", byParameter("id"), source("http://a.com/?xid=1&&"), "-"},
		{"source IP", byIP(), source("http://a.com/"), "10.1.2.3"},
		{"no source IP", byIP(), &balance.Source{Request: source("http://a.com/").Request}, "-"},
		{"source IP is false", &hashLB{HashKey: &networking.LoadBalancerSettings_ConsistentHashLB_UseSourceIp{}}, source("http://a.com/"), "-"},
		{"no key", &hashLB{}, source("http://a.com/"), "-"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := balance.KeyOf(hashing(tt.key))
			got, ok := k.Hash(tt.from)
			if ok != (tt.want != "-") {
				t.Fatalf("%v: got %v", k, ok)
			}
			if want := xxhash.Sum64String(tt.want); ok && got != want {
				t.Errorf("%v: got %d, want the hash of %q", k, got, tt.want)
			}
			if n := testing.AllocsPerRun(10, func() { _, _ = k.Hash(tt.from) }); n != 0 && tt.name != "path" {
				t.Errorf("got %v allocations, want none", n)
			}
		})
	}
	if got := balance.KeyOf(nil).String(); got != "" {
		t.Errorf("no settings: got %q", got)
	}
}

// The number is that of Envoy: xxHash64 with seed 0.
func TestKeyIsEnvoys(t *testing.T) {
	got, _ := balance.KeyOf(hashing(byHeader("x"))).Hash(source("http://a.com/", "X: foo"))
	if want := uint64(3728699739546630719); got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

func TestCookieIsMade(t *testing.T) {
	tests := []struct {
		name, sent string
		cookie     *networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie
		want       []string
	}{
		{"without a ttl never", "", &networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie{Path: "/"}, nil},
		{"for the session", "", &networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie{Ttl: durationpb.New(0)}, []string{`who="1f"; HttpOnly`}},
		{"with a ttl and a path", "", &networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie{Ttl: durationpb.New(90*time.Second + time.Millisecond), Path: "/a"},
			[]string{`who="1f"; Max-Age=90; Path=/a; HttpOnly`}},
		{"with attributes", "who=", &networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie{Ttl: durationpb.New(0),
			Attributes: []*networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie_Attribute{{Name: "SameSite", Value: "Strict"}, {Name: "Secure"}}},
			[]string{`who="1f"; SameSite=Strict; Secure; HttpOnly`}},
		{"not where there is one", "who=me", &networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie{Ttl: durationpb.New(time.Second)}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.cookie.Name = "who"
			s := source("http://a.com/")
			if tt.sent != "" {
				s.Request.Header.Set("Cookie", tt.sent)
			}
			s.NewCookie = func() string { return "1f" }
			got, ok := balance.KeyOf(hashing(byCookie(tt.cookie))).Hash(s)
			if d := cmp.Diff(tt.want, s.SetCookie); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			if tt.want != nil && (!ok || got != xxhash.Sum64String("1f")) {
				t.Errorf("got %d, %v, want the hash of the new cookie", got, ok)
			}
			for _, line := range tt.want {
				if c, err := http.ParseSetCookie(line); err != nil || c.Name != "who" || c.Value != "1f" || !c.HttpOnly {
					t.Errorf("%s: got %v, %v", line, c, err)
				}
			}
		})
	}
}

// The keys of several destinations are mixed: those that are missing leave no trace.
func TestHashOfSeveralKeys(t *testing.T) {
	a, b := balance.KeyOf(hashing(byHeader("a"))), balance.KeyOf(hashing(byHeader("b")))
	h := xxhash.Sum64String
	tests := []struct {
		name string
		from *balance.Source
		want uint64
		ok   bool
	}{
		{"both", source("http://x/", "A: 1", "B: 2"), (h("1")<<1 | h("1")>>63) ^ h("2"), true},
		{"the first", source("http://x/", "A: 1"), h("1"), true},
		{"the second", source("http://x/", "B: 2"), h("2"), true},
		{"none", source("http://x/"), 0, false},
	}
	for _, tt := range tests {
		if got, ok := balance.Hash([]*balance.Key{a, nil, b}, tt.from); got != tt.want || ok != tt.ok {
			t.Errorf("%s: got %d, %v, want %d, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

func TestKeyString(t *testing.T) {
	for want, h := range map[string]*hashLB{
		"header X-User":      byHeader("x-user"),
		"header :authority":  byHeader(":authority"),
		"query parameter id": byParameter("id"),
		"source IP":          byIP(),
		"cookie who":         byCookie(&networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie{Name: "who"}),
		"cookie who, made where it is missing": byCookie(&networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie{Name: "who",
			Ttl: durationpb.New(0)}),
	} {
		if got := balance.KeyOf(hashing(h)).String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func FuzzKey(f *testing.F) {
	f.Add("who", "a=b; who=\"c\"; =", "id=1&&=&id")
	f.Add("", ";;", "&")
	f.Fuzz(func(t *testing.T, name, cookies, query string) {
		s := source("http://a.com/")
		s.Request.Header["Cookie"] = []string{cookies}
		s.Request.URL.RawQuery = query
		for _, h := range []*hashLB{byHeader(name), byParameter(name), byCookie(&networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie{Name: name})} {
			k := balance.KeyOf(hashing(h))
			x, ok := k.Hash(s)
			if y, again := k.Hash(s); x != y || ok != again {
				t.Errorf("%v: got %d, %v and then %d, %v", k, x, ok, y, again)
			}
		}
	})
}

// A ring or a table keeps requests with a number at an endpoint, sends those without one to any, and leaves out what is
// not healthy.
func TestHashing(t *testing.T) {
	for name, h := range map[string]*hashLB{
		"ring":   byHeader("x"),
		"maglev": {HashKey: byHeader("x").HashKey, HashAlgorithm: &networking.LoadBalancerSettings_ConsistentHashLB_Maglev{Maglev: &networking.LoadBalancerSettings_ConsistentHashLB_MagLev{TableSize: 1021}}},
	} {
		t.Run(name, func(t *testing.T) {
			b, eps := newBalancer(t, hashing(h), 1), endpoints(1, 1, 1, 1, 1)
			b.Update(eps)
			first := map[uint64]*balance.Endpoint{}
			const keys = 500
			for k := range uint64(keys) {
				key := xxhash.Sum64String(fmt.Sprint(k))
				first[key] = b.Pick(balance.Hints{Key: key, Keyed: true})
			}
			for key, e := range first {
				if got := b.Pick(balance.Hints{Key: key, Keyed: true}); got != e {
					t.Fatalf("got %s and then %s", e.Address, got.Address)
				}
			}
			eps[2].SetEjected(true)
			moved := 0
			for key, e := range first {
				got := b.Pick(balance.Hints{Key: key, Keyed: true})
				if got == eps[2] {
					t.Fatal("got the one that is ejected")
				}
				if got != e && e != eps[2] {
					moved++
				}
			}
			if moved > keys/5 {
				t.Errorf("%d of %d moved though their endpoint stayed", moved, keys)
			}
			eps[2].SetEjected(false)
			for key, e := range first {
				if got := b.Pick(balance.Hints{Key: key, Keyed: true}); got != e {
					t.Fatalf("after its return: got %s, want %s", got.Address, e.Address)
				}
			}
			got := count(b, eps, 10_000)
			for i, n := range got { // without a number; the ring's arcs differ in length
				if n < 1400 || n > 2600 {
					t.Errorf("without a number, endpoint %d: got %d of 10000, want about 2000", i, n)
				}
			}
			// A retry that is to avoid its first endpoint finds another one, always the same.
			key := xxhash.Sum64String("again")
			e := b.Pick(balance.Hints{Key: key, Keyed: true})
			other := b.Pick(balance.Hints{Key: key, Keyed: true, Tried: []*balance.Endpoint{e}})
			if other == e || other != b.Pick(balance.Hints{Key: key, Keyed: true, Tried: []*balance.Endpoint{e}}) {
				t.Error("want another endpoint, and the same each time")
			}
		})
	}
}

func TestRefused(t *testing.T) {
	maglev := func(n uint64) *hashLB {
		return &hashLB{HashAlgorithm: &networking.LoadBalancerSettings_ConsistentHashLB_Maglev{Maglev: &networking.LoadBalancerSettings_ConsistentHashLB_MagLev{TableSize: n}}}
	}
	ring := func(n uint64) *hashLB {
		return &hashLB{HashAlgorithm: &networking.LoadBalancerSettings_ConsistentHashLB_RingHash_{RingHash: &networking.LoadBalancerSettings_ConsistentHashLB_RingHash{MinimumRingSize: n}}}
	}
	tests := []struct {
		name string
		lb   *networking.LoadBalancerSettings
		want string // of the error; empty where there is none
	}{
		{"table of 0", hashing(maglev(0)), "balance: loadBalancer.consistentHash.maglev.tableSize: 0, want a prime number"},
		{"table that is not prime", hashing(maglev(1024)), "balance: loadBalancer.consistentHash.maglev.tableSize: 1024 is not a prime number"},
		{"table that is too big", hashing(maglev(5_000_011)), "balance: loadBalancer.consistentHash.maglev.tableSize: 5000011 is not less"},
		{"table of 1", hashing(maglev(1)), ""},
		{"table of 2", hashing(maglev(2)), ""},
		{"ring that is too big", hashing(ring(8<<20 + 1)), "balance: loadBalancer.consistentHash.ringHash.minimumRingSize: 8388609 is more than 8388608"},
		{"old ring that is too big", hashing(&hashLB{MinimumRingSize: 1 << 63}), "balance: loadBalancer.consistentHash.minimumRingSize: 9223372036854775808 is more"},
		{"ring of 0", hashing(ring(0)), ""},
		{"ring of 1", hashing(ring(1)), ""},
		{"cookie without a name", hashing(byCookie(&networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie{})), "balance: loadBalancer.consistentHash.httpCookie.name: "},
		{"header without a name", hashing(byHeader("")), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := balance.New(tt.lb, nil)
			if tt.want != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
					t.Fatalf("got error %v, want one that starts with %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, ws := range [][]int{{1}, {1, 1}, {0, -1, 5}, {1, 50_000, 1}} {
				b.Update(endpoints(ws...))
				for k := range uint64(100) {
					if b.Pick(balance.Hints{Key: k << 57, Keyed: true}) == nil || b.Pick(balance.Hints{}) == nil {
						t.Fatalf("weights %v: got none", ws)
					}
				}
			}
		})
	}
}
