package identity

import (
	"context"
	"errors"
	"net/http"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// Provider decides about requests that a policy with the action CUSTOM names. [ExtAuthz] is one.
type Provider interface {
	// Check looks at the request, which it must not change; its body is not for it. An error denies the request. It
	// runs on the request path and is called from many goroutines.
	Check(ctx context.Context, r *http.Request) (*Decision, error)
}

// Decision is what a [Provider] says. The zero value denies with 403.
type Decision struct {
	// Allowed lets the request in, as far as other policies do.
	Allowed bool
	// RequestHeader replaces headers of a request that is allowed, before the application sees it. Nil changes nothing.
	RequestHeader http.Header
	// ResponseHeader is added to the answer, ours or the application's. Nil adds nothing.
	ResponseHeader http.Header
	// Status and Body are the answer to a request that is denied; 0 means 403.
	Status int
	Body   string
}

// ErrExternal says that a provider refuses the request or could not be asked: flag UAEX.
var ErrExternal = errors.New("identity: denied by the external authorization")

// Ask asks the providers of the policies with the action CUSTOM that the request meets, in the order of their names,
// until one denies. It returns the headers to set on the request and on its answer, and the refusal if there is one. A
// provider that nobody gave denies.
func (p *Policies) Ask(r *http.Request, q *Request) (request, response http.Header, err error) {
	if p == nil {
		return nil, nil, nil
	}
	for i := range p.custom {
		c := &p.custom[i]
		rule := c.find(q)
		if rule == nil {
			continue
		}
		if c.provider == nil {
			p.stats.denied.Add(1)
			return nil, nil, Verdict{Rule: rule.name}.Err()
		}
		d, err := c.provider.Check(r.Context(), r)
		if err != nil || d == nil || !d.Allowed {
			p.stats.denied.Add(1)
			return nil, nil, refusalOf(d, err)
		}
		request, response = merge(request, d.RequestHeader), merge(response, d.ResponseHeader)
	}
	return request, response, nil
}

func merge(to, from http.Header) http.Header {
	if len(from) > 0 && to == nil {
		to = make(http.Header, len(from))
	}
	for k, v := range from {
		to[http.CanonicalHeaderKey(k)] = v
	}
	return to
}

// refusalOf is the answer to a request that a provider denied, or about which it failed.
func refusalOf(d *Decision, cause error) error {
	e := &answer.Error{Sentinel: ErrExternal, Flag: answer.ExternalAuthDenied, Status: http.StatusForbidden, Details: "ext_authz_denied", Cause: cause}
	if cause != nil {
		e.Details = "ext_authz_error"
		d = nil
	}
	if d == nil {
		return e
	}
	if d.Status >= 200 && d.Status <= 599 {
		e.Status = d.Status
	}
	e.Body = d.Body
	for k, v := range d.ResponseHeader {
		if e.Header == nil {
			e.Header = map[string]string{}
		}
		if len(v) > 0 {
			e.Header[k] = v[len(v)-1]
		}
	}
	return e
}
