package mesh_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

// zone is a DNS that answers from a table, after a while, and counts.
type zone struct {
	mu    sync.Mutex
	hosts map[string][]string // no entry is a failure
	asked []string
	takes time.Duration
}

func (z *zone) lookup(ctx context.Context, host string) ([]string, error) {
	z.mu.Lock()
	z.asked = append(z.asked, host)
	addrs, ok := z.hosts[host]
	takes := z.takes
	z.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return slices.Clone(addrs), nil
}

func (z *zone) set(host string, addrs ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.hosts[host] = addrs; addrs == nil {
		delete(z.hosts, host)
	}
}

// queries is how often DNS was asked since the last time.
func (z *zone) queries() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	n := len(z.asked)
	z.asked = nil
	return n
}

// dialled makes a mesh over its own pools, whose connections are made in memory: whoever is dialled is remembered, and
// refuses. Route retries are off, so that one request is one address.
func dialled(t *testing.T, z *zone, docs string) (get func(url string) string) {
	var last string
	m := open(t, docs, &mesh.Options{LookupHost: z.lookup, Dial: func(_ context.Context, network, address string) (net.Conn, error) {
		last = address
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("refused")}
	}})
	client := clientOf(m, nil)
	return func(url string) string {
		last = ""
		if got := meshtest.Do(t, client, "GET", url); last == "" {
			return lineOf(got)
		}
		return last
	}
}

const once = "[{retries: {attempts: 0}, route: [{destination: {host: a.com}}]}]"

func TestDNSFirstAnswerIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{hosts: map[string][]string{"a.com": {"10.0.0.1"}}, takes: time.Second}
		get := dialled(t, z, rules(byDNS("a.com"), virtual("a.com", once)))
		began := time.Now()
		if got := get("http://a.com/"); got != "10.0.0.1:80" {
			t.Errorf("got %s", got)
		}
		if time.Since(began) != time.Second || z.queries() != 1 {
			t.Errorf("took %v", time.Since(began))
		}
		get("http://a.com/")
		if z.queries() != 0 || time.Since(began) != time.Second {
			t.Error("asked again at once")
		}
	})
}

// Requests that come meanwhile wait for the same answer.
func TestDNSIsAskedOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{hosts: map[string][]string{"a.com": {"10.0.0.1"}}, takes: time.Second}
		m := open(t, byDNS("a.com"), &mesh.Options{LookupHost: z.lookup, Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("refused")
		}})
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { meshtest.Do(t, clientOf(m, nil), "GET", "http://a.com/") })
		}
		wg.Wait()
		if n := z.queries(); n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
	})
}

// Later answers are fetched in the background, while requests go on with what is known.
func TestDNSRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{hosts: map[string][]string{"a.com": {"10.0.0.1"}}}
		get := dialled(t, z, rules(byDNS("a.com"), virtual("a.com", once)))
		get("http://a.com/")
		z.set("a.com", "10.0.0.2")
		z.takes = time.Second
		time.Sleep(6 * time.Second)
		began := time.Now()
		if got := get("http://a.com/"); got != "10.0.0.1:80" || time.Since(began) != 0 {
			t.Errorf("got %s after %v, want what is known at once", got, time.Since(began))
		}
		time.Sleep(2 * time.Second)
		if got := get("http://a.com/"); got != "10.0.0.2:80" {
			t.Errorf("got %s, want the news", got)
		}
		if n := z.queries(); n != 2 {
			t.Errorf("asked %d times, want twice", n)
		}
	})
}

// Nobody is asked while there are no requests.
func TestDNSRestsWithoutRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{hosts: map[string][]string{"a.com": {"10.0.0.1"}}}
		get := dialled(t, z, rules(byDNS("a.com"), virtual("a.com", once)))
		time.Sleep(time.Hour)
		if n := z.queries(); n != 0 {
			t.Errorf("asked %d times before the first request", n)
		}
		get("http://a.com/")
		time.Sleep(time.Hour)
		if n := z.queries(); n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
	})
}

func TestDNSFailureKeepsTheLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{hosts: map[string][]string{"a.com": {"10.0.0.1"}}}
		get := dialled(t, z, rules(byDNS("a.com"), virtual("a.com", once)))
		get("http://a.com/")
		z.set("a.com")
		for range 5 {
			time.Sleep(time.Minute)
			if got := get("http://a.com/"); got != "10.0.0.1:80" {
				t.Errorf("got %s, want the last good answer", got)
			}
		}
		z.set("a.com", "10.0.0.2")
		time.Sleep(2 * time.Minute)
		get("http://a.com/") // asks
		synctest.Wait()
		if got := get("http://a.com/"); got != "10.0.0.2:80" {
			t.Errorf("got %s, want the answer after the failure", got)
		}
	})
}

