package identity

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Request is the part of a request that policies look at. It is a view: it shares the header with the request that it
// was made from. It belongs to one goroutine.
type Request struct {
	// Method is as the caller wrote it. Host is the authority, with the port if the caller wrote one.
	Method, Host string
	// Path is the escaped path, normalised as routing does it, without the query; RawQuery is the query.
	Path, RawQuery string
	// Header has canonical keys. Nil is an empty header.
	Header http.Header
	// Peer is who sent it; the zero value proved nothing.
	Peer Peer
	// Source is the address of the connection's other end, Remote that of the client as proxies told it, Destination
	// our own end. An invalid one is in no block.
	Source, Remote, Destination netip.Addr
	// Port is our own end's.
	Port int
	// ServerName is what TLS asked for (SNI); empty where it did not.
	ServerName string
	// Claims are those of a verified token; nil means none.
	Claims map[string]any

	peer    string // "spiffe://…", empty without
	host    string // Host in lower case
	other   string // another reading of Path, empty where there is none
	decoded bool   // the other reading undoes more than doubled slashes
	read    bool   // the four above are there
}

// RequestOf is the view of a request that a server has received. The path is the normalised one; addresses are those
// of the connection, and Remote is told by proxies as [Proxies] says.
func RequestOf(r *http.Request, path string, proxies Proxies) Request {
	q := Request{Method: r.Method, Host: r.Host, Path: path, RawQuery: r.URL.RawQuery, Header: r.Header}
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		q.Source = from.Addr().Unmap()
	}
	q.Remote = proxies.client(q.Source, r.Header)
	switch a := r.Context().Value(http.LocalAddrContextKey).(type) {
	case *net.TCPAddr:
		at := a.AddrPort()
		q.Destination, q.Port = at.Addr().Unmap(), int(at.Port())
	case net.Addr:
		if at, err := netip.ParseAddrPort(a.String()); err == nil {
			q.Destination, q.Port = at.Addr().Unmap(), int(at.Port())
		}
	}
	if r.TLS != nil {
		q.ServerName = r.TLS.ServerName
	}
	return q
}

// readings works out what several matchers need.
func (q *Request) readings() {
	if q.read {
		return
	}
	q.read = true
	if !q.Peer.ID.IsZero() {
		q.peer = q.Peer.ID.String()
	}
	q.host = strings.ToLower(q.Host)
	q.other, q.decoded = otherReading(q.Path)
}

// header is the value that Envoy would compare: several of one name are joined with a comma, and pseudo headers are
// there.
func (q *Request) header(name string) (string, bool) {
	switch name {
	case ":method":
		return q.Method, true
	case ":authority", "Host":
		return q.Host, q.Host != ""
	case ":path":
		if q.RawQuery != "" {
			return q.Path + "?" + q.RawQuery, true
		}
		return q.Path, true
	}
	switch v := q.Header[name]; len(v) {
	case 0:
		return "", false
	case 1:
		return v[0], true
	default:
		return strings.Join(v, ","), true
	}
}

// Proxies says how far x-forwarded-for is believed: Istio's gatewayTopology.numTrustedProxies.
// See https://istio.io/latest/docs/ops/configuration/traffic-management/network-topologies/.
type Proxies struct {
	// Trusted is the number of proxies in front of the mesh whose entries are believed. 0 at an edge means that the
	// client is who is connected; behind the edge it means the last entry, which the edge has written.
	Trusted int
	// Edge is true where the connections come from outside.
	Edge bool
}

// client is the address that x-forwarded-for tells, as far as it is believed; else the one that is connected.
func (p Proxies) client(connected netip.Addr, h http.Header) netip.Addr {
	n := p.Trusted
	if !p.Edge {
		n++
	}
	if n < 1 {
		return connected
	}
	list := h["X-Forwarded-For"]
	for i := len(list) - 1; i >= 0; i-- {
		for rest, more := list[i], true; more; {
			var entry string
			if j := strings.LastIndexByte(rest, ','); j >= 0 {
				rest, entry = rest[:j], rest[j+1:]
			} else {
				entry, more = rest, false
			}
			if n--; n > 0 {
				continue
			}
			a, err := netip.ParseAddr(strings.TrimSpace(entry))
			if err != nil {
				return connected
			}
			return a.Unmap()
		}
	}
	return connected
}
