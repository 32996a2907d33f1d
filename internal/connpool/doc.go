// Package connpool keeps connections to HTTP servers as Envoy's connection pools do: one [Pool] for each endpoint, of
// HTTP/1.1 or HTTP/2, over a [Way] that says how connections are made and how long they serve.
//
//	way := connpool.NewWay(connpool.Settings{MaxRequests: 100, ConnectTimeout: time.Second})
//	pool := way.Pool("tcp", "10.0.0.1:8080")
//	resp, err := pool.RoundTrip(req)
//
// A request takes a connection that is free, or waits for the first one that becomes so: one in use, or one that is
// made for it. Those who wait are served in order. A request on a connection that is there takes no lock of the pool.
// The connections themselves are net/http's, see [http.Transport.NewClientConn].
package connpool