// Without a first answer a request is refused, and the next one asks again.
func TestDNSWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{hosts: map[string][]string{}}
		get := dialled(t, z, rules(byDNS("a.com"), virtual("a.com", once)))
		for range 2 {
			if got := get("http://a.com/"); got != "503 UH" {
				t.Errorf("got %s", got)
			}
		}
		z.set("a.com", "10.0.0.1")
		if got := get("http://a.com/"); got != "10.0.0.1:80" {
			t.Errorf("got %s", got)
		}
	})
}

// DNS uses every address, DNS_ROUND_ROBIN the first.
func TestDNSAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for resolution, want := range map[string][]string{"DNS": {"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"}, "DNS_ROUND_ROBIN": {"10.0.0.2:80"}} {
			z := &zone{hosts: map[string][]string{"a.com": {"10.0.0.2", "10.0.0.1", "10.0.0.3"}}}
			get := dialled(t, z, rules("apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\nspec: {hosts: [a.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: "+resolution+"}\n", virtual("a.com", once)))
			seen := map[string]bool{}
			for range 50 {
				seen[get("http://a.com/")] = true
			}
			var got []string
			for a := range seen {
				got = append(got, a)
			}
			slices.Sort(got)
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("%s (-got +want):\n%s", resolution, diff)
			}
		}
	})
}

// Endpoints that are names are resolved each, with their own ports.
func TestDNSEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{hosts: map[string][]string{"one.net": {"10.0.0.1"}}}
		get := dialled(t, z, rules("apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\nspec: {hosts: [a.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS, endpoints: [{address: one.net, ports: {http: 8081}}, {address: dead.net}, {address: 10.0.0.9}]}\n", virtual("a.com", once)))
		seen := map[string]bool{}
		for range 50 {
			seen[get("http://a.com/")] = true
		}
		if diff := cmp.Diff(seen, map[string]bool{"10.0.0.1:8081": true, "10.0.0.9:80": true}); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
	})
}

// A host that no object declares is found by DNS at the port asked for; a short name is tried as it was written.
func TestDNSUndeclared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{hosts: map[string][]string{"backend": {"10.0.0.1"}, "other.com": {"10.0.0.2"}}}
		get := dialled(t, z, rules(virtual("front.com", "[{match: [{uri: {prefix: /short}}], retries: {attempts: 0}, route: [{destination: {host: backend}}]}, {retries: {attempts: 0}, route: [{destination: {host: other.com, port: {number: 81}}}]}]")))
		for url, want := range map[string]string{"http://front.com/short": "10.0.0.1:80", "http://front.com:8080/short": "10.0.0.1:8080", "http://front.com/": "10.0.0.2:81"} {
			if got := get(url); got != want {
				t.Errorf("%s: got %s, want %s", url, got, want)
			}
		}
	})
}

// A base does lookups of its own: it gets the name.
func TestDNSOverABase(t *testing.T) {
	z := &zone{hosts: map[string][]string{}}
	m := open(t, rules(byDNS("a.com"), virtual("front.com", "[{route: [{destination: {host: undeclared.com, port: {number: 81}}}]}]")), &mesh.Options{LookupHost: z.lookup})
	client := clientOf(m, meshtest.Fleet{"a.com:80": meshtest.Name("a"), "undeclared.com:81": meshtest.Name("u")})
	for url, want := range map[string]string{"http://a.com/": "a", "http://front.com/": "u"} {
		if got := meshtest.Do(t, client, "GET", url); got.Body != want {
			t.Errorf("%s: got %+v", url, got)
		}
	}
	if n := z.queries(); n != 0 {
		t.Errorf("asked DNS %d times", n)
	}
}

// Requests that wait for a first answer leave with their context; the lookup goes on for the others.
func TestDNSWaitEndsWithTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{hosts: map[string][]string{"a.com": {"10.0.0.1"}}, takes: time.Minute}
		m := open(t, rules(byDNS("a.com"), virtual("a.com", "[{timeout: 2s, route: [{destination: {host: a.com}}]}]")), &mesh.Options{LookupHost: z.lookup})
		began := time.Now()
		if got := meshtest.Do(t, clientOf(m, nil), "GET", "http://a.com/"); verdict(got.Err) != "504 UT" || time.Since(began) != 2*time.Second {
			t.Errorf("got %v after %v", got.Err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := clientOf(m, nil).Do(newRequest(t, "GET", "http://a.com/", nil).WithContext(ctx)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if n := z.queries(); n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
	})
}
