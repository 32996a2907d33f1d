package breaker

import (
	"cmp"
	"container/list"
	"math"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// ByHeader tells requests apart by a header: its first value.
func ByHeader(name string) func(*http.Request) string {
	name = http.CanonicalHeaderKey(name)
	return func(r *http.Request) string {
		if name == "Host" {
			return r.Host
		}
		if v := r.Header[name]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
}

// ByPeer tells requests that come in apart by the SPIFFE ID in the verified certificate of the client. Who has none
// has no key.
func ByPeer(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.PeerCertificates) == 0 {
		return ""
	}
	for _, u := range r.TLS.PeerCertificates[0].URIs {
		if u.Scheme == "spiffe" {
			return u.String()
		}
	}
	return ""
}

// ByRemoteAddress tells requests that come in apart by the IP that the connection comes from.
func ByRemoteAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// ByHost tells requests that go out apart by the host and port of their URL.
func ByHost(r *http.Request) string { return r.URL.Host }

// descriptor is a [Descriptor] at work.
type descriptor struct {
	key   func(*http.Request) string
	fixed map[string]*rate.Limiter
	each  TokenBucket
	most  int

	mu     sync.Mutex
	values map[string]*list.Element
	order  list.List // of *value, the one used last in front
}

type value struct {
	key    string
	bucket *rate.Limiter
}

func newDescriptor(d Descriptor, most int) *descriptor {
	n := &descriptor{key: d.Key, each: d.TokenBucket, most: most, fixed: make(map[string]*rate.Limiter, len(d.Values)),
		values: map[string]*list.Element{}}
	for v, b := range d.Values {
		n.fixed[v] = b.limiter()
	}
	return n
}

// find is the request's bucket; nil where it has none.
func (d *descriptor) find(r *http.Request) *rate.Limiter {
	k := d.key(r)
	if k == "" {
		return nil
	}
	if b, ok := d.fixed[k]; ok {
		return b
	}
	if d.each == (TokenBucket{}) {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.values[k]; e != nil {
		d.order.MoveToFront(e)
		return e.Value.(*value).bucket
	}
	if len(d.values) >= d.most {
		oldest := d.order.Back()
		delete(d.values, d.order.Remove(oldest).(*value).key)
	}
	v := &value{k, d.each.limiter()}
	d.values[k] = d.order.PushFront(v)
	return v.bucket
}

// slower puts the bucket that fills more slowly first, so that a request that it refuses takes nothing of the others.
func slower(a, b *rate.Limiter) int { return cmp.Compare(a.Limit(), b.Limit()) }

// tightest is the bucket with the fewest tokens, of one or more.
func tightest(all []*rate.Limiter, now time.Time) *rate.Limiter {
	b := all[0]
	for _, o := range all[1:] {
		if o.TokensAt(now) < b.TokensAt(now) {
			b = o
		}
	}
	return b
}

// tellBucket sets the x-ratelimit headers: the size of the bucket, the whole tokens that are left, and the seconds
// until there is one.
func tellBucket(b *rate.Limiter, now time.Time, set func(k, v string)) {
	left := max(0, b.TokensAt(now))
	reset := 0.0
	if left < 1 {
		reset = math.Ceil((1 - left) / float64(b.Limit()))
	}
	set("x-ratelimit-limit", strconv.Itoa(b.Burst()))
	set("x-ratelimit-remaining", strconv.Itoa(int(left)))
	set("x-ratelimit-reset", strconv.FormatFloat(reset, 'f', 0, 64))
}
