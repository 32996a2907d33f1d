package observe

import "net/http"

// Transport observes the requests that go through next, with reporter "source"; nil means
// http.DefaultTransport.
func (o *Observer) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{o, next}
}

type transport struct {
	o    *Observer
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := new(Call)
	out := req.WithContext(t.o.StartClient(c, req))
	out.Header = req.Header.Clone()
	if out.Header == nil {
		out.Header = http.Header{}
	}
	c.Outgoing(out.Header)
	out.Body = c.RequestBody(req.Body)
	resp, err := t.next.RoundTrip(out)
	if err != nil {
		c.Fail(err)
		return nil, err
	}
	c.Response(resp)
	return resp, nil
}

// CloseIdleConnections passes the wish on.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
