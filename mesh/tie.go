package mesh

import (
	"cmp"
	"fmt"
	"net"
	"net/http"

	"github.com/cespare/xxhash/v2"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/route/balance"
)

// keysOf are what ties a route's requests to endpoints. A request whose destination hashes goes by the keys of all
// destinations that may be chosen, as istiod puts them together.
func keysOf(dests []*networking.HTTPRouteDestination, clusters []*cluster) []*balance.Key {
	var keys []*balance.Key
	for i, c := range clusters {
		if c == nil || c.key == nil || len(clusters) > 1 && dests[i].GetWeight() == 0 {
			continue
		}
		keys = append(keys, c.key)
	}
	return keys
}

// tie finds the number that ties the request, as it goes out, to an endpoint. It is the same for all attempts.
func (c *call) tie(out *http.Request) {
	if c.cluster.key == nil || c.cluster.direct {
		return
	}
	s := balance.Source{Request: out, IP: c.cluster.sourceIP, NewCookie: c.newCookie}
	if c.gateway {
		s.IP = remoteIP(c.inbound)
	}
	if c.action.clusters[c.dest] == nil { // it is made for the request's port alone
		c.hash, c.tied = c.cluster.key.Hash(&s)
	} else {
		c.hash, c.tied = balance.Hash(c.action.keys, &s)
	}
	c.cookies = s.SetCookie
}

// newCookie is the value of a cookie that ties its bearer to an endpoint. On a gateway it is the same for all requests
// of a connection, so that such as overtake each other get the same.
func (c *call) newCookie() string {
	if c.gateway {
		return fmt.Sprintf("%016x", xxhash.Sum64String(c.inbound.RemoteAddr+localAddr(c.inbound)))
	}
	return fmt.Sprintf("%08x%08x", uint32(c.mesh.options.Rand()*(1<<32)), uint32(c.mesh.options.Rand()*(1<<32)))
}

// hints is what the pick of an endpoint goes by.
func (c *call) hints() balance.Hints {
	h := balance.Hints{Key: c.hash, Keyed: c.tied}
	if len(c.tried) > 0 {
		if c.avoidsTried() {
			h.Tried = c.tried
		}
		if c.action.retry.RemoteLocalities() {
			h.Away = c.tried
		}
	}
	return h
}

// avoidsTried tells whether retries look for another endpoint. As in Istio, a hash keeps them where they are only if
// the route has one destination.
func (c *call) avoidsTried() bool {
	return c.action.retry.IgnorePreviousHosts(c.cluster.hashed && len(c.action.clusters) == 1)
}

// addCookies gives the response the cookies that were made for its bearer.
func (c *call) addCookies(resp *http.Response) {
	for _, v := range c.cookies {
		resp.Header.Add("Set-Cookie", v)
	}
}

func remoteIP(r *http.Request) string {
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return ip
}

// ownIP is the address that the workload's requests come from: what the options say, else the machine's first
// address that others can reach.
func (m *Mesh) ownIP() string {
	found := ""
	if m.options.Workload.IP == "" {
		addrs, _ := net.InterfaceAddrs() // none is as good as an error
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
				found = n.IP.String()
				break
			}
		}
	}
	return cmp.Or(m.options.Workload.IP, found, "127.0.0.1")
}
