package balance

import (
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	networking "istio.io/api/networking/v1"
)

// Key says what of a request ties it to an endpoint: a header, a cookie, a parameter of the query, or the caller's
// address. It is immutable. A nil Key finds nothing in any request. The numbers are those of Envoy, xxHash64 of the
// value, so that a client that changes from a sidecar to this library stays with its endpoints. See
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-routeaction-hashpolicy.
type Key struct {
	header, parameter, cookie string
	sourceIP                  bool

	generate bool          // a cookie that is missing is made
	ttl      time.Duration // of that; 0: it ends with the session
	suffix   string        // what follows the value in Set-Cookie
}

// Source is what a [Key] looks at.
type Source struct {
	// Request is the request as it goes out. Its header, host, method and URL are read.
	Request *http.Request
	// IP is the caller's address without a port; empty means that it is not known.
	IP string
	// NewCookie gives the value of a cookie that is to be made. Nil means that none is made.
	NewCookie func() string
	// SetCookie collects the cookies that were made, as values of the response's Set-Cookie.
	SetCookie []string
}

// KeyOf reads the settings; it is nil where nothing ties requests to endpoints.
func KeyOf(lb *networking.LoadBalancerSettings) *Key {
	switch k := lb.GetConsistentHash().GetHashKey().(type) {
	case *networking.LoadBalancerSettings_ConsistentHashLB_HttpHeaderName:
		name := strings.ToLower(k.HttpHeaderName)
		if !strings.HasPrefix(name, ":") && name != "host" {
			name = textproto.CanonicalMIMEHeaderKey(name)
		}
		return &Key{header: name}
	case *networking.LoadBalancerSettings_ConsistentHashLB_HttpQueryParameterName:
		return &Key{parameter: k.HttpQueryParameterName}
	case *networking.LoadBalancerSettings_ConsistentHashLB_UseSourceIp:
		if k.UseSourceIp {
			return &Key{sourceIP: true}
		}
	case *networking.LoadBalancerSettings_ConsistentHashLB_HttpCookie:
		return cookieKey(k.HttpCookie)
	}
	return nil
}

func cookieKey(c *networking.LoadBalancerSettings_ConsistentHashLB_HTTPCookie) *Key {
	k := &Key{cookie: c.GetName(), generate: c.GetTtl() != nil, ttl: c.GetTtl().AsDuration().Truncate(time.Second)}
	var b strings.Builder
	if k.ttl > 0 {
		b.WriteString("; Max-Age=" + strconv.FormatInt(int64(k.ttl/time.Second), 10))
	}
	if c.GetPath() != "" {
		b.WriteString("; Path=" + c.GetPath())
	}
	for _, a := range c.GetAttributes() {
		b.WriteString("; " + a.GetName())
		if a.GetValue() != "" {
			b.WriteString("=" + a.GetValue())
		}
	}
	b.WriteString("; HttpOnly")
	k.suffix = b.String()
	return k
}

// SourceIP tells whether the key is the caller's address.
func (k *Key) SourceIP() bool { return k != nil && k.sourceIP }

// String names what is looked at: "header X-User", "cookie session", "query parameter id", "source IP".
func (k *Key) String() string {
	switch {
	case k == nil:
		return ""
	case k.sourceIP:
		return "source IP"
	case k.cookie != "":
		if k.generate {
			return "cookie " + k.cookie + ", made where it is missing"
		}
		return "cookie " + k.cookie
	case k.parameter != "":
		return "query parameter " + k.parameter
	}
	return "header " + k.header
}

// Hash is the number that the request is tied to an endpoint by. Without one, a random endpoint is taken. It
// allocates nothing but a cookie that it makes.
func (k *Key) Hash(s *Source) (hash uint64, ok bool) {
	switch {
	case k == nil:
		return 0, false
	case k.sourceIP:
		return xxhash.Sum64String(s.IP), s.IP != ""
	case k.cookie != "":
		return k.hashCookie(s)
	case k.parameter != "":
		v, found := parameter(s.Request.URL.RawQuery, k.parameter)
		return xxhash.Sum64String(v), found
	}
	return k.hashHeader(s.Request)
}

// Hash combines the numbers of several keys, as Envoy does for a route with more than one destination: each number
// that there is is mixed into those before it.
func Hash(keys []*Key, s *Source) (hash uint64, ok bool) {
	for _, k := range keys {
		if h, found := k.Hash(s); found {
			hash, ok = (hash<<1|hash>>63)^h, true
		}
	}
	return hash, ok
}

func (k *Key) hashHeader(r *http.Request) (uint64, bool) {
	switch k.header {
	case ":authority", "host":
		return xxhash.Sum64String(r.Host), r.Host != ""
	case ":method":
		return xxhash.Sum64String(r.Method), true
	case ":scheme":
		return xxhash.Sum64String(r.URL.Scheme), true
	case ":path":
		return xxhash.Sum64String(r.URL.RequestURI()), true
	}
	values := r.Header[k.header]
	switch len(values) {
	case 0:
		return 0, false
	case 1:
		return xxhash.Sum64String(values[0]), true
	}
	// The order of several values does not matter.
	var few [8]string
	sorted := append(few[:0], values...)
	slices.Sort(sorted)
	var d xxhash.Digest
	d.Reset()
	for _, v := range sorted {
		_, _ = d.WriteString(v) // never fails
	}
	return d.Sum64(), true
}

func (k *Key) hashCookie(s *Source) (uint64, bool) {
	v := cookie(s.Request.Header, k.cookie)
	if v == "" && k.generate && s.NewCookie != nil {
		v = s.NewCookie()
		s.SetCookie = append(s.SetCookie, k.cookie+`="`+v+`"`+k.suffix)
	}
	return xxhash.Sum64String(v), v != ""
}

// cookie is the value of the first cookie of that name, without quotes.
func cookie(h http.Header, name string) string {
	for _, line := range h["Cookie"] {
		for line != "" {
			var part string
			part, line, _ = strings.Cut(line, ";")
			k, v, ok := strings.Cut(strings.Trim(part, " \t"), "=")
			if !ok || k != name {
				continue
			}
			if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
				v = v[1 : len(v)-1]
			}
			return v
		}
	}
	return ""
}

// parameter is the first value of the query's parameter, as it is written: nothing is decoded.
func parameter(query, name string) (string, bool) {
	for query != "" {
		var part string
		part, query, _ = strings.Cut(query, "&")
		if k, v, _ := strings.Cut(part, "="); k == name && part != "" {
			return v, true
		}
	}
	return "", false
}
